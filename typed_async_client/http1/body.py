"""The body of a response on our HTTP/1.1 connection."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpcore

from typed_async_client.wire.trace import HTTP11_LOGGER, Trace

if TYPE_CHECKING:
    from typed_async_client.http1.base_parser import BaseParser
    from typed_async_client.http1.connection import Http11Connection

__all__ = ["Http11Body"]


class Http11Body:
    """The body of a response, read from the connection as it is iterated.

    Args:
        connection: the connection to read from.
        request: the request, for its timeouts and its ``trace`` extension.
        parser: the parser that has read the head.
    """

    def __init__(
        self, connection: "Http11Connection", request: httpcore.Request, parser: "BaseParser"
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
