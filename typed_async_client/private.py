"""The only access to private modules, and to private attributes of other objects.

Others import the functions and classes below. Names that our subclasses override, or read on
themselves, are accessed in those subclasses. ``private_names.py`` lists all of them.
"""

import functools
import sys
import weakref
from collections.abc import Callable, Container
from http.cookiejar import Cookie, CookieJar
from types import AsyncGeneratorType, FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from httpcore._trace import Trace
from httpx._client import BoundAsyncStream
from httpx._urlparse import ParseResult

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "GLOBALS_OF_CLIENT",
    "BoundAsyncStream",
    "Trace",
    "cookies_of_domain",
    "decoder_of",
    "except_from_mounts",
    "forget_parsed_cookies",
    "forget_task",
    "is_stock_pool",
    "is_stock_transport",
    "leave_encoded",
    "mark_closed",
    "max_connections_of",
    "parts_of_url",
    "pool_of",
    "repair_force_close",
    "set_content",
    "set_decoder",
    "socket_transport_of",
    "source_of",
    "started_generator",
    "stream_under",
    "transport_for",
    "transports_of",
    "url_from_parts",
]

GLOBALS_OF_CLIENT = BoundAsyncStream.__init__.__globals__
"""The globals of every function that is defined in httpx's client module."""

_STREAMS_OF_ITERATORS = ("AsyncIteratorByteStream", "IteratorByteStream")
_GLOBALS_OF_TRANSPORTS = httpx.AsyncHTTPTransport.__aenter__.__globals__
_GLOBALS_OF_POOLS = httpcore.AsyncConnectionPool.create_connection.__globals__


def is_stock_transport() -> bool:
    """Whether ``httpx.AsyncHTTPTransport.handle_async_request`` is the original."""
    method = httpx.AsyncHTTPTransport.handle_async_request
    return type(method) is FunctionType and method.__globals__ is _GLOBALS_OF_TRANSPORTS


def is_stock_pool() -> bool:
    """Whether ``httpcore.AsyncConnectionPool.handle_async_request`` is the original."""
    method = httpcore.AsyncConnectionPool.handle_async_request
    return type(method) is FunctionType and method.__globals__ is _GLOBALS_OF_POOLS


def transports_of(client: object) -> list[Any]:
    """Return every transport that an httpx client may use; for other objects, only None."""
    return [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]


class _Except:
    """A pattern of ``mounts`` that matches some URLs of another one."""

    def __init__(self, pattern: Any, excludes: Callable[[httpx.URL], bool]) -> None:
        self._pattern = pattern
        self._excludes = excludes

    def matches(self, url: httpx.URL) -> bool:
        return self._pattern.matches(url) and self._excludes(url)


def except_from_mounts(
    client: httpx.AsyncClient, mounted: Container[Any], excludes: Callable[[httpx.URL], bool]
) -> None:
    """Send what some mounted transports would get with the default transport instead.

    Args:
        client: an httpx client.
        mounted: the transports.
        excludes: returns whether a URL isn't for them; no pattern of httpx can express it.
    """
    mounts: dict[Any, Any] = {}
    for pattern, transport in client._mounts.items():
        if transport is not None and transport in mounted:
            mounts[_Except(pattern, excludes)] = None
        mounts[pattern] = transport
    client._mounts = mounts


def mark_closed(client: httpx.AsyncClient) -> None:
    """Make an httpx client refuse requests, without closing its transports."""
    client._state = type(client._state).CLOSED


def pool_of(transport: Any) -> Any:
    """Return the pool of a transport of httpx; None if it has none."""
    return getattr(transport, "_pool", None)


def max_connections_of(transport: httpx.AsyncHTTPTransport, default: int) -> int:
    """Return the connection limit of an httpx transport."""
    return int(getattr(pool_of(transport), "_max_connections", default))


def transport_for(client: Any, url: Any) -> Any:
    """Return the transport that an asynchronous client uses for a URL."""
    return client._transport_for_url(url)


def stream_under(stream: Any) -> Any:
    """Return the body inside httpx's wrapper; any other stream is returned unchanged."""
    return stream._stream if type(stream) is BoundAsyncStream else stream


def source_of(stream: Any) -> Any:
    """Return the iterable or the file that httpx or httpx2 reads a body from; None for others."""
    return stream._stream if type(stream).__name__ in _STREAMS_OF_ITERATORS else None


def started_generator(stream: Any) -> Any:
    """Return the generator that a body is read from, if that has begun; None otherwise."""
    if type(stream).__name__ not in _STREAMS_OF_ITERATORS or not stream._is_stream_consumed:
        return None
    source = stream._stream
    return source if isinstance(source, AsyncGeneratorType | GeneratorType) else None


def leave_encoded(response: Any) -> None:
    """Let httpx or httpx2 return the body of one of their responses as received."""
    kind = httpx.Response if isinstance(response, httpx.Response) else type(response)
    response._decoder = kind(200)._get_content_decoder()  # of a response without a coding


def decoder_of(response: Any) -> Any:
    """Return what decodes the body of a response; None if nothing was chosen yet."""
    return vars(response).get("_decoder")


def set_decoder(response: Any, decoder: Any) -> None:
    """Set what decodes the body of a response, which httpx chooses only if it is unset."""
    response._decoder = decoder


def set_content(message: Any, content: bytes) -> None:
    """Mark a request or a response as read, with that body."""
    message._content = content


def forget_parsed_cookies(response: Any) -> None:
    """Drop the parsed cookies of a response, which parses them again when accessed."""
    vars(response).pop("_cookies", None)


def forget_task(task: "asyncio.Task[Any]") -> None:
    """Keep asyncio from reporting a task that can't be ended, because its event loop is closed."""
    vars_of_task: Any = task
    vars_of_task._log_destroy_pending = False


def cookies_of_domain(jar: CookieJar, domain: str) -> list[Cookie]:
    """Return the cookies that a jar of ``http.cookiejar`` has for exactly this domain."""
    by_path: dict[str, dict[str, Cookie]] = vars(jar)["_cookies"].get(domain, {})
    return [cookie for by_name in by_path.values() for cookie in by_name.values()]


def parts_of_url(url: httpx.URL) -> tuple[Any, ...]:
    """Return the parsed parts of a URL."""
    return tuple(url._uri_reference)


def url_from_parts(parts: tuple[Any, ...]) -> httpx.URL:
    """Build a URL from ``parts_of_url`` without parsing it again."""
    url = object.__new__(httpx.URL)
    url._uri_reference = ParseResult(*parts)
    return url


def socket_transport_of(transport: Any) -> Any:
    """Return the transport of the socket below one of asyncio's, which may be of TLS."""
    tls = getattr(transport, "_ssl_protocol", None)
    return transport if tls is None else getattr(tls, "_transport", None)


def repair_force_close(transport: Any) -> None:
    """Let a TLS connection be closed if the handshake of another one inside of it fails.

    Up to Python 3.12.1, asyncio raises ``TypeError`` instead, in place of the reason.
    """
    if sys.version_info < (3, 12, 2) and hasattr(transport, "_ssl_protocol"):
        transport._force_close = functools.partial(_abort_socket, weakref.ref(transport))


def _abort_socket(tls_transport: "weakref.ref[Any]", _: BaseException | None) -> None:
    below = socket_transport_of(tls_transport())
    if below is not None:
        below.abort()
