"""The body of a response on our HTTP/1.1 connection."""

from typing import TYPE_CHECKING

import httpcore

from typed_async_client.wire.exchange_body import ExchangeBody
from typed_async_client.wire.trace import Trace

if TYPE_CHECKING:
    from typed_async_client.http1.base_parser import BaseParser
    from typed_async_client.http1.connection import Http11Connection

__all__ = ["Http11Body"]


class Http11Body(ExchangeBody):
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

    async def aclose(self) -> None:
        """End the exchange."""
        if self._is_open:
            self._is_open = False
            finishing = self._connection.finish(self._parser)
            await self._connection.traced(self._request, "response_closed", finishing)

    @property
    def _is_traced(self) -> bool:
        return self._connection.is_traced

    def _trace(self) -> Trace:
        return self._connection.trace(self._request, "receive_response_body")

    async def _next_part(self) -> bytes:
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
        if parser.is_tunnel:
            return b""
        body = b"".join(parser.parts)
        parser.parts.clear()
        return body
