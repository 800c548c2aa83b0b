"""The transports that a wrapping transport makes itself: one for each kind of client."""

import functools

import httpx

from typed_async_client.pool.environment import ProxyRules
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.private import pool_of
from typed_async_client.transports.environment import ProxiedTransport
from typed_async_client.unclosed import WarnsUnclosed, owned

__all__ = ["default_async_transport", "default_transport"]


class _HTTPTransport(WarnsUnclosed, httpx.HTTPTransport):
    """httpx's transport, whose idle connections are closed with the transport that has made it."""

    @property
    def is_unclosed(self) -> bool:
        """Whether it has open connections."""
        return not all(one.is_closed() or one.has_expired() for one in pool_of(self).connections)

    def abandon(self) -> None:
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
    make = functools.partial(_http_transport, trust_env=trust_env)
    return owned(ProxiedTransport(rules, make) if rules.proxies else make(None))


def _http_transport(proxy: httpx.Proxy | None, *, trust_env: bool) -> httpx.BaseTransport:
    return _HTTPTransport(proxy=proxy, trust_env=trust_env)


def default_async_transport(*, trust_env: bool, resend_on_closed: bool) -> httpx.AsyncBaseTransport:
    """Make the transport for ``httpx.AsyncClient``; the arguments are those of our pool."""
    return owned(AsyncPoolTransport(trust_env=trust_env, resend_on_closed=resend_on_closed))
