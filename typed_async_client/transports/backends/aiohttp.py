"""aiohttp as the engine, by way of httpx-aiohttp: its options, and what its errors mean.

httpx-aiohttp calls every failed connection a timeout, and aiohttp sends an idempotent request
again when a connection fails. Here its errors are read anew, and nothing is sent behind the
engine's back.
"""

import base64

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from typed_async_client.transports.backends.foreign import BackendOptions, ForeignTransport, refuse

__all__ = ["make_transport"]

_PROXY_SCHEMES = {"http", "https"}

_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp adds unless told not to; httpx has added those that it wants."""


def make_transport(options: BackendOptions) -> httpx.AsyncBaseTransport:
    """Make a transport on aiohttp.

    It speaks HTTP/1.1 alone, writes an address as yarl does (``%7E`` becomes ``~``), and cannot
    tell waiting for the pool from connecting: both are a ``ConnectTimeout``. It knows nothing of
    the request extensions ``target`` and ``trace``, and a header that is not UTF-8 is refused
    with ``ValueError`` before anything is sent.

    Raises:
        ValueError: aiohttp cannot keep an option; the message names it.
    """
    _check(options)
    context = httpx.create_ssl_context(options.verify, options.cert, options.trust_env)
    limits = options.limits

    def open_session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=context,
            limit=limits.max_connections or 0,
            force_close=not options.keeps_alive,
            keepalive_timeout=limits.keepalive_expiry if options.keeps_alive else None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # the cookies are httpx's affair
            middlewares=[_send_once],
            skip_auto_headers=_ADDED,
        )

    inner = AiohttpTransport(verify=context, proxy=_as_aiohttp_has_it(options.proxy))
    inner.client = open_session
    return ForeignTransport(inner, _translate, keeps_time=True)


def _check(options: BackendOptions) -> None:
    idle, limit = options.limits.max_keepalive_connections, options.limits.max_connections
    if options.http2 or not options.http1:
        asked = "http2=True" if options.http2 else "http1=False"
        raise refuse("aiohttp", asked, "it speaks HTTP/1.1 alone")
    if idle and (limit is None or idle < limit):
        raise refuse(
            "aiohttp", f"limits.max_keepalive_connections={idle}", "any connection may be idle"
        )
    proxy = options.proxy
    if proxy is None:
        return
    if proxy.url.scheme not in _PROXY_SCHEMES:
        raise refuse("aiohttp", f"a proxy of scheme {proxy.url.scheme!r}", "it knows http proxies")
    if proxy.headers or proxy.ssl_context:
        raise refuse("aiohttp", "the headers and ssl_context of a proxy", "it takes none")


def _as_aiohttp_has_it(proxy: httpx.Proxy | None) -> httpx.Proxy | None:
    """Put a proxy's password where aiohttp reads it without calling it out of date."""
    if proxy is None or proxy.raw_auth is None:
        return proxy
    credentials = base64.b64encode(b":".join(proxy.raw_auth)).decode()
    return httpx.Proxy(proxy.url, headers={"Authorization": f"Basic {credentials}"})


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Let no error through that aiohttp would answer by sending the request again."""
    try:
        return await handler(request)
    except aiohttp.ClientError as error:
        raised = _translate(error)
        raise raised from raised.__cause__


def _translate(error: Exception) -> Exception:
    """Give httpx's error for one of aiohttp's, as such or behind one of httpx-aiohttp."""
    origin = error.__cause__ if isinstance(error, httpx.HTTPError) else error
    if isinstance(origin, UnicodeError):
        return _caused(httpx.ConnectError, origin)
    if not isinstance(origin, aiohttp.ClientError):
        return error
    kind = next((ours for theirs, ours in _MEANINGS if isinstance(origin, theirs)), None)
    return _caused(kind or httpx.TransportError, origin)


_MEANINGS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
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
"""What aiohttp's errors amount to; the first that fits counts."""


def _caused(kind: type[httpx.TransportError], origin: Exception) -> httpx.TransportError:
    error = kind(str(origin) or type(origin).__name__)
    error.__cause__ = origin
    return error
