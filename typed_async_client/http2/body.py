"""The body of a response over HTTP/2."""

from typing import TYPE_CHECKING

from typed_async_client.http2.stream import Stream
from typed_async_client.wire.exchange_body import ExchangeBody
from typed_async_client.wire.trace import Trace

if TYPE_CHECKING:
    from typed_async_client.http2.exchange import Exchange

__all__ = ["Http2Body"]


class Http2Body(ExchangeBody):
    """The body of a response, which arrives whether or not it is read, up to the window.

    Args:
        exchange: the exchange.
        stream: its stream.
    """

    def __init__(self, exchange: "Exchange", stream: Stream) -> None:
        self._exchange = exchange
        self._stream = stream

    async def aclose(self) -> None:
        """End the exchange; a stream that hasn't ended is reset."""
        await self._exchange.close()

    @property
    def _is_traced(self) -> bool:
        return self._exchange.is_traced

    def _trace(self) -> Trace:
        return self._exchange.trace("receive_response_body", self._stream)

    async def _next_part(self) -> bytes:
        return await self._exchange.next_part(self._stream)

    async def _read_rest(self) -> bytes:
        first = await self._exchange.next_part(self._stream)
        if not first:
            return first
        parts = [first]
        while part := await self._exchange.next_part(self._stream):
            parts.append(part)
        return first if len(parts) == 1 else b"".join(parts)
