"""Transports that send each request through the proxy that the environment names for its URL.

Only for transports with a single proxy, such as httpx's; our own pool chooses by itself.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import httpx

from typed_async_client.pool.environment import ProxyRules
from typed_async_client.transports.backends.foreign import NEVER_RESENDS, BackendOptions, refuse
from typed_async_client.transports.backends.named import backend_maker
from typed_async_client.unclosed import WarnsUnclosed, owned

__all__ = [
    "AsyncProxiedTransport",
    "ProxiedTransport",
    "check_backend_options",
    "proxied_backend",
]

_T = TypeVar("_T")


class _Routes(Generic[_T]):
    """A direct transport, and one for each proxy."""

    def __init__(self, rules: ProxyRules, make: Callable[[httpx.Proxy | None], _T]) -> None:
        self._rules = rules
        self._direct = make(None)
        self._proxied = {id(proxy): make(proxy) for proxy in rules.proxies}

    def route(self, url: httpx.URL) -> _T:
        """Return the transport for a URL."""
        proxy = self._rules.proxy_for(url)
        return self._direct if proxy is None else self._proxied[id(proxy)]

    @property
    def all(self) -> list[_T]:
        """Every transport."""
        return [self._direct, *self._proxied.values()]


class _Proxied(WarnsUnclosed, Generic[_T]):
    """What both transports have in common.

    Args:
        rules: choose the proxy of a URL.
        make: makes the transport that sends through a proxy, or directly if it is None.
    """

    def __init__(self, rules: ProxyRules, make: Callable[[httpx.Proxy | None], _T]) -> None:
        self._routes = _Routes(rules, lambda proxy: owned(make(proxy)))

    @property
    def _parts(self) -> list[_T]:
        """The transports."""
        return self._routes.all


class ProxiedTransport(_Proxied[httpx.BaseTransport], httpx.BaseTransport):
    """Sends through the proxies of the environment, for synchronous clients."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request through the proxy for its URL."""
        return self._routes.route(request.url).handle_request(request)

    def close(self) -> None:
        """Close every transport."""
        for transport in self._routes.all:
            transport.close()


class AsyncProxiedTransport(_Proxied[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport):
    """Sends through the proxies of the environment, for asynchronous clients."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request through the proxy for its URL."""
        return await self._routes.route(request.url).handle_async_request(request)

    async def aclose(self) -> None:
        """Close every transport."""
        for transport in self._routes.all:
            await transport.aclose()


def check_backend_options(
    name: str, max_connections: int | None, *, resend_on_closed: bool
) -> None:
    """Refuse options of a transport that a backend doesn't have.

    Raises:
        ValueError: one of them was given.
    """
    if max_connections is not None:
        option = f"max_connections={max_connections!r}"
        raise refuse(name, option, "that tells the limit of an httpx.AsyncHTTPTransport")
    if not resend_on_closed:
        raise refuse(name, "resend_on_closed=False", NEVER_RESENDS)


def proxied_backend(name: str, *, trust_env: bool) -> httpx.AsyncBaseTransport:
    """Make a transport on a backend, through the proxies of the environment if it is trusted."""
    make = backend_maker(name)
    rules = ProxyRules.of_environment(trust_env=trust_env)

    def through(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        return make(BackendOptions(proxy=proxy, trust_env=trust_env))

    return owned(AsyncProxiedTransport(rules, through) if rules.proxies else through(None))
