"""An HTTP/1.1 connection on llhttp, which serves one request at a time.

It replaces httpcore's h11 connection, with the same error messages and trace events. It has no locks,
because the pool never assigns a connection to two requests at the same time.
"""

import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpcore

from typed_async_client.http1.expect import expects_continue, wait_for_continue
from typed_async_client.http1.framing import Framing
from typed_async_client.http1.parser import ResponseParser
from typed_async_client.http1.upgrade import (
    SWITCHING_PROTOCOLS,
    UpgradedStream,
    requests_upgrade,
)
from typed_async_client.wire.messages import REPLAYABLE_BODIES, TrustedResponse, timeout_of
from typed_async_client.wire.trace import trace

__all__ = ["Http11Connection"]

_T = TypeVar("_T")

_READ_SIZE = 64 * 1024
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(rb"[\x00\r\n]")
_TARGET = re.compile(rb"[\x21-\x7e]+")


class Http11Connection(httpcore.AsyncConnectionInterface):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: the origin it is connected to.
        stream: the network stream.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        self._origin = origin
        self._stream = stream
        self._state = "NEW"
        self._requests = 0
        self._sent_body = True  # False if the server responded instead of sending 100 Continue

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return its response with an open body."""
        if self._state not in ("NEW", "IDLE"):
            raise httpcore.ConnectionNotAvailable
        self._state = "ACTIVE"
        self._requests += 1
        try:
            parser = await self._send(request)
            head = self._receive_head(request, parser)
            parser = await _traced(request, "receive_response_headers", head)
        except BaseException:
            await self.aclose()
            raise
        return TrustedResponse(
            parser.status,
            parser.headers,
            Http11Body(self, request, parser),
            {
                "http_version": b"HTTP/" + parser.version,
                "reason_phrase": parser.reason,
                "network_stream": self._network_stream(parser),
                "trailing_headers": parser.trailers,
            },
        )

    async def receive(self, request: httpcore.Request, parser: ResponseParser) -> None:
        """Read once from the network and feed the parser."""
        parser.take(await self._stream.read(_READ_SIZE, timeout_of(request, "read")))

    async def finish(self, parser: ResponseParser) -> None:
        """End an exchange; the connection is kept if it can serve another request."""
        parser.release()
        clean = parser.is_complete and parser.keep_alive and self._sent_body
        if clean and not (parser.has_leftovers or parser.is_tunnel):
            self._state = "IDLE"
        else:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        self._state = "CLOSED"
        await self._stream.aclose()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it is connected to that origin."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it can serve another request now."""
        return self._state == "IDLE"

    def has_expired(self) -> bool:
        """Whether the server has closed it while idle, or sent unexpected data."""
        return self._state == "IDLE" and bool(self._stream.get_extra_info("is_readable"))

    def is_idle(self) -> bool:
        """Whether it is open and serves no request."""
        return self._state == "IDLE"

    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._state == "CLOSED"

    def info(self) -> str:
        """Return a short description of its state."""
        return f"{str(self._origin)!r}, HTTP/1.1, {self._state}, Request Count: {self._requests}"

    def __repr__(self) -> str:
        return f"<Http11Connection [{self.info()}]>"

    async def _send(self, request: httpcore.Request) -> ResponseParser | None:
        """Send a request; return the parser if the response has already been read in part."""
        parser: ResponseParser | None = None
        framing = Framing(request)
        body: Any = request.stream
        waits = framing.has_body and expects_continue(request)
        in_one_write = isinstance(body, REPLAYABLE_BODIES) and not waits
        first = _head(request) + (framing.encode(body) if in_one_write else b"")
        try:
            await _traced(request, "send_request_headers", self._write(request, first))
            if waits:
                parser = ResponseParser(request.method)
                await wait_for_continue(self._stream, parser, timeout_of(request, "read"))
                self._sent_body = not parser.has_head
            if self._sent_body:
                rest = _no_body() if in_one_write else self._write_body(request, framing)
                await _traced(request, "send_request_body", rest)
        except httpcore.WriteError:
            pass  # the server may have responded early and closed; its response counts
        return parser

    async def _write(self, request: httpcore.Request, data: bytes) -> None:
        await self._stream.write(data, timeout_of(request, "write"))

    async def _write_body(self, request: httpcore.Request, framing: Framing) -> None:
        body: Any = request.stream
        async for part in body:
            await self._write(request, framing.encode_part(part))
        await self._write(request, framing.encode_end())

    async def _receive_head(
        self, request: httpcore.Request, parser: ResponseParser | None
    ) -> ResponseParser:
        while parser is None or not parser.has_head:
            data = await self._stream.read(_READ_SIZE, timeout_of(request, "read"))
            if parser is None:  # created late: it is large, and the wait for data can be long
                parser = ResponseParser(request.method)
            parser.take(data)
        if parser.status == SWITCHING_PROTOCOLS and not requests_upgrade(request):
            raise httpcore.RemoteProtocolError(
                "the server sent 101 Switching Protocols without an Upgrade request"
            )
        return parser

    def _network_stream(self, parser: ResponseParser) -> Any:
        if not parser.is_tunnel:
            return self._stream
        return UpgradedStream(self._stream, b"".join(parser.parts))


