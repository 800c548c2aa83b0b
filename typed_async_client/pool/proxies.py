"""The proxies of a pool, in httpcore's form."""

import httpcore
import httpx

from typed_async_client.httpx_types import ProxyTypes
from typed_async_client.net.alpn import OwnAlpnContext
from typed_async_client.pool.environment import ProxyRules, require_socks
from typed_async_client.pool.options import ChooseProxy
from typed_async_client.pool.slot import Origin
from typed_async_client.urls import as_proxy

__all__ = ["as_httpcore_proxy", "environment_proxies"]


def environment_proxies(*, trust_env: bool) -> ChooseProxy | None:
    """Return what chooses the proxy of an origin by the environment; None if it names no proxy."""
    rules = ProxyRules.of_environment(trust_env=trust_env)
    if not rules.proxies:
        return None

    def choose(origin: Origin) -> httpcore.Proxy | None:
        scheme, host, port = origin
        url = httpx.URL(scheme=scheme.decode(), host=host.decode(), port=port)
        proxy = rules.proxy_for(url)
        return None if proxy is None else as_httpcore_proxy(proxy)

    return choose


def as_httpcore_proxy(url_or_proxy: ProxyTypes) -> httpcore.Proxy:
    """Return httpcore's form of a proxy; one with a TLS context is for asynchronous pools only.

    Raises:
        ImportError: it needs an extra that isn't installed.
    """
    proxy = as_proxy(url_or_proxy)
    require_socks([proxy])
    return httpcore.Proxy(
        url=httpcore.URL(
            scheme=proxy.url.raw_scheme,
            host=proxy.url.raw_host,
            port=proxy.url.port,
            target=proxy.url.raw_path,
        ),
        auth=proxy.raw_auth,
        headers=proxy.headers.raw,
        ssl_context=None if proxy.ssl_context is None else OwnAlpnContext(proxy.ssl_context),
    )
