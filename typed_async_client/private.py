"""All private names of httpx, httpcore and h2 that this package uses, in one table.

Each row names what is used, in which files, and what for. Private modules, and private attributes of
other objects, are accessed here only: others import the functions and classes below. Names that our subclasses override, or
read on themselves, are accessed in those subclasses, and listed here. The tests check that every name
exists in the installed versions, and that no unlisted one is used anywhere.
"""

from http.cookiejar import Cookie, CookieJar
from types import FunctionType
from typing import Any, NamedTuple

import httpcore
import httpx
from httpx._client import BoundAsyncStream
from httpx._decoders import DeflateDecoder, GZipDecoder, MultiDecoder
from httpx._urlparse import ParseResult

__all__ = [
    "PRIVATE_NAMES",
    "BoundAsyncStream",
    "DeflateDecoder",
    "GZipDecoder",
    "MultiDecoder",
    "PrivateName",
    "cookies_of_domain",
    "drop_surplus_permits",
    "forget_parsed_cookies",
    "h2_state_of",
    "has_leftovers",
    "is_globals_of_httpx",
    "is_single_use",
    "is_stock_pool",
    "is_stock_transport",
    "mark_closed",
    "max_connections_of",
    "parts_of_url",
    "pending_events_of",
    "set_empty_content",
    "stream_under",
    "transports_of",
    "unacknowledged_bytes",
    "url_from_parts",
]


class PrivateName(NamedTuple):
    """A private name of another library.

    Attributes:
        module: the module that defines it.
        owner: the class that defines it; empty for a module-level name.
        name: the name.
        used_in: the files of this package that use it.
        why: what it is used for.
    """

    module: str
    owner: str
    name: str
    used_in: tuple[str, ...]
    why: str


_HERE = ("private.py",)
_FAST_PATH = ("httpx_client/fast_path.py",)
_REDIRECTS = ("httpx_client/redirects.py",)
_RESPONSE = ("pool/response.py",)
_PACKED = ("httpx_client/packed.py",)
_H11 = ("http1/h11.py",)
_HTTP2 = ("http2/connection.py",)

_CLIENT, _MODELS, _DECODERS = "httpx._client", "httpx._models", "httpx._decoders"
_AS_HTTP11, _AS_HTTP2 = "httpcore._async.http11", "httpcore._async.http2"