class Http11Body:
    """The body of a response, read from the connection as it is iterated.

    Args:
        connection: the connection to read from.
        request: the request, for its timeouts and its ``trace`` extension.
        parser: the parser that has read the head.
    """

    def __init__(
        self, connection: Http11Connection, request: httpcore.Request, parser: ResponseParser
    ) -> None:
        self._connection = connection
        self._request = request
        self._parser = parser
        self._is_open = True

    def __aiter__(self) -> "Http11Body":
        return self

    async def __anext__(self) -> bytes:
        parser = self._parser
        while not (parser.parts or parser.is_complete):
            await self._receive()
        if parser.is_tunnel or not parser.parts:
            raise StopAsyncIteration
        return parser.parts.popleft()

    async def read_whole(self) -> bytes:
        """Read and return the rest of the body."""
        parser = self._parser
        while not parser.is_complete:
            await self._receive()
        if parser.is_tunnel:
            return b""
        body = b"".join(parser.parts)
        parser.parts.clear()
        return body

    async def aclose(self) -> None:
        """End the exchange."""
        if self._is_open:
            self._is_open = False
            await _traced(self._request, "response_closed", self._connection.finish(self._parser))

    async def _receive(self) -> None:
        try:
            await self._connection.receive(self._request, self._parser)
        except BaseException:
            await self.aclose()
            raise


def _head(request: httpcore.Request) -> bytes:
    """Serialize the request line and the headers.

    Raises:
        httpcore.LocalProtocolError: the method, the target or a header has an invalid character.
    """
    if not _TOKEN.fullmatch(request.method):
        raise httpcore.LocalProtocolError("Illegal method characters")
    if not _TARGET.fullmatch(request.url.target):
        raise httpcore.LocalProtocolError("Illegal target characters")
    _check_headers(request.headers)
    fields = b"".join([b"%b: %b\r\n" % field for field in request.headers])
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.url.target, fields)


def _check_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """Check all names and values in one go, and one by one only to report the invalid one."""
    names = [name for name, _ in headers]
    values = b"".join([value for _, value in headers])
    if _TOKEN.fullmatch(b"".join(names)) and b"" not in names and not _FORBIDDEN.search(values):
        return
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise httpcore.LocalProtocolError(f"Illegal header name {name!r}")
        if _FORBIDDEN.search(value):
            raise httpcore.LocalProtocolError(f"Illegal header value of {name!r}")


def _traced(
    request: httpcore.Request, name: str, operation: Coroutine[Any, Any, _T]
) -> Coroutine[Any, Any, _T]:
    """Return a coroutine that runs the operation and reports it to ``trace``, if there is one."""
    return _run_traced(request, name, operation) if "trace" in request.extensions else operation


async def _run_traced(
    request: httpcore.Request, name: str, operation: Coroutine[Any, Any, _T]
) -> _T:
    try:
        async with trace(request, f"http11.{name}", request=request):
            return await operation
    finally:
        operation.close()  # never started if the listener raised


async def _no_body() -> None:
    """Send nothing: the body was sent with the head."""
