"""Connections that httpcore makes, with our HTTP/1.1 exchange in them.

httpcore chooses the class of a connection through a proxy, and that class makes its exchange itself.
All of them keep it in one attribute, so it is replaced when it is stored there.

They connect when they are given their first request. So to open one without a request, it is given one
that the exchange in it doesn't send.
"""

import contextlib
import functools
from collections.abc import Coroutine
from typing import Any

import httpcore

from typed_async_client.http1.connection import Http11Connection
from typed_async_client.http1.h11_parser import H11Parser
from typed_async_client.pool.socks import without_handshake
from typed_async_client.private import origin_and_stream_of
from typed_async_client.wire.messages import OpenedError
from typed_async_client.wire.request_rules import prepared

__all__ = ["with_own_exchange"]


def with_own_exchange(connection: Any) -> Any:
    """Return a connection of httpcore, which reads responses while it sends bodies."""
    kind: type = type(connection)
    connection.__class__ = _subclass(kind)
    connection.replace_exchange()
    return connection


class _OwnExchange:
    """Replaces the exchange of a connection, and in the connection inside a proxied one."""

    handle_async_request: Any
    http2 = None

    async def open(self, request: httpcore.Request) -> None:
        """Open the connection, its tunnel included, for later requests.

        Args:
            request: a request without a method, whose timeouts apply.
        """
        with contextlib.suppress(OpenedError):
            await self.handle_async_request(request)

    def replace_exchange(self) -> None:
        """Replace what it has created already."""
        self._connection = vars(self).get("_connection")

    @property
    def _connection(self) -> Any:
        return vars(self)["_connection"]

    @_connection.setter
    def _connection(self, created: Any) -> None:
        if type(created) is httpcore.AsyncHTTP11Connection:
            origin, stream = origin_and_stream_of(created)
            inner = without_handshake(stream)
            created = _ProxiedExchange(origin, inner, new_parser=H11Parser)
        elif type(created) is httpcore.AsyncHTTPConnection:
            created = with_own_exchange(created)
        vars(self)["_connection"] = created


class _ProxiedExchange(Http11Connection):
    """An exchange that doesn't send the request that opens its connection.

    It checks the others again, because httpcore has added the headers that are for the proxy.
    """

    def handle_async_request(
        self, request: httpcore.Request
    ) -> Coroutine[Any, Any, httpcore.Response]:
        if not request.method:
            return self._opened(request)
        return super().handle_async_request(prepared(request))

    async def _opened(self, request: httpcore.Request) -> httpcore.Response:
        await self.open(request)
        raise OpenedError


@functools.cache  # one subclass for each of httpcore's classes
def _subclass(kind: type) -> type:
    return type(kind.__name__, (_OwnExchange, kind), {})
