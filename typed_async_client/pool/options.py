"""How a pool makes its connections: the options of the pool, and the proxy that it chooses."""

import dataclasses
import ssl
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import httpcore

from typed_async_client.net.alpn import OwnAlpnContext
from typed_async_client.pool.slot import Origin

__all__ = ["ChooseProxy", "ConnectionOptions", "ExchangeFactory"]

ChooseProxy: TypeAlias = Callable[[Origin], httpcore.Proxy | None]
"""Returns the proxy for an origin; None means that it is reached directly."""

ExchangeFactory: TypeAlias = Callable[[httpcore.Origin, Any], Any]
"""Creates an exchange, which speaks HTTP, on an open stream."""


_OF_OUR_POOL = frozenset(["http2_keepalive", "proxy_for"])
"""Options that httpcore's pool doesn't have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to make the connections of a pool; ``ConnectionPool`` documents the fields."""

    ssl_context: ssl.SSLContext | None
    proxy: httpcore.Proxy | None
    http1: bool
    http2: bool
    retries: int
    local_address: str | None
    uds: str | None
    socket_options: Iterable[Any] | None
    http2_keepalive: float | None = None
    proxy_for: ChooseProxy | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The fields as arguments of a pool of httpcore, which has one proxy or none."""
        names = {field.name for field in dataclasses.fields(self)} - _OF_OUR_POOL
        return {name: getattr(self, name) for name in names}

    def for_origin(self, origin: Origin) -> "ConnectionOptions":
        """Return the options with the proxy that was chosen for an origin."""
        if self.proxy_for is None:
            return self
        return dataclasses.replace(self, proxy=self.proxy_for(origin), proxy_for=None)

    def for_server(self, name: str) -> "ConnectionOptions":
        """Return options for connections to a server that has another name than its host."""
        if not name:
            return self
        context = self.ssl_context or httpcore.default_ssl_context()
        own = context if isinstance(context, OwnAlpnContext) else OwnAlpnContext(context)
        return dataclasses.replace(self, ssl_context=own.for_server(name))

    def may_multiplex(self, origin: Origin) -> bool:
        """Whether a connection to that origin may serve several requests at once."""
        return self.http2 and (origin[0] == b"https" or not self.http1)
