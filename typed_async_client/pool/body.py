"""The body of a response on a pooled connection, and how much of it there must be."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpcore

from typed_async_client.pool.slot import Slot
from typed_async_client.wire.headers import BodyFraming

__all__ = ["COMPLETE", "PooledBody", "expected_length", "has_explicit_end"]

COMPLETE = "complete"
"""Response extension: True when a body that was read to its end is complete, because a truncated one
raises; None when that can't be known, because the body ends where its connection does."""

_CLOSED = "this body was closed: read it before"
_WITHOUT_BODY = (204, 304)


class PooledBody:
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


def expected_length(
    request: httpcore.Request, response: httpcore.Response, framing: BodyFraming
) -> int | None:
    """Return how many bytes a body must have, RFC 9113 section 8.1.1; None if undeclared.

    httpcore and h2 compare them at the last DATA frame, and not when trailers end the body.
    """
    if _has_no_body(request, response):
        return None
    lengths = framing.lengths
    return int(lengths[0]) if lengths and lengths[0].isdigit() else None


def has_explicit_end(
    request: httpcore.Request, response: httpcore.Response, framing: BodyFraming
) -> bool:
    """Whether the end of a body differs from a truncation, RFC 9112 section 6.3."""
    if _has_no_body(request, response):
        return True
    if not response.extensions.get("http_version", b"").startswith(b"HTTP/1."):
        return True
    return bool(framing.lengths or framing.codings)


def _has_no_body(request: httpcore.Request, response: httpcore.Response) -> bool:
    return request.method == b"HEAD" or response.status in _WITHOUT_BODY
