"""The aiohttp backend, on top of httpx-aiohttp: its options, and what its errors mean.

httpx-aiohttp reports every failed connection as a timeout, and aiohttp itself resends idempotent
requests when a connection fails. Here aiohttp's errors are translated again, and every resend is
left to our engine.
"""

import base64
import weakref
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from typed_async_client.net.abandoned import Home
from typed_async_client.net.polling import is_socket_readable
from typed_async_client.reasons import reason_of
from typed_async_client.transports.backends.foreign import BackendOptions, ForeignTransport, refuse

__all__ = ["make_transport"]

_PROXY_SCHEMES = {"http", "https"}

_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add by default; httpx has already set those it wants."""


def make_transport(options: BackendOptions) -> httpx.AsyncBaseTransport:
    """Make a transport on aiohttp.

    It only supports HTTP/1.1. It normalizes URLs as yarl does (``%7E`` becomes ``~``), and can't
    distinguish waiting for the pool from connecting: both end in a ``ConnectTimeout``. The request
    extensions ``target`` and ``trace`` aren't supported. A header that isn't UTF-8 raises
    ``ValueError`` before anything is sent.

    Raises:
        ValueError: aiohttp doesn't support an option; the message names it.
    """
    _check(options)
    context = httpx.create_ssl_context(options.verify, options.cert, options.trust_env)
    limits = options.limits

    sessions = _Sessions()

    def open_session() -> aiohttp.ClientSession:
        connector = _Connector(
            ssl=context,
            limit=limits.max_connections or 0,
            force_close=not options.keeps_alive,
            keepalive_timeout=limits.keepalive_expiry if options.keeps_alive else None,
        )
        sessions.opened = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # httpx handles cookies
            middlewares=[_send_once],
            skip_auto_headers=_ADDED,
        )
        return sessions.opened

    inner = AiohttpTransport(verify=context, proxy=_with_auth_header(options.proxy))
    inner.client = open_session
    return ForeignTransport(inner, _translate, connections=sessions, enforces_timeouts=True)


class _Connector(aiohttp.TCPConnector):
    """Refuses to reuse a connection on which something has arrived since its last response.

    aiohttp would return a second answer to the last request as the answer to the next one.

    It also closes its idle connections when it is freed, without aiohttp's own warnings and error
    logs: what the user has made warns instead.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._home = Home()
        self._used: weakref.WeakSet[Any] = weakref.WeakSet()

    async def connect(self, *args: Any, **options: Any) -> Any:
        """Return a connection that is new, or that has nothing to read."""
        while True:
            connection: Any = await super().connect(*args, **options)
            protocol = connection.protocol
            if protocol not in self._used or not _has_input(protocol):
                self._used.add(protocol)
                return connection
            connection.close()

    @property
    def idle(self) -> list[Any]:
        """The transports of its idle connections that are open."""
        transports = [one.transport for group in self._conns.values() for one, _ in group]
        return [one for one in transports if one is not None and not one.is_closing()]

    def abandon(self) -> None:
        """Close the idle connections, from any thread."""
        for transport in self.idle:
            self._home.close([transport])

    def __del__(self, _: Any = None) -> None:
        if hasattr(self, "_home"):
            self.abandon()


def _has_input(protocol: Any) -> bool:
    """Whether aiohttp, or the kernel, has received anything that wasn't read."""
    if protocol.should_close or protocol.transport is None:
        return True
    sock = protocol.transport.get_extra_info("socket")
    return sock is not None and is_socket_readable(sock)


class _Sessions:
    """The session of a transport, once it was opened.

    Attributes:
        opened: the session.
    """

    def __init__(self) -> None:
        self.opened: aiohttp.ClientSession | None = None

    @property
    def is_unclosed(self) -> bool:
        """Whether it has an open connection that no response uses."""
        return self._connector is not None and bool(self._connector.idle)

    def abandon(self) -> None:
        """Close the idle connections, and keep aiohttp from warning about the session."""
        if self.opened is not None and (connector := self._connector) is not None:
            self.opened.detach()
            connector.abandon()

    @property
    def _connector(self) -> "_Connector | None":
        connector = None if self.opened is None else self.opened.connector
        return connector if isinstance(connector, _Connector) else None


def _check(options: BackendOptions) -> None:
    idle, limit = options.limits.max_keepalive_connections, options.limits.max_connections
    if options.http2 or not options.http1:
        option = "http2=True" if options.http2 else "http1=False"
        raise refuse("aiohttp", option, "it only speaks HTTP/1.1")
    if idle and (limit is None or idle < limit):
        raise refuse(
            "aiohttp", f"limits.max_keepalive_connections={idle}", "it can't limit idle connections"
        )
    proxy = options.proxy
    if proxy is None:
        return
    if proxy.url.scheme not in _PROXY_SCHEMES:
        raise refuse("aiohttp", f"a proxy of scheme {proxy.url.scheme!r}", "use http or https")
    if proxy.headers or proxy.ssl_context:
        raise refuse("aiohttp", "headers or ssl_context of a proxy", "it has no such options")


def _with_auth_header(proxy: httpx.Proxy | None) -> httpx.Proxy | None:
    """Move a proxy's password to a header; aiohttp deprecates reading it from the URL."""
    if proxy is None or proxy.raw_auth is None:
        return proxy
    credentials = base64.b64encode(b":".join(proxy.raw_auth)).decode()
    return httpx.Proxy(proxy.url, headers={"Authorization": f"Basic {credentials}"})


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Translate errors inside aiohttp, so that it doesn't resend the request on them."""
    try:
        return await handler(request)
    except aiohttp.ClientError as error:
        raised = _translate(error)
        raise raised from raised.__cause__


def _translate(error: Exception) -> Exception:
    """Map an error of aiohttp to httpx's, whether bare or wrapped by httpx-aiohttp."""
    origin = error.__cause__ if isinstance(error, httpx.HTTPError) else error
    if isinstance(origin, UnicodeError):
        return _with_cause(httpx.ConnectError, origin)
    if not isinstance(origin, aiohttp.ClientError):
        return error
    error_type = next((ours for theirs, ours in _ERROR_TYPES if isinstance(origin, theirs)), None)
    return _with_cause(error_type or httpx.TransportError, origin)


_ERROR_TYPES: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx.ConnectError),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerFingerprintMismatch, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (aiohttp.ClientConnectionError, httpx.ReadError),
)
"""httpx's error for each of aiohttp's; the first match counts."""


def _with_cause(error_type: type[httpx.TransportError], origin: Exception) -> httpx.TransportError:
    error = error_type(_reason(origin))
    error.__cause__ = origin
    return error


def _reason(origin: Exception) -> str:
    """Return what aiohttp says of a failure, without the URL that many of its messages end with."""
    match origin:
        case aiohttp.ClientConnectorError():
            return reason_of(origin.os_error)
        case aiohttp.ClientHttpProxyError():
            return f"{origin.status} {origin.message}"
        case aiohttp.ClientResponseError():
            return " ".join(origin.message.split())
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ServerTimeoutError() | aiohttp.InvalidURL():
            return ""
    return str(origin) or type(origin).__name__
