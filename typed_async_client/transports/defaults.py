"""The transport that a wrapping transport makes itself for synchronous clients."""

import httpx

from typed_async_client.pool.environment import ProxyRules
from typed_async_client.pool.sync_pool import sync_pool
from typed_async_client.private import pool_of
from typed_async_client.transports.environment import ProxiedTransport
from typed_async_client.unclosed import WarnsUnclosed, owned

__all__ = ["default_transport"]


class _HTTPTransport(WarnsUnclosed, httpx.HTTPTransport):
    """httpx's transport on connections that heed deadlines.

    Its idle connections are closed with the transport that has made it.

    Args:
        proxy: the proxy to connect through; None for none.
        trust_env: whether the environment names the certificates to trust.
    """

    def __init__(self, *, proxy: httpx.Proxy | None, trust_env: bool) -> None:
        # httpx's own __init__ would make another pool, and takes no network backend.
        self._pool = sync_pool(proxy=proxy, trust_env=trust_env)

    @property
    def _is_unclosed(self) -> bool:
        """Whether it has open connections."""
        return not all(one.is_closed() or one.has_expired() for one in pool_of(self).connections)

    def _abandon(self) -> None:
        """Close the idle connections."""
        for connection in pool_of(self).connections:
            if connection.is_idle():
                connection.close()


def default_transport(rules: ProxyRules, *, trust_env: bool) -> httpx.BaseTransport:
    """Make the transport for ``httpx.Client``.

    Args:
        rules: choose the proxy of a URL.
        trust_env: whether the environment counts.
    """

    def make(proxy: httpx.Proxy | None) -> httpx.BaseTransport:
        return _HTTPTransport(proxy=proxy, trust_env=trust_env)

    return owned(ProxiedTransport(rules, make) if rules.proxies else make(None))
