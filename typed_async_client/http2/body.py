"""The body of a response over HTTP/2."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from typed_async_client.http2.stream import Stream

if TYPE_CHECKING:
    from typed_async_client.http2.exchange import Exchange

__all__ = ["Http2Body"]

_NAME = "receive_response_body"


class Http2Body:
    """The body of a response, which arrives whether or not it is read, up to the window.

    Args:
        exchange: the exchange.
        stream: its stream.
    """

    def __init__(self, exchange: "Exchange", stream: Stream) -> None:
        self._exchange = exchange
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._traced_parts() if self._exchange.is_traced else self

    async def __anext__(self) -> bytes:
        try:
            part = await self._exchange.next_part(self._stream)
        except BaseException:
            await self.aclose()
            raise
        if not part:
            raise StopAsyncIteration
        return part

    async def read_whole(self) -> bytes:
        """Read and return the rest of the body."""
        try:
            if not self._exchange.is_traced:
                return await self._read_rest()
            return await self._exchange.traced(_NAME, self._stream, self._read_rest())
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the exchange; a stream that hasn't ended is reset."""
        await self._exchange.close()

    async def _traced_parts(self) -> AsyncIterator[bytes]:
        try:
            async with self._exchange.trace(_NAME, self._stream):
                while part := await self._exchange.next_part(self._stream):
                    yield part
        except BaseException:
            await self.aclose()
            raise

    async def _read_rest(self) -> bytes:
        first = await self._exchange.next_part(self._stream)
        if not first:
            return first
        parts = [first]
        while part := await self._exchange.next_part(self._stream):
            parts.append(part)
        return first if len(parts) == 1 else b"".join(parts)
