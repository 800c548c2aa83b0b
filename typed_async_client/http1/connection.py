"""One HTTP/1.1 connection on llhttp: a request goes out, its response comes in, and so on.

It stands where httpcore's h11 exchange stands, with its error messages and trace events, and
without its locks: the pool gives a connection to one request at a time.
"""

import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpcore

from typed_async_client.http1.expect import asks_first, wait_for_leave
from typed_async_client.http1.framing import Framing
from typed_async_client.http1.parser import ResponseParser
from typed_async_client.http1.upgrade import SWITCHING, UpgradedStream, proposes_switch
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
        origin: where it leads.
        stream: its bytes.
    """

    def __init__(self, origin: httpcore.Origin, stream: Any) -> None:
        self._origin = origin
        self._stream = stream
        self._state = "NEW"
        self._requests = 0
        self._is_whole = True  # whether the last request was sent to its end

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and give its response with an open body."""
        if self._state not in ("NEW", "IDLE"):
            raise httpcore.ConnectionNotAvailable
        self._state = "ACTIVE"
        self._requests += 1
        try:
            begun = await self._send(request)
            head = self._receive_head(request, begun)
            reading = await _traced(request, "receive_response_headers", head)
        except BaseException:
            await self.aclose()
            raise
        return TrustedResponse(
            reading.status,
            reading.headers,
            Http11Body(self, request, reading),
            {
                "http_version": b"HTTP/" + reading.version,
                "reason_phrase": reading.reason,
                "network_stream": self._stream_of(reading),
                "trailing_headers": reading.trailers,
            },
        )

    async def receive(self, request: httpcore.Request, reading: ResponseParser) -> None:
        """Read what the peer sends next."""
        reading.take(await self._stream.read(_READ_SIZE, timeout_of(request, "read")))

    async def finish(self, reading: ResponseParser) -> None:
        """End an exchange; the connection is kept if nothing speaks against it."""
        reading.release()
        clean = reading.is_complete and reading.keeps_alive and self._is_whole
        if clean and not (reading.has_leftovers or reading.is_tunnel):
            self._state = "IDLE"
        else:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        self._state = "CLOSED"
        await self._stream.aclose()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it leads there."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it may take a further request."""
        return self._state == "IDLE"

    def has_expired(self) -> bool:
        """Whether the peer closed it, or sent what nobody asked for."""
        return self._state == "IDLE" and bool(self._stream.get_extra_info("is_readable"))

    def is_idle(self) -> bool:
        """Whether it serves no request."""
        return self._state == "IDLE"

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._state == "CLOSED"

    def info(self) -> str:
        """Tell its state in a few words."""
        return f"{str(self._origin)!r}, HTTP/1.1, {self._state}, Request Count: {self._requests}"

    def __repr__(self) -> str:
        return f"<Http11Connection [{self.info()}]>"

    async def _send(self, request: httpcore.Request) -> ResponseParser | None:
        """Send a request; give what came meanwhile, if that was asked for."""
        reading: ResponseParser | None = None
        framing = Framing(request)
        body: Any = request.stream
        asks = framing.is_wanted and asks_first(request)
        is_plain = isinstance(body, REPLAYABLE_BODIES) and not asks
        first = _head(request) + (framing.whole(body) if is_plain else b"")
        try:
            await _traced(request, "send_request_headers", self._write(request, first))
            if asks:
                reading = ResponseParser(request.method)
                await wait_for_leave(self._stream, reading, timeout_of(request, "read"))
                self._is_whole = not reading.has_head
            if self._is_whole:
                rest = _nothing() if is_plain else self._write_all(request, framing)
                await _traced(request, "send_request_body", rest)
        except httpcore.WriteError:
            pass  # the server may have answered early and closed; its answer counts
        return reading

    async def _write(self, request: httpcore.Request, data: bytes) -> None:
        await self._stream.write(data, timeout_of(request, "write"))

    async def _write_all(self, request: httpcore.Request, framing: Framing) -> None:
        body: Any = request.stream
        async for part in body:
            await self._write(request, framing.part(part))
        await self._write(request, framing.end())

    async def _receive_head(
        self, request: httpcore.Request, begun: ResponseParser | None
    ) -> ResponseParser:
        reading = begun
        while reading is None or not reading.has_head:
            data = await self._stream.read(_READ_SIZE, timeout_of(request, "read"))
            reading = reading or ResponseParser(
                request.method
            )  # not before: it is large, and waits are long
            reading.take(data)
        if reading.status == SWITCHING and not proposes_switch(request):
            raise httpcore.RemoteProtocolError("switching protocols unasked")
        return reading

    def _stream_of(self, reading: ResponseParser) -> Any:
        if not reading.is_tunnel:
            return self._stream
        return UpgradedStream(self._stream, b"".join(reading.parts))


class Http11Body:
    """The body of a response."""

    def __init__(
        self, exchange: Http11Connection, request: httpcore.Request, reading: ResponseParser
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._reading = reading
        self._is_open = True

    def __aiter__(self) -> "Http11Body":
        return self

    async def __anext__(self) -> bytes:
        reading = self._reading
        while not (reading.parts or reading.is_complete):
            await self._receive()
        if reading.is_tunnel or not reading.parts:
            raise StopAsyncIteration
        return reading.parts.popleft()

    async def read_whole(self) -> bytes:
        """Read it to its end."""
        reading = self._reading
        while not reading.is_complete:
            await self._receive()
        if reading.is_tunnel:
            return b""
        whole = b"".join(reading.parts)
        reading.parts.clear()
        return whole

    async def aclose(self) -> None:
        """End the exchange."""
        if self._is_open:
            self._is_open = False
            await _traced(self._request, "response_closed", self._exchange.finish(self._reading))

    async def _receive(self) -> None:
        try:
            await self._exchange.receive(self._request, self._reading)
        except BaseException:
            await self.aclose()
            raise


def _head(request: httpcore.Request) -> bytes:
    """Write the head of a request.

    Raises:
        httpcore.LocalProtocolError: a part of it cannot stand in one.
    """
    if not _TOKEN.fullmatch(request.method):
        raise httpcore.LocalProtocolError("Illegal method characters")
    if not _TARGET.fullmatch(request.url.target):
        raise httpcore.LocalProtocolError("Illegal target characters")
    _check(request.headers)
    fields = b"".join([b"%b: %b\r\n" % field for field in request.headers])
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.url.target, fields)


def _check(headers: list[tuple[bytes, bytes]]) -> None:
    """Look at all names and all values at once, and at each only when one of them is wrong."""
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
    request: httpcore.Request, name: str, work: Coroutine[Any, Any, _T]
) -> Coroutine[Any, Any, _T]:
    """Give some work to await, which tells the request's ``trace`` extension of it, if any."""
    return _run_traced(request, name, work) if "trace" in request.extensions else work


async def _run_traced(request: httpcore.Request, name: str, work: Coroutine[Any, Any, _T]) -> _T:
    try:
        async with trace(request, f"http11.{name}", request=request):
            return await work
    finally:
        work.close()  # a listener that raises leaves it unbegun


async def _nothing() -> None:
    """Stand for a body that went out with its head."""
