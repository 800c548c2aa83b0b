"""The body of a response on a pooled connection, and the checks that it is complete."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import httpcore

from typed_async_client.pool.failures import explain, is_explained
from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import Slot
from typed_async_client.wire.headers import WITHOUT_BODY, body_framing

__all__ = ["COMPLETE", "PooledBody", "has_explicit_end"]

COMPLETE = "complete"
"""Response extension: True if reading the body to its end proves that it is complete, because a
truncated one raises; None if that can't be known, because the body ends when its connection does."""

_Held: TypeAlias = tuple[Any, PooledRequest, Slot, Callable[..., None]]

_CLOSED = "the body can't be read after it was closed"


class PooledBody:
    """The body of a response, which returns its slot to the pool when it is closed.

    Closing it also drops its references: a response may be kept long after its exchange.

    Args:
        stream: the body from the connection.
        pooled: the request that it answers.
        slot: the slot of the exchange.
        give_back: called with the slot, the request, and ``clean``: whether the exchange ended normally.
    """

    __slots__ = ("_held",)

    def __init__(
        self,
        stream: Any,
        pooled: PooledRequest,
        slot: Slot,
        give_back: Callable[..., None],
    ) -> None:
        self._held: _Held | None = (stream, pooled, slot, give_back)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._held is None:
            raise RuntimeError(_CLOSED)
        stream, pooled, slot, _ = self._held
        try:
            async for part in stream:
                yield part
        except BaseException as error:
            self._release(clean=False)
            if not is_explained(error):
                raise
            raise explain(error, pooled.request, slot, in_body=True) from error.__cause__

    async def read_whole(self) -> bytes:
        """Read and return the whole body."""
        if self._held is None:
            raise RuntimeError(_CLOSED)
        stream, pooled, slot, _ = self._held
        try:
            if hasattr(stream, "read_whole"):
                body: bytes = await stream.read_whole()
            else:
                body = b"".join([part async for part in stream])
        except BaseException as error:
            self._release(clean=False)
            if not is_explained(error):
                raise
            raise explain(error, pooled.request, slot, in_body=True) from error.__cause__
        return body

    async def aclose(self) -> None:
        """End the exchange; its connection is kept if the whole body was read."""
        if self._held is None:
            return
        clean = False
        try:
            await self._held[0].aclose()
            clean = True
        finally:
            self._release(clean=clean)

    def _release(self, *, clean: bool) -> None:
        if self._held is not None:
            _, pooled, slot, give_back = self._held
            self._held = None
            give_back(slot, pooled, clean=clean)


def has_explicit_end(request: httpcore.Request, response: httpcore.Response) -> bool:
    """Whether a truncated body can be told from a complete one, RFC 9112 section 6.3."""
    if _has_no_body(request, response):
        return True
    if not response.extensions.get("http_version", b"").startswith(b"HTTP/1."):
        return True
    return any(body_framing(response.headers))


def _has_no_body(request: httpcore.Request, response: httpcore.Response) -> bool:
    return request.method == b"HEAD" or response.status in WITHOUT_BODY
