"""The pool as an httpx transport, for ``AsyncResilientClient`` and for any ``httpx.AsyncClient``."""

import functools
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import httpx

from typed_async_client.httpx_types import CertTypes, ProxyTypes, TimeoutTypes
from typed_async_client.libraries import check_request
from typed_async_client.limit_checks import check_limits, check_timeout
from typed_async_client.net.alpn import OwnAlpnContext
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.guard import AddressGuard
from typed_async_client.policies.checks import require_bool, require_number
from typed_async_client.policies.dns_cache import DnsCache
from typed_async_client.pool.body import PooledBody
from typed_async_client.pool.connector import Http11
from typed_async_client.pool.environment import require_http2
from typed_async_client.pool.httpx_stream import HttpxStream, raise_as_httpx
from typed_async_client.pool.pool import ConnectionPool, PoolStatistics
from typed_async_client.pool.proxies import as_httpcore_proxy, environment_proxies
from typed_async_client.pool.response import WholeResponse
from typed_async_client.pool.slot import PoolLimits
from typed_async_client.pool.warm_up import WarmUpReport, checked_urls
from typed_async_client.private import is_stock_transport
from typed_async_client.sources.closing import aclose_source
from typed_async_client.unclosed import WarnsUnclosed, owned
from typed_async_client.wire.messages import TrustedRequest

__all__ = ["DEFAULT_LIMITS", "AsyncPoolTransport"]

DEFAULT_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)
"""Those of httpx."""


