"""What a client sends through when it is given no transport: our pool, with and without proxies.

httpx forgets the proxies of the environment as soon as it is given a transport; so they are read
here, by the rules that httpx follows.
"""

import ipaddress
import urllib.request
from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.httpx_client.hooks import AssumeSent, with_hooks
from typed_async_client.httpx_types import ProxyTypes
from typed_async_client.options import HttpxClientOptions
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.transports.backends.foreign import BackendOptions
from typed_async_client.transports.backends.named import backend_maker
from typed_async_client.transports.pair import may_send_before_failing

__all__ = ["build_httpx_client", "environment_proxies"]

_OF_TRANSPORT = ("http1", "http2", "limits", "trust_env")

_Make = Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]
"""Makes the transport that goes through a proxy, or through none."""


def build_httpx_client(options: HttpxClientOptions) -> httpx.AsyncClient:
    """Build the httpx client of a resilient client: our hooks, and our pool where none is given.

    Raises:
        ValueError: the engine named as transport is unknown, or cannot keep an option.
        TypeError: a transport does not serve async clients.
        ImportError: it is an extra that is not installed.
    """
    transport = options.get("transport")
    complete: Any = {**options, "event_hooks": with_hooks(options.get("event_hooks"))}
    if mounts := options.get("mounts"):
        complete["mounts"] = {pattern: _checked(mount) for pattern, mount in mounts.items()}
    if isinstance(transport, str):
        complete |= _routed(complete, _named_maker(transport, options))
    elif transport is None:
        complete |= _routed(complete, _pool_maker(options))
    else:
        complete["transport"] = _checked(transport)
    return FastPathClient(**complete)


def _checked(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncBaseTransport | None:
    """Give a transport of the caller's, watched where its errors do not tell what was sent."""
    if transport is None:
        return None
    if isinstance(transport, type) or not hasattr(transport, "handle_async_request"):
        name = transport.__name__ if isinstance(transport, type) else type(transport).__name__
        raise TypeError(
            f"transport must be an httpx.AsyncBaseTransport, got {name}: "
            "give an instance of one that serves async clients"
        )
    return AssumeSent(transport) if may_send_before_failing(transport) else transport


def _pool_maker(options: HttpxClientOptions) -> _Make:
    shared: Any = {name: value for name, value in options.items() if name in _OF_TRANSPORT}
    shared["verify"] = httpx.create_ssl_context(
        verify=options.get("verify", True),
        cert=options.get("cert"),
        trust_env=options.get("trust_env", True),
    )
    return lambda proxy: AsyncPoolTransport(proxy=proxy, **shared)


def _named_maker(name: str, options: HttpxClientOptions) -> _Make:
    make = backend_maker(name)
    known = {"verify", "cert", *_OF_TRANSPORT}
    shared: Any = {name: value for name, value in options.items() if name in known}
    return lambda proxy: make(BackendOptions(proxy=proxy, **shared))


def _routed(options: HttpxClientOptions, make: _Make) -> dict[str, Any]:
    """Give the transports of a client: one for all, and one for each proxy."""
    proxies: dict[str, ProxyTypes | None] = {}
    if (given := options.get("proxy")) is not None:
        proxies = {"all://": given}
    elif options.get("trust_env", True):
        proxies = {**environment_proxies()}
    mounts = {
        pattern: None if proxy is None else make(_as_proxy(proxy))
        for pattern, proxy in proxies.items()
    }
    return {
        "proxy": None,
        "transport": make(None),
        "mounts": {**mounts, **(options.get("mounts") or {})},
    }


def _as_proxy(given: ProxyTypes) -> httpx.Proxy:
    return given if isinstance(given, httpx.Proxy) else httpx.Proxy(given)


def environment_proxies() -> dict[str, str | None]:
    """Read ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in both cases.

    Returns:
        URL patterns as ``mounts`` has them, with the proxy of each, or None for no proxy.
    """
    found = urllib.request.getproxies()
    proxies: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if address := found.get(scheme):
            proxies[f"{scheme}://"] = address if "://" in address else f"http://{address}"
    exceptions = [host.strip() for host in found.get("no", "").split(",")]
    if "*" in exceptions:
        return {}
    return proxies | {_pattern(host): None for host in exceptions if host}


def _pattern(host: str) -> str:
    """Give the URL pattern of one entry of ``NO_PROXY``: a name means its subdomains too."""
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.split("/", maxsplit=1)[0]).version
    except ValueError:
        return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"
    return f"all://{host}" if version == _V4 else f"all://[{host}]"


_V4 = 4
