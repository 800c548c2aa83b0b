"""Builds the httpx client of a resilient client: with our hooks, and our pool unless one is given.

httpx ignores the proxies of the environment as soon as it is given a transport, so they are mounted
here, by the same rules as in httpx.
"""

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.httpx_client.hooks import AssumeSent, with_hooks
from typed_async_client.libraries import is_from
from typed_async_client.options import POOL_OPTIONS, REDIRECT_OPTIONS, HttpxClientOptions
from typed_async_client.policies.redirect import RedirectPolicy
from typed_async_client.pool.environment import (
    environment_exclusions,
    environment_proxies,
    require_http2,
)
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.private import except_from_mounts, transports_of
from typed_async_client.request_checks import check_auth, check_cookies, check_headers
from typed_async_client.transports.backends.foreign import NEVER_RESENDS, BackendOptions, refuse
from typed_async_client.transports.backends.named import backend_maker
from typed_async_client.transports.pair import innermost, may_send_before_failing
from typed_async_client.unclosed import owned
from typed_async_client.urls import as_proxy

__all__ = ["build_httpx_client"]

_TRANSPORT_OPTIONS = ("http1", "http2", "limits", "trust_env")

_OURS = {*REDIRECT_OPTIONS, *POOL_OPTIONS, "http2"}
"""Options that aren't passed on to httpx, which would look for h2, whatever the transport."""

_DEFAULT_TIMEOUT = httpx.Timeout(5.0, pool=None)
"""Of requests through our own pool: one that waits in its queue hasn't failed."""

_MakeTransport = Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]
"""Makes a transport that sends through a proxy, or directly if it is None."""


def build_httpx_client(options: HttpxClientOptions, max_encodings: int = 1) -> httpx.AsyncClient:
    """Build the httpx client of a resilient client.

    Args:
        options: its options.
        max_encodings: how many content codings of a response are decoded, at most.

    Raises:
        ValueError: the backend named as transport is unknown, an option doesn't apply to the
            transport, or ``redirect_headers`` has an item that isn't the name of a header.
        TypeError: a transport doesn't support asynchronous clients; or an option for redirects has
            another type.
        ImportError: a backend, a proxy or HTTP/2 needs an extra that isn't installed.
    """
    transport = options.get("transport")
    _check_extras(options)
    arguments: Any = {
        **{name: value for name, value in options.items() if name not in _OURS},
        "allow_absolute_urls": options.get("allow_absolute_urls", False),
        "event_hooks": with_hooks(options.get("event_hooks")),
        "redirects": RedirectPolicy.of(
            options.get("redirect_headers", ()),
            allow_insecure=options.get("allow_insecure_redirects", False),
        ),
    }
    if "timeout" not in options and _waits_in_our_pool(transport, options.get("mounts")):
        arguments["timeout"] = _DEFAULT_TIMEOUT
    mounts = {pattern: _checked(each) for pattern, each in (options.get("mounts") or {}).items()}
    if mounts:
        arguments["mounts"] = mounts
    if isinstance(transport, str):
        arguments |= _with_proxies(arguments, _named_maker(transport, options))
    elif transport is None:
        arguments |= _with_proxies(arguments, _pool_maker(options))
    else:
        arguments["transport"] = _checked(transport)
    client = FastPathClient(**arguments, max_encodings=max_encodings)
    check_headers(client.headers)
    check_cookies(client.cookies)
    check_auth(options.get("auth"))
    if transport is None or isinstance(transport, str):
        _honor_exclusions(client, options, list(mounts.values()))
    return client


def _check_extras(options: HttpxClientOptions) -> None:
    """Refuse what the transport can't do, or what isn't installed."""
    transport = options.get("transport")
    if given := sorted(POOL_OPTIONS & options.keys()):
        _check_pool_option(given[0], transport)
    if not isinstance(transport, str):
        require_http2(http2=options.get("http2", False))


_NOT_OF_BACKENDS = {
    "dns_cache": "the library resolves names itself",
    "force_close": "pass limits=httpx.Limits(max_keepalive_connections=0), so that it keeps none",
    "http2_keepalive": "the library decides itself when a connection is dead",
    "resend_on_closed": NEVER_RESENDS,
}
"""Why no backend has the options of our own pool."""


def _check_pool_option(option: str, transport: object) -> None:
    if isinstance(transport, str):
        raise refuse(transport, option, _NOT_OF_BACKENDS[option])
    if transport is not None:
        raise ValueError(
            f"{option} is for the pool that the client makes, not for the transport passed "
            f"along, {type(transport).__name__}: pass it to AsyncPoolTransport"
        )


def _waits_in_our_pool(transport: Any, mounts: Mapping[str, Any] | None) -> bool:
    """Whether requests wait for connections in our own pool, and in no pool of httpx."""
    last = innermost(transport)
    is_ours = last is None or isinstance(last, AsyncPoolTransport)
    return is_ours and not any(map(_has_pool_of_httpx, (mounts or {}).values()))


def _has_pool_of_httpx(mount: Any) -> bool:
    last = innermost(mount)
    return isinstance(last, httpx.AsyncHTTPTransport) and not isinstance(last, AsyncPoolTransport)


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
    known = {*_TRANSPORT_OPTIONS, *POOL_OPTIONS}
    shared: Any = {name: value for name, value in options.items() if name in known}
    shared["verify"] = httpx.create_ssl_context(
        verify=options.get("verify", True),
        cert=options.get("cert"),
        trust_env=options.get("trust_env", True),
    )
    shared["trust_env"] = False  # the context has read it, and its proxies are mounted here
    return lambda proxy: AsyncPoolTransport(proxy=proxy, **shared)


def _named_maker(name: str, options: HttpxClientOptions) -> _MakeTransport:
    make = backend_maker(name)
    known = {"verify", "cert", *_TRANSPORT_OPTIONS}
    shared: Any = {name: value for name, value in options.items() if name in known}
    return lambda proxy: make(BackendOptions(proxy=proxy, **shared))


def _honor_exclusions(
    client: httpx.AsyncClient, options: HttpxClientOptions, given: list[Any]
) -> None:
    """Reach directly what ``NO_PROXY`` excludes in a form that no pattern of httpx expresses."""
    if options.get("proxy") is not None or not options.get("trust_env", True):
        return
    proxied = [mount for mount in transports_of(client)[1:] if mount and mount not in given]
    if proxied:
        except_from_mounts(client, proxied, environment_exclusions().excludes)


def _with_proxies(options: HttpxClientOptions, make: _MakeTransport) -> dict[str, Any]:
    """Return the options for the transports of a client: the default, and one for each proxy."""
    proxies: dict[str, Any] = {}
    if (given := options.get("proxy")) is not None:
        proxies = {"all://": given}
    elif options.get("trust_env", True):
        proxies = {**environment_proxies()}
    mounts = {
        pattern: None if proxy is None else owned(make(as_proxy(proxy)))
        for pattern, proxy in proxies.items()
    }
    return {
        "proxy": None,
        "transport": owned(make(None)),
        "mounts": {**mounts, **(options.get("mounts") or {})},
    }
