"""An HTTP/1.1 connection on llhttp, which serves one request at a time.

It replaces httpcore's h11 connection, with the same error messages and trace events. It has no locks,
because the pool never assigns a connection to two requests at the same time.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import httpcore

from typed_async_client.http1.expect import expects_continue, wait_for_continue
from typed_async_client.http1.framing import Framing
from typed_async_client.http1.head import encode_head
from typed_async_client.http1.parser import ResponseParser
from typed_async_client.http1.upgrade import (
    SWITCHING_PROTOCOLS,
    UpgradedStream,
    requests_upgrade,
)
from typed_async_client.wire.headers import has_close
from typed_async_client.wire.messages import REPLAYABLE_BODIES, TrustedResponse, timeout_of
from typed_async_client.wire.trace import HTTP11_LOGGER, Trace, is_traced, run_traced

__all__ = ["Http11Connection"]

_T = TypeVar("_T")

_READ_SIZE = 64 * 1024


class Http11Connection(httpcore.AsyncConnectionInterface):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: the origin it is connected to.
        stream: the network stream.

    Attributes:
        is_traced: whether the current exchange is reported to a ``trace`` extension or a logger.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        self._origin = origin
        self._stream = stream
        self._state = "NEW"
        self._requests = 0
        self._is_last = False  # the request asked to close the connection after its response
        self._sent_body = True  # False if the server responded instead of sending 100 Continue
        self.is_traced: bool = False

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return its response with an open body."""
        if self._state not in ("NEW", "IDLE"):
            raise httpcore.ConnectionNotAvailable
        self._state = "ACTIVE"
        self._requests += 1
        self._is_last = has_close(request.headers)
        self.is_traced = is_traced(request, HTTP11_LOGGER)
        try:
            parser = await self._send(request)
            head = self._receive_head(request, parser)
            parser = await self.traced(request, "receive_response_headers", head, _summary)
        except BaseException:
            await self.traced(request, "response_closed", self.aclose())
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
        if clean and not (self._is_last or parser.has_leftovers or parser.is_tunnel):
            self._state = "IDLE"
        else:
            await self.aclose()

    def traced(
        self,
        request: httpcore.Request,
        name: str,
        operation: Coroutine[Any, Any, _T],
        summary: Callable[[_T], Any] | None = None,
    ) -> Coroutine[Any, Any, _T]:
        """Return a coroutine that runs the operation, and reports it if the exchange is traced."""
        if not self.is_traced:
            return operation
        info = {} if name == "response_closed" else {"request": request}
        return run_traced(Trace(name, HTTP11_LOGGER, request, info), operation, summary)

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
        try:
            sending = self._send_head(request)
            framing, head = await self.traced(request, "send_request_headers", sending)
            if framing.has_body and expects_continue(request):
                parser = ResponseParser(request.method)
            rest = self._send_body(request, framing, head, parser)
            await self.traced(request, "send_request_body", rest)
        except httpcore.WriteError:
            pass  # the server may have responded early and closed; its response counts
        return parser

    async def _send_head(self, request: httpcore.Request) -> tuple[Framing, bytes]:
        """Send the head; if it can be sent in one write with the body, return it instead.

        If the exchange is traced, it isn't: a failure is reported for the part that failed.
        """
        framing = Framing(request)
        head = encode_head(request)
        if isinstance(request.stream, REPLAYABLE_BODIES) and not self.is_traced:
            return framing, head
        await self._write(request, head)
        return framing, b""

    async def _send_body(
        self,
        request: httpcore.Request,
        framing: Framing,
        head: bytes,
        parser: ResponseParser | None,
    ) -> None:
        """Send the body, after a head that wasn't sent yet; with a parser, once it is asked for."""
        if parser is not None:
            await self._write(request, head)
            head = b""
            await wait_for_continue(self._stream, parser, timeout_of(request, "read"))
            self._sent_body = not parser.has_head
        if not self._sent_body:
            return
        body: Any = request.stream
        if isinstance(request.stream, REPLAYABLE_BODIES):
            data = head + framing.encode(body)
            await self._stream.write(data, timeout_of(request, "write"))
            return
        async for part in body:
            await self._write(request, framing.encode_part(part))
        await self._write(request, framing.encode_end())

    async def _write(self, request: httpcore.Request, data: bytes) -> None:
        await self._stream.write(data, timeout_of(request, "write"))

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

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._traced_parts() if self._connection.is_traced else self

    async def __anext__(self) -> bytes:
        try:
            part = await self._next_part()
        except BaseException:
            await self.aclose()
            raise
        if not part:
            raise StopAsyncIteration
        return part

    async def read_whole(self) -> bytes:
        """Read and return the rest of the body."""
        if self._parser.is_complete and not self._connection.is_traced:
            return self._take_rest()
        reading = self._read_rest()
        try:
            return await self._connection.traced(self._request, "receive_response_body", reading)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the exchange."""
        if self._is_open:
            self._is_open = False
            finishing = self._connection.finish(self._parser)
            await self._connection.traced(self._request, "response_closed", finishing)

    async def _traced_parts(self) -> AsyncIterator[bytes]:
        info = {"request": self._request}
        try:
            async with Trace("receive_response_body", HTTP11_LOGGER, self._request, info):
                while part := await self._next_part():
                    yield part
        except BaseException:
            await self.aclose()
            raise

    async def _next_part(self) -> bytes:
        """Return the next part of the body; empty at its end."""
        parser = self._parser
        while not (parser.parts or parser.is_complete):
            await self._connection.receive(self._request, parser)
        if parser.is_tunnel or not parser.parts:
            return b""
        return parser.parts.popleft()

    async def _read_rest(self) -> bytes:
        parser = self._parser
        while not parser.is_complete:
            await self._connection.receive(self._request, parser)
        return self._take_rest()

    def _take_rest(self) -> bytes:
        parser = self._parser
        if parser.is_tunnel:
            return b""
        body = b"".join(parser.parts)
        parser.parts.clear()
        return body


def _summary(parser: ResponseParser) -> tuple[Any, ...]:
    return b"HTTP/" + parser.version, parser.status, parser.reason, parser.headers
