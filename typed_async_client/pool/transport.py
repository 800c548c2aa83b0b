"""The pool as an httpx transport, for ``AsyncResilientClient`` and for any ``httpx.AsyncClient``."""

import functools
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable
from types import TracebackType
from typing import Any, NoReturn, Self

import httpcore
import httpx

from typed_async_client.described import with_message
from typed_async_client.httpx_errors import map_httpcore_error
from typed_async_client.httpx_types import CertTypes, ProxyTypes, as_proxy
from typed_async_client.libraries import check_request
from typed_async_client.limit_checks import check_limits
from typed_async_client.net.alpn import OwnAlpnContext
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.guard import AddressGuard
from typed_async_client.pool.body import PooledBody
from typed_async_client.pool.connection import ChooseProxy
from typed_async_client.pool.connector import Http11
from typed_async_client.pool.environment import ProxyRules, require_http2, require_socks
from typed_async_client.pool.pool import ConnectionPool, PoolStatistics
from typed_async_client.pool.response import WholeResponse
from typed_async_client.pool.slot import Origin, PoolLimits
from typed_async_client.private import is_stock_transport
from typed_async_client.reasons import hide_header_value
from typed_async_client.sources.closing import aclose_source
from typed_async_client.unclosed import WarnsUnclosed, owned
from typed_async_client.wire.messages import TrustedRequest

__all__ = ["DEFAULT_LIMITS", "AsyncPoolTransport", "as_httpcore_proxy"]

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
        retries: connect attempts after the first, made by httpcore; kept for compatibility, leave
            at 0.
        socket_options: set on each socket.
        http11: the HTTP/1.1 parser of direct connections: ``"llhttp"``, which is faster and
            stricter, ``"h11"``, or ``"auto"``, which is llhttp where httptools is installed.
        max_connection_age: seconds after which a connection isn't used any more; None is no limit.
        address_guard: returns whether the client may connect to a resolved address; None allows
            every address.
        resend_on_closed: send an idempotent request once more, on a new connection, if its reused
            connection is closed before the first byte of the response. The server may then process
            it twice. If False, the error of the first connection is raised.

    Clients may share it, one after another or at the same time. It stays open until the last of
    those that have entered it leaves it, and the next request opens it again.

    Raises:
        ImportError: an option needs a library that isn't installed; the message names the extra.
        TypeError: ``limits`` isn't an ``httpx.Limits``.
        ValueError: ``http11`` has another value, a proxy has an unknown scheme, or a limit is too
            small.

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
        resend_on_closed: bool = True,
    ) -> None:
        require_http2(http2=http2)
        check_limits(limits)
        # httpx's own __init__ would create a second pool.
        self._make_pool = functools.partial(
            ConnectionPool,
            limits=PoolLimits(
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_keepalive_connections,
                keepalive_expiry=limits.keepalive_expiry,
                max_connection_age=max_connection_age,
            ),
            ssl_context=OwnAlpnContext(
                httpx.create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
            ),
            proxy=None if proxy is None else as_httpcore_proxy(proxy),
            proxy_for=_environment_proxies(
                trust_env=trust_env and proxy is None and uds is None and address_guard is None
            ),
            http1=http1,
            http2=http2,
            retries=retries,
            local_address=local_address,
            uds=uds,
            network_backend=AsyncioBackend(address_guard=address_guard),
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
            _raise_as_httpx(error, request)
        body = _Stream(response.stream)
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


def _raise_as_httpx(error: Exception, request: httpx.Request | None = None) -> NoReturn:
    """Raise httpx's counterpart of an httpcore error; raise any other error unchanged."""
    if isinstance(error, httpcore.LocalProtocolError):
        hide_header_value(error)  # h11 quotes it, if a tool has patched httpcore's pool
    converted = map_httpcore_error(error)
    if converted is not error:
        converted = with_message(converted, request)  # a mock of the pool may raise it without one
    try:
        if converted is error:
            raise error
        raise converted from error
    finally:
        del converted  # it refers to this frame


class _Stream(httpx.AsyncByteStream):
    """The body of a response, which raises httpx's errors."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Parts(aiter(self._stream))

    async def read_whole(self) -> bytes:
        try:
            body: bytes = await self._stream.read_whole()
        except Exception as error:  # noqa: BLE001 - raised again
            _raise_as_httpx(error)
        return body

    def aclose(self) -> Coroutine[Any, Any, None]:
        closing: Coroutine[Any, Any, None] = self._stream.aclose()
        return closing


class _Parts(AsyncIterator[bytes]):
    """An iterator over the parts of a body."""

    __slots__ = ("_parts",)

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            raise  # raising it in a function would make a reference cycle with its frame
        except Exception as error:  # noqa: BLE001 - raised again
            _raise_as_httpx(error)


def _environment_proxies(*, trust_env: bool) -> ChooseProxy | None:
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
