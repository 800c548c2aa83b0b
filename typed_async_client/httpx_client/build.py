"""Builds the httpx client of a resilient client: with our hooks, and our pool unless one is given.

httpx ignores the proxies of the environment as soon as it is given a transport, so they are read
here, by the same rules as in httpx.
"""

import ipaddress
import urllib.request
from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.httpx_client.hooks import AssumeSent, with_hooks
from typed_async_client.httpx_types import ProxyTypes
from typed_async_client.libraries import is_from
from typed_async_client.options import REDIRECT_OPTIONS, HttpxClientOptions
from typed_async_client.policies.redirect import RedirectPolicy
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.transports.backends.foreign import BackendOptions
from typed_async_client.transports.backends.named import backend_maker
from typed_async_client.transports.pair import may_send_before_failing

__all__ = ["build_httpx_client", "environment_proxies"]

_TRANSPORT_OPTIONS = ("http1", "http2", "limits", "trust_env")

_MakeTransport = Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]
"""Makes a transport that sends through a proxy, or directly if it is None."""


def build_httpx_client(options: HttpxClientOptions) -> httpx.AsyncClient:
    """Build the httpx client of a resilient client.

    Raises:
        ValueError: the backend named as transport is unknown, or doesn't support an option; or
            ``redirect_headers`` has an item that isn't the name of a header.
        TypeError: a transport doesn't support asynchronous clients; or an option for redirects has
            another type.
        ImportError: the backend is an extra that isn't installed.
    """
    transport = options.get("transport")
    arguments: Any = {
        **{name: value for name, value in options.items() if name not in REDIRECT_OPTIONS},
        "event_hooks": with_hooks(options.get("event_hooks")),
        "redirects": RedirectPolicy.of(
            options.get("redirect_headers", ()),
            allow_insecure=options.get("allow_insecure_redirects", False),
        ),
    }
    if mounts := options.get("mounts"):
        arguments["mounts"] = {pattern: _checked(mount) for pattern, mount in mounts.items()}
    if isinstance(transport, str):
        arguments |= _with_proxies(arguments, _named_maker(transport, options))
    elif transport is None:
        arguments |= _with_proxies(arguments, _pool_maker(options))
    else:
        arguments["transport"] = _checked(transport)
    return FastPathClient(**arguments)


def _checked(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncBaseTransport | None:
    """Check a transport of the caller; wrap it if its errors don't reveal what was sent."""
    if transport is None:
        return None
    if isinstance(transport, type) or not hasattr(transport, "handle_async_request"):
        name = transport.__name__ if isinstance(transport, type) else type(transport).__name__
        raise TypeError(
            f"transport must be an httpx.AsyncBaseTransport, got {name}: "
            "pass an instance that supports async clients"
        )
    if is_from(transport, "httpx2"):
        raise TypeError(
            f"transport must be from httpx, got {type(transport).__name__} of httpx2: "
            "pass http_client=httpx2.AsyncClient(transport=...) to send with it"
        )
    return AssumeSent(transport) if may_send_before_failing(transport) else transport


def _pool_maker(options: HttpxClientOptions) -> _MakeTransport:
    shared: Any = {name: value for name, value in options.items() if name in _TRANSPORT_OPTIONS}
    shared["verify"] = httpx.create_ssl_context(
        verify=options.get("verify", True),
        cert=options.get("cert"),
        trust_env=options.get("trust_env", True),
    )
    return lambda proxy: AsyncPoolTransport(proxy=proxy, **shared)


def _named_maker(name: str, options: HttpxClientOptions) -> _MakeTransport:
    make = backend_maker(name)
    known = {"verify", "cert", *_TRANSPORT_OPTIONS}
    shared: Any = {name: value for name, value in options.items() if name in known}
    return lambda proxy: make(BackendOptions(proxy=proxy, **shared))


def _with_proxies(options: HttpxClientOptions, make: _MakeTransport) -> dict[str, Any]:
    """Return the options for the transports of a client: the default, and one for each proxy."""
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


def _as_proxy(proxy: ProxyTypes) -> httpx.Proxy:
    return proxy if isinstance(proxy, httpx.Proxy) else httpx.Proxy(proxy)


def environment_proxies() -> dict[str, str | None]:
    """Read ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in upper or lower case.

    Returns:
        A proxy for each URL pattern, in the form that ``mounts`` takes; None means no proxy.
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
    """Return the URL pattern of one ``NO_PROXY`` entry; a host name includes its subdomains."""
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.split("/", maxsplit=1)[0]).version
    except ValueError:
        return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"
    return f"all://{host}" if version == _IPV4 else f"all://[{host}]"


_IPV4 = 4