class AsyncPoolTransport(WarnsUnclosed, httpx.AsyncHTTPTransport):
    """A transport on a connection pool that stays intact when requests are cancelled.

    It accepts the arguments of ``httpx.AsyncHTTPTransport``, and some more. Tools that patch the
    method of that class, or of httpcore's pool, see its requests: mocks, recorders and tracers do.

    Args:
        verify: an ``ssl.SSLContext``, or whether to verify certificates. A context may be shared:
            it isn't changed, and the protocols that it offers (ALPN) are those of this transport.
        cert: a client certificate, in any form that httpx accepts.
        trust_env: whether the environment counts, as in httpx's clients: ``SSL_CERT_FILE`` and
            ``SSL_CERT_DIR``, and ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``,
            which httpx ignores for a transport. No proxy is taken from there with a ``proxy``, a
            ``uds``, or an ``address_guard``, which couldn't check what the proxy connects to.
        http1: allow HTTP/1.1.
        http2: allow HTTP/2 where the server supports it; needs the extra ``http2``.
        limits: the most connections, the most idle ones, and how many seconds they may be idle.
        proxy: a URL or an ``httpx.Proxy``: http, https, socks5 or socks5h.
        uds: path of a Unix socket to connect to.
        local_address: address to connect from.
        retries: connect attempts after the first, at once, then 0.5, 1, 2, ... seconds later; kept
            for compatibility, leave at 0.
        socket_options: set on each socket.
        http11: the HTTP/1.1 parser: ``"llhttp"``, which is faster and stricter, ``"h11"``, or
            ``"auto"``, which is llhttp where httptools is installed.
        max_connection_age: seconds after which a connection isn't used any more; None is no limit.
        address_guard: returns whether the client may connect to a resolved address; None allows
            every address.
        dns_cache: how to remember the addresses of hosts, such as ``DnsCache()``; None asks the
            system for each connection. Each transport has its own, which ends when it is closed.
        force_close: close each connection after its response, and say so in the request: over
            HTTP/2, once no request uses it any more.
        http2_keepalive: seconds of silence, > 0, after which a PING asks whether an HTTP/2 server
            is still there, while requests wait for it. If nothing comes for as long again, the
            connection is closed, and they fail with ``httpx.ReadError``. None never asks; then only
            their timeouts end them, RFC 9113 section 6.7.
        resend_on_closed: send an idempotent request once more, on a new connection, if its reused
            connection is closed before the first byte of the response. The server may then process
            it twice. If False, the error of the first connection is raised.

    Clients may share it, one after another or at the same time. It stays open until the last of
    those that have entered it leaves it, and the next request opens it again.

    Raises:
        ImportError: an option needs a library that isn't installed; the message names the extra.
        TypeError: ``limits`` isn't an ``httpx.Limits``, or ``dns_cache`` isn't a ``DnsCache``.
        ValueError: ``http11`` has another value, a proxy has an unknown scheme, a limit is too
            small, ``http2_keepalive`` isn't a number > 0, or ``force_close`` isn't a bool.

    Example:
        >>> client = httpx.AsyncClient(transport=AsyncPoolTransport())
    """

    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = DEFAULT_LIMITS,
        proxy: ProxyTypes | None = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[Any] | None = None,
        *,
        http11: Http11 = "auto",
        max_connection_age: float | None = None,
        address_guard: AddressGuard | None = None,
        dns_cache: DnsCache | None = None,
        force_close: bool = False,
        http2_keepalive: float | None = None,
        resend_on_closed: bool = True,
    ) -> None:
        require_http2(http2=http2)
        if http2_keepalive is not None:
            require_number("http2_keepalive", http2_keepalive, above=0)
        # httpx's own __init__ would create a second pool.
        self._make_pool = functools.partial(
            _make_pool,
            functools.partial(AsyncioBackend, address_guard=address_guard, dns_cache=dns_cache),
            limits=_limits(limits, max_connection_age, force_close=force_close),
            ssl_context=OwnAlpnContext(
                httpx.create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
            ),
            proxy=None if proxy is None else as_httpcore_proxy(proxy),
            proxy_for=environment_proxies(
                trust_env=trust_env and proxy is None and uds is None and address_guard is None
            ),
            http1=http1,
            http2=http2,
            http2_keepalive=http2_keepalive,
            retries=retries,
            local_address=local_address,
            uds=uds,
            socket_options=socket_options,
            http11=http11,
            resend_on_closed=resend_on_closed,
        )
        self._pool: ConnectionPool = owned(self._make_pool())
        self._is_closed = False
        self._entered = 0

    @property
    def _parts(self) -> list[ConnectionPool]:
        """The pool."""
        return [self._pool]

    def statistics(self) -> PoolStatistics:
        """Return a snapshot of the pool's state and counters."""
        return self._pool.statistics()

    async def warm_up(
        self,
        urls: Iterable[httpx.URL | str],
        *,
        connections: int = 1,
        timeout: TimeoutTypes = 5.0,
    ) -> list[WarmUpReport]:
        """Open connections to the origins of URLs before they are needed; no request is sent.

        They are opened at the same time, through the proxies of this transport, and kept idle for
        the next requests, for as long as ``limits.keepalive_expiry`` says. If an origin speaks
        HTTP/2, it gets one. No idle connection makes room for another, and none is opened that the
        limits wouldn't let stay idle. Nothing is opened while a tool has patched this transport.

        Args:
            urls: one URL of each origin; only scheme, host and port count.
            connections: how many idle connections each origin should have, >= 1; those that it has
                already count.
            timeout: seconds for each phase, in any form that httpx accepts; None is no limit.

        Returns:
            A report for each origin, in the order of the URLs. What failed is in there.

        Raises:
            TypeError: ``urls`` isn't a collection of URLs.
            ValueError: ``connections`` isn't an integer >= 1, or a timeout is negative.
            httpx.InvalidURL: a URL is invalid.
            httpx.UnsupportedProtocol: the scheme of a URL isn't supported; nothing was opened.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncPoolTransport() as transport:
            ...         print(await transport.warm_up(["https://example.org/"]))
        """
        parsed = checked_urls(urls, connections)
        check_timeout(timeout)
        self._reopen()
        wanted = connections if is_stock_transport() else 0
        return await self._pool.warm_up(parsed, wanted, httpx.Timeout(timeout).as_dict())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its response with an open body.

        The response holds its connection until its body is closed.

        Raises:
            TypeError: the client is an httpx2 client; use ``for_httpx2()``.
            httpx.TransportError: the request failed.
        """
        check_request(request)
        if not is_stock_transport():
            return await super().handle_async_request(request)
        self._reopen()
        core_request = TrustedRequest(request)
        try:
            response = await self._pool.handle_async_request(core_request)
        except BaseException as error:
            if type(request.stream) is not httpx.ByteStream:  # after a head, it may still be sent
                await aclose_source(request.stream)
            if not isinstance(error, Exception):
                raise
            raise_as_httpx(error, request)
        body = HttpxStream(response.stream)
        if not isinstance(response.stream, PooledBody):  # of a mock, or of httpcore's own pool
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=body,
                extensions=dict(response.extensions),
            )
        return WholeResponse(response.status, response.headers, body, response.extensions)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._pool!r}>"

    async def aclose(self) -> None:
        """Close every connection."""
        self._is_closed = True
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        self._reopen()
        self._entered += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._entered -= 1
        if self._entered <= 0:  # below 0 if it was made after its client had been entered
            self._entered = 0
            await self.aclose()

    def _reopen(self) -> None:
        if self._is_closed:
            self._pool, self._is_closed = owned(self._make_pool()), False


def _limits(
    limits: httpx.Limits, max_connection_age: float | None, *, force_close: bool
) -> PoolLimits:
    """Check the limits of a pool, and return them.

    Raises:
        TypeError: ``limits`` isn't an ``httpx.Limits``.
        ValueError: a limit is too small, or ``force_close`` isn't a bool.
    """
    check_limits(limits)
    require_bool("force_close", force_close)
    return PoolLimits(
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        max_connection_age=max_connection_age,
        force_close=force_close,
    )


def _make_pool(make_backend: Callable[[], AsyncioBackend], **options: Any) -> ConnectionPool:
    """Create a pool with a network backend of its own, which is closed with it."""
    return ConnectionPool(network_backend=make_backend(), **options)
