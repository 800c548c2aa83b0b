"""What one request holds of a pool: its place in the queue, its slot's streams, its body."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import httpcore

from typed_async_client.transports.http2.watched import SpeaksHttp2, WatchedStream
from typed_async_client.transports.network import AsyncioBackend
from typed_async_client.transports.slot import Slot
from typed_async_client.transports.sockets.stream import AsyncioStream

if TYPE_CHECKING:
    from typed_async_client.transports.resend import Passage

__all__ = [
    "COMPLETE",
    "Body",
    "Recorder",
    "Waiter",
    "length_of",
    "may_be_read_otherwise",
    "tells_its_end",
]

COMPLETE = "complete"
"""Response extension: True when a body that is read to its end is whole, because a cut one raises;
None when nobody can know, because the body ends where its connection does."""

_CLOSED = "this body was closed: read it before"
_WITHOUT_BODY = (204, 304)
_TELLING = (b"content-length", b"transfer-encoding")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A request that waits for a slot."""

    passage: "Passage"
    slot: asyncio.Future[Slot]


class Recorder(httpcore.AsyncNetworkBackend):
    """Tells a slot which streams are opened for it, so that it can always close them.

    Args:
        backend: opens the streams.
        slot: is told.
        http2: how HTTP/2 may come to be spoken on them: ``"agreed"``, ``"alone"``, or None.
    """

    def __init__(
        self, backend: AsyncioBackend, slot: Slot, *, http2: SpeaksHttp2 | None = None
    ) -> None:
        self._backend = backend
        self._http2 = http2
        self._slot = slot

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Connect as the backend does, and note the stream."""
        await asyncio.sleep(0)  # asyncio closes the socket that made room one turn later
        return self._note(await self._backend.connect_tcp(*args, **kwargs))

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Connect as the backend does, and note the stream."""
        await asyncio.sleep(0)
        return self._note(await self._backend.connect_unix_socket(*args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        """Wait as the backend does."""
        await self._backend.sleep(seconds)

    def _note(self, stream: AsyncioStream) -> AsyncioStream:
        if self._slot.is_closed:
            stream.abort()
            raise RuntimeError("the connection pool was closed while this request connected")
        for stale in self._slot.layers:
            stale.abort()  # of an attempt that was given up half-way
        if self._http2 is not None:
            stream = WatchedStream.of(stream, self._slot, self._http2)
        self._slot.layers = stream.layers
        return stream


class Body:
    """The body of a response, which gives its slot back when it is closed.

    Then it lets go of all it held: a response may be kept long after its exchange.

    Args:
        stream: the body as the connection gives it.
        slot: what the exchange holds.
        give_back: takes the slot, and whether the exchange ended as it should.
        length: bytes that it must have, where nobody else counts them; None is any number.
    """

    __slots__ = ("_held", "_length")

    def __init__(
        self,
        stream: Any,
        slot: Slot,
        give_back: Callable[..., None],
        *,
        length: int | None = None,
    ) -> None:
        self._length = length
        self._held: tuple[Any, Slot, Callable[..., None]] | None = (stream, slot, give_back)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._held is None:
            raise RuntimeError(_CLOSED)
        came = 0
        try:
            async for part in self._held[0]:
                came += len(part)
                yield part
            await self._measure(came)
        except BaseException:
            self._end(clean=False)
            raise

    async def read_whole(self) -> bytes:
        """Read it to its end."""
        if self._held is None:
            raise RuntimeError(_CLOSED)
        stream = self._held[0]
        try:
            if hasattr(stream, "read_whole"):
                whole: bytes = await stream.read_whole()
            else:
                whole = b"".join([part async for part in stream])
            await self._measure(len(whole))
        except BaseException:
            self._end(clean=False)
            raise
        return whole

    async def aclose(self) -> None:
        """End the exchange; its connection is kept when the whole body was read."""
        if self._held is None:
            return
        clean = False
        try:
            await self._held[0].aclose()
            clean = True
        finally:
            self._end(clean=clean)

    async def _measure(self, came: int) -> None:
        """Refuse an end that came too early; the connection is good for all that."""
        if self._length is not None and came != self._length:
            await self.aclose()
            raise httpcore.RemoteProtocolError(
                f"the body has {came} bytes, and its content-length is {self._length}"
            )

    def _end(self, *, clean: bool) -> None:
        if self._held is not None:
            _, slot, give_back = self._held
            self._held = None
            give_back(slot, clean=clean)


def length_of(request: httpcore.Request, response: httpcore.Response) -> int | None:
    """Tell how many bytes a body must have, RFC 9113 section 8.1.1; None when nobody said it.

    httpcore and h2 compare them at the last frame of data, and not when trailers end the body.
    """
    if request.method == b"HEAD" or response.status in _WITHOUT_BODY:
        return None
    told = [value for name, value in response.headers if name.lower() == b"content-length"]
    return int(told[0]) if told and told[0].isdigit() else None


def tells_its_end(request: httpcore.Request, response: httpcore.Response) -> bool:
    """Say whether the end of a body differs from a cut in it, RFC 9112 section 6.3."""
    if request.method == b"HEAD" or response.status in _WITHOUT_BODY:
        return True
    if not response.extensions.get("http_version", b"").startswith(b"HTTP/1."):
        return True
    return any(name.lower() in _TELLING for name, _ in response.headers)


def may_be_read_otherwise(response: httpcore.Response) -> bool:
    """Say whether a response tells a length beside chunks, RFC 9112 section 6.3.

    llhttp refuses it, and h11 takes it by its chunks. Who stands in between may have taken it by its
    length, and then what follows on this connection is no answer to what follows.
    """
    return {name.lower() for name, _ in response.headers}.issuperset(_TELLING)
