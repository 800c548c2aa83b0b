"""An HTTP/1.1 connection, which serves one request at a time.

It replaces httpcore's, with the same error messages and trace events. httpcore reads nothing until it has
sent the whole body, and ignores ``Expect: 100-continue``. This one has no locks, because the pool never
assigns a connection to two requests at the same time.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import httpcore

from typed_async_client.http1.base_parser import BaseParser
from typed_async_client.http1.body import Http11Body
from typed_async_client.http1.framing import Framing
from typed_async_client.http1.head import encode_head
from typed_async_client.http1.upgrade import (
    SWITCHING_PROTOCOLS,
    UpgradedStream,
    requests_upgrade,
    switches_protocols,
)
from typed_async_client.http1.upload import UploadStream, fits_at_once
from typed_async_client.wire.exchange_body import closed_error
from typed_async_client.wire.headers import has_close
from typed_async_client.wire.interim import expects_continue, wait_for_continue
from typed_async_client.wire.messages import REPLAYABLE_BODIES, TrustedResponse, timeout_of
from typed_async_client.wire.trace import HTTP11_LOGGER, Trace, is_traced, run_traced

__all__ = ["Http11Connection", "ParserFactory"]

_T = TypeVar("_T")

ParserFactory: TypeAlias = Callable[[bytes], BaseParser]
"""Creates the parser of a response to a request with the given method."""

_READ_SIZE = 512 * 1024


class Http11Connection(httpcore.AsyncConnectionInterface):
    """An open connection that speaks HTTP/1.1.

    Args:
        origin: the origin it is connected to.
        stream: the network stream.
        new_parser: creates a parser for each response.

    Attributes:
        is_traced: whether the current exchange is reported to a ``trace`` extension or a logger.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any, *, new_parser: ParserFactory) -> None:
        self._origin = origin
        self._stream = UploadStream(stream)
        self._state = "NEW"
        self._requests = 0
        self._is_last = False  # the request asked to close the connection after its response
        self._new_parser = new_parser
        self._parser: BaseParser | None = None  # of the response whose head is being read
        self._sent_body = True  # False if the server responded without waiting for the whole body
        self.is_traced: bool = False

    async def open(self, _: httpcore.Request) -> None:
        """Become idle without a request; nothing is sent."""
        if self._state == "NEW":
            self._state = "IDLE"

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return its response with an open body."""
        if self._state not in ("NEW", "IDLE"):
            raise httpcore.ConnectionNotAvailable
        self._state = "ACTIVE"
        self._requests += 1
        self._is_last = has_close(request.headers)
        self.is_traced = is_traced(request, HTTP11_LOGGER)
        try:
            await self._send(request)
            head = self._receive_head(request)
            parser = await self.traced(request, "receive_response_headers", head, _summary)
        except BaseException:
            self._parser = None
            await self.traced(request, "response_closed", self._abandon())
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

    async def receive(self, request: httpcore.Request, parser: BaseParser) -> None:
        """Read once from the network and feed the parser."""
        data = await self._stream.read(_READ_SIZE, timeout_of(request, "read"))
        if self._state == "CLOSED":
            raise closed_error()
        parser.take(data)

    async def finish(self, parser: BaseParser) -> None:
        """End an exchange; the connection is kept if it can serve another request."""
        parser.release()
        clean = parser.is_complete and parser.keep_alive and self._sent_body
        if self._is_last or parser.has_leftovers or parser.is_tunnel:
            clean = False
        try:
            is_sent = parser.is_complete and await self._stream.end_upload()
            if is_sent and clean and self._state == "ACTIVE":
                self._state = "IDLE"
        finally:
            if self._state != "IDLE":
                await self._abandon()

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
        return run_traced(self.trace(request, name), operation, summary)

    def trace(self, request: httpcore.Request, name: str) -> Trace:
        """Return what reports an operation."""
        info = {} if name == "response_closed" else {"request": request}
        return Trace(name, HTTP11_LOGGER, request, info)

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

    async def _abandon(self) -> None:
        """Close the connection, and end what is still being sent."""
        await self.aclose()
        await self._stream.end_upload()

    async def _send(self, request: httpcore.Request) -> None:
        """Send a request; part of the response may have been read afterwards."""
        try:
            sending = self._send_head(request)
            framing, head = await self.traced(request, "send_request_headers", sending)
            rest = self._send_body(request, framing, head)
            await self.traced(request, "send_request_body", rest)
        except httpcore.WriteError:  # the server may have responded early; its response counts
            self._sent_body = False

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

    async def _send_body(self, request: httpcore.Request, framing: Framing, head: bytes) -> None:
        """Send the body, after a head that wasn't sent yet."""
        if framing.has_body and expects_continue(request):
            await self._write(request, head)
            head = b""
            asked = functools.partial(self._receive_continue, request.method)
            await wait_for_continue(asked, timeout_of(request, "read"))
            self._sent_body = not self._has_responded(request)
        if not self._sent_body:
            return
        body: Any = request.stream
        if fits_at_once(body, len(head)):
            data = head + framing.encode(body)
            await self._stream.write(data, timeout_of(request, "write"))
            return
        if head:
            await self._write(request, head)

        async def send(parts: AsyncIterator[bytes]) -> None:
            write, timeout = self._stream.write, timeout_of(request, "write")
            async for part in parts:
                await write(framing.encode_part(part), timeout)
            await write(framing.encode_end(), timeout)

        receive = functools.partial(self._receive_status, request.method)
        await self._stream.send_beside(request, send, receive)

    async def _write(self, request: httpcore.Request, data: bytes) -> None:
        await self._stream.write(data, timeout_of(request, "write"))

    async def _receive_continue(self, method: bytes, timeout: float) -> bool:
        """Read once; return whether the server has asked for the body, or responded."""
        parser = await self._receive_part(method, timeout)
        return parser.got_continue or parser.has_head

    async def _receive_status(self, method: bytes) -> int:
        """Read the head of the response."""
        while self._parser is None or not self._parser.has_head:
            await self._receive_part(method, None)
        return self._parser.status

    def _has_responded(self, request: httpcore.Request) -> bool:
        """Whether the server has responded, and doesn't wait for the body to switch protocols."""
        parser = self._parser
        if parser is None or not parser.has_head:
            return False
        return not switches_protocols(request, parser.status)

    async def _receive_part(self, method: bytes, timeout: float | None) -> BaseParser:
        data = await self._stream.read(_READ_SIZE, timeout)
        if self._parser is None:  # created late: it is large, and the wait for data can be long
            self._parser = self._new_parser(method)
        self._parser.take(data)
        return self._parser

    async def _receive_head(self, request: httpcore.Request) -> BaseParser:
        parser, self._parser = self._parser, None
        while parser is None or not parser.has_head:
            data = await self._stream.read(_READ_SIZE, timeout_of(request, "read"))
            if parser is None:
                parser = self._new_parser(request.method)
            parser.take(data)
        if parser.status == SWITCHING_PROTOCOLS and not requests_upgrade(request):
            raise httpcore.RemoteProtocolError(
                "the server sent 101 Switching Protocols without an Upgrade request"
            )
        return parser

    def _network_stream(self, parser: BaseParser) -> Any:
        if not parser.is_tunnel:
            return self._stream
        return UpgradedStream(self._stream, b"".join(parser.parts))


def _summary(parser: BaseParser) -> tuple[Any, ...]:
    return b"HTTP/" + parser.version, parser.status, parser.reason, parser.headers