PRIVATE_NAMES: tuple[PrivateName, ...] = (
    # The client of httpx.
    PrivateName(_CLIENT, "", "BoundAsyncStream", _HERE, "the wrapper that httpx puts on a body"),
    PrivateName(_CLIENT, "", "UseClientDefault", ("httpx_types.py",), "the type of an option"),
    PrivateName(_CLIENT, "BoundAsyncStream", "_stream", _HERE, "the body inside the wrapper"),
    PrivateName(_CLIENT, "AsyncClient", "_send_handling_auth", _FAST_PATH, "skips unused auth"),
    PrivateName(_CLIENT, "AsyncClient", "_send_handling_redirects", _FAST_PATH, "the next stage"),
    PrivateName(_CLIENT, "AsyncClient", "_send_single_request", _FAST_PATH, "a cheaper send"),
    PrivateName(_CLIENT, "AsyncClient", "_transport_for_url", _FAST_PATH, "honours mounts"),
    PrivateName(_CLIENT, "BaseClient", "_merge_cookies", _FAST_PATH, "doesn't copy the jar"),
    PrivateName(_CLIENT, "BaseClient", "_build_redirect_request", _REDIRECTS, "carries no secret"),
    PrivateName(_CLIENT, "BaseClient", "_build_request_auth", _REDIRECTS, "the same, with send()"),
    PrivateName(_CLIENT, "BaseClient", "_redirect_method", _REDIRECTS, "the method of the next"),
    PrivateName(_CLIENT, "BaseClient", "_redirect_url", _REDIRECTS, "the URL of the next"),
    PrivateName(_CLIENT, "AsyncClient", "_transport", _HERE, "a client's transport"),
    PrivateName(_CLIENT, "AsyncClient", "_mounts", _HERE, "a client's other transports"),
    PrivateName(_CLIENT, "BaseClient", "_state", _HERE, "whether a client is closed"),
    # The messages of httpx.
    PrivateName(
        "httpx._content", "AsyncIteratorByteStream", "_stream", _HERE, "the source of a body"
    ),
    PrivateName("httpx._content", "IteratorByteStream", "_stream", _HERE, "the same, synchronous"),
    PrivateName(_MODELS, "Request", "_content", _HERE + _PACKED, "the body, if it was read"),
    PrivateName(_MODELS, "Response", "_content", _RESPONSE + _PACKED, "the decoded body"),
    PrivateName(_MODELS, "Response", "_num_bytes_downloaded", _RESPONSE, "num_bytes_downloaded"),
    PrivateName(
        _MODELS, "Response", "_get_content_decoder", _RESPONSE, "the decoder for the coding"
    ),
    PrivateName(_MODELS, "Response", "_cookies", _HERE, "a cache that copies must not share"),
    PrivateName(_MODELS, "Response", "_decoder", _PACKED, "is dropped after reading"),
    PrivateName(_MODELS, "Response", "_elapsed", _PACKED, "can't be marshalled"),
    PrivateName(_MODELS, "Response", "_request", _PACKED, "is packed separately"),
    PrivateName(_DECODERS, "", "MultiDecoder", _HERE, "several content codings"),
    PrivateName(_DECODERS, "", "GZipDecoder", _HERE, "further members, and truncation"),
    PrivateName(_DECODERS, "", "DeflateDecoder", _HERE, "truncation"),
    PrivateName("httpx._urls", "URL", "_uri_reference", _HERE, "a URL as it was parsed"),
    PrivateName("httpx._urlparse", "", "ParseResult", _HERE, "the parts of a URL"),
    # The pools and connections of httpcore.
    PrivateName(
        "httpx._transports.default",
        "AsyncHTTPTransport",
        "_pool",
        ("private.py", "pool/transport.py"),
        "the pool, ours in our own transport",
    ),
    PrivateName(
        "httpcore._async.connection_pool",
        "AsyncConnectionPool",
        "_max_connections",
        _HERE,
        "how many requests may use it at once",
    ),
    PrivateName(
        "httpcore._async.connection",
        "AsyncHTTPConnection",
        "_connection",
        _HERE,
        "the exchange inside a connection, proxied ones included",
    ),
    PrivateName(
        "httpcore._models", "Response", "_stream_consumed", ("wire/messages.py",), "is set"
    ),
    PrivateName(_AS_HTTP11, "AsyncHTTP11Connection", "_state_lock", _H11, "is replaced"),
    PrivateName(_AS_HTTP11, "AsyncHTTP11Connection", "_h11_state", _HERE, "leftover bytes"),
    # The HTTP/2 connection of httpcore, and h2 below it.
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_send_request_headers", _HTTP2, "bytes sent"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_receive_stream_event", _HTTP2, "own timeouts"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_receive_events", _HTTP2, "own traces"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_read_incoming_data", _HTTP2, "shared reads"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_wait_for_outgoing_flow", _HTTP2, "uploads"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_send_request_body", _HTTP2, "early responses"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_response_closed", _HTTP2, "resets streams"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_network_stream", _HTTP2, "bytes received"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_events", _HERE + _HTTP2, "unread events"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_h2_state", _HERE + _HTTP2, "streams, windows"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_max_streams", _HERE, "stream limit"),
    PrivateName(
        _AS_HTTP2, "AsyncHTTP2Connection", "_max_streams_semaphore", _HERE, "stream permits"
    ),
    PrivateName(
        "httpcore._synchronization", "AsyncSemaphore", "_anyio_semaphore", _HERE, "its value"
    ),
    PrivateName(
        "h2.connection",
        "H2Connection",
        "_inbound_flow_control_window_manager",
        _HERE,
        "the window of the connection",
    ),
    PrivateName("h2.windows", "WindowManager", "_bytes_processed", _HERE, "not yet acknowledged"),
)

_GLOBALS_OF_HTTPX = BoundAsyncStream.__init__.__globals__
_STREAMS_OF_ITERATORS = ("AsyncIteratorByteStream", "IteratorByteStream")
_GLOBALS_OF_TRANSPORTS = httpx.AsyncHTTPTransport.__aenter__.__globals__
_GLOBALS_OF_POOLS = httpcore.AsyncConnectionPool.create_connection.__globals__


def is_globals_of_httpx(namespace: dict[str, Any]) -> bool:
    """Whether a function with these globals is defined in httpx's client module."""
    return namespace is _GLOBALS_OF_HTTPX


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


def mark_closed(client: httpx.AsyncClient) -> None:
    """Make an httpx client refuse requests, without closing its transports."""
    client._state = type(client._state).CLOSED


def max_connections_of(transport: httpx.AsyncHTTPTransport, default: int) -> int:
    """Return the connection limit of an httpx transport."""
    pool = getattr(transport, "_pool", None)
    return int(getattr(pool, "_max_connections", default))


def stream_under(stream: Any) -> Any:
    """Return the body inside httpx's wrapper; any other stream is returned unchanged."""
    return stream._stream if type(stream) is BoundAsyncStream else stream


def is_single_use(stream: Any) -> bool:
    """Whether a request body is read from a source that can't be read again from the start.

    That is an iterator or an open file, in the stream that httpx or httpx2 makes of it. A stream
    class of the caller's own is assumed to start over.
    """
    if type(stream).__name__ not in _STREAMS_OF_ITERATORS:
        return False
    source = getattr(stream, "_stream", None)
    return any(hasattr(source, name) for name in ("__anext__", "__next__", "aread", "read"))


def set_empty_content(request: httpx.Request) -> None:
    """Mark a request as read, with an empty body."""
    request._content = b""


def forget_parsed_cookies(response: Any) -> None:
    """Drop the parsed cookies of a response, which parses them again when accessed."""
    vars(response).pop("_cookies", None)


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


def has_leftovers(connection: Any) -> bool:
    """Whether httpcore's HTTP/1.1 connection has read bytes beyond its response."""
    while connection is not None:  # called for each response, so it doesn't use _innermost
        state = getattr(connection, "_h11_state", None)
        if state is not None:
            return bool(state.trailing_data[0])
        exchange = getattr(connection, "exchange", None)
        connection = getattr(connection, "_connection", None) if exchange is None else exchange
    return False


def h2_state_of(connection: Any) -> Any:
    """Return the h2 state of httpcore's HTTP/2 connection."""
    return _innermost(connection, "_h2_state")._h2_state


def pending_events_of(connection: Any) -> dict[int, list[Any]]:
    """Return the events of each stream that were received but not yet consumed."""
    events: dict[int, list[Any]] = _innermost(connection, "_h2_state")._events
    return events


def drop_surplus_permits(connection: Any) -> None:
    """Drop stream permits that exceed httpcore's own stream limit."""
    http2 = _innermost(connection, "_h2_state")
    permits = getattr(http2, "_max_streams_semaphore", None)
    if permits is not None:
        while permits._anyio_semaphore.value > http2._max_streams:
            permits._anyio_semaphore.acquire_nowait()


def unacknowledged_bytes(h2_state: Any) -> int:
    """Return how many bytes a connection's inbound window is below its maximum.

    Bytes that h2 counts as processed aren't included: it acknowledges them itself.
    """
    window = h2_state._inbound_flow_control_window_manager
    missing: int = window.max_window_size - window.current_window_size - window._bytes_processed
    return missing


def _innermost(connection: Any, attribute: str) -> Any:
    """Return the connection with that attribute, unwrapping the connections around it."""
    while connection is not None and not hasattr(connection, attribute):
        inner = getattr(connection, "_connection", None)
        connection = getattr(connection, "exchange", None) if inner is None else inner
    return connection
