"""The one table of the private names of httpx, httpcore and h2 that are used, and the way to them.

Each row says what is used, in which file, and why no public name serves. Private modules, and private
attributes of objects, are reached through the functions below. What a subclass of theirs overrides or
reads on itself stays in that subclass, and in its row. The tests check that every name exists in the
installed versions, and that no private name outside the table is used anywhere.
"""

from typing import Any, NamedTuple

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
    "drop_surplus_permits",
    "forget_parsed_cookies",
    "h2_state_of",
    "has_leftovers",
    "is_globals_of_httpx",
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
        owner: the class that has it; empty for a name of the module itself.
        name: the name.
        used_in: the files that use it, within this package.
        why: what it is needed for.
    """

    module: str
    owner: str
    name: str
    used_in: tuple[str, ...]
    why: str


_HERE = ("private.py",)
_FAST_PATH = ("httpx_client/fast_path.py",)
_RESPONSE = ("pool/response.py",)
_PACKED = ("httpx_client/packed.py",)
_H11 = ("http1/h11.py",)
_HTTP2 = ("http2/connection.py",)

_CLIENT, _MODELS, _DECODERS = "httpx._client", "httpx._models", "httpx._decoders"
_AS_HTTP11, _AS_HTTP2 = "httpcore._async.http11", "httpcore._async.http2"

PRIVATE_NAMES: tuple[PrivateName, ...] = (
    # The client of httpx.
    PrivateName(_CLIENT, "", "BoundAsyncStream", _HERE, "the wrapper that httpx puts on a body"),
    PrivateName(_CLIENT, "BoundAsyncStream", "_stream", _HERE, "the body inside the wrapper"),
    PrivateName(_CLIENT, "AsyncClient", "_send_handling_auth", _FAST_PATH, "skips unused auth"),
    PrivateName(_CLIENT, "AsyncClient", "_send_handling_redirects", _FAST_PATH, "the next stage"),
    PrivateName(_CLIENT, "AsyncClient", "_send_single_request", _FAST_PATH, "a cheaper send"),
    PrivateName(_CLIENT, "AsyncClient", "_transport_for_url", _FAST_PATH, "honours mounts"),
    PrivateName(_CLIENT, "AsyncClient", "_transport", _HERE, "the transport of a given client"),
    PrivateName(_CLIENT, "AsyncClient", "_mounts", _HERE, "the other transports of that client"),
    # The messages of httpx.
    PrivateName(_MODELS, "Request", "_content", _HERE + _PACKED, "the body, without reading it"),
    PrivateName(_MODELS, "Response", "_content", _RESPONSE + _PACKED, "the decoded body"),
    PrivateName(_MODELS, "Response", "_num_bytes_downloaded", _RESPONSE, "behind a public figure"),
    PrivateName(_MODELS, "Response", "_get_content_decoder", _RESPONSE, "decoders by their coding"),
    PrivateName(_MODELS, "Response", "_cookies", _HERE, "a cache that copies must not share"),
    PrivateName(_MODELS, "Response", "_decoder", _PACKED, "is dropped once the body was read"),
    PrivateName(_MODELS, "Response", "_elapsed", _PACKED, "can't be marshalled"),
    PrivateName(_MODELS, "Response", "_request", _PACKED, "is packed separately"),
    PrivateName(_DECODERS, "", "MultiDecoder", _HERE, "several content codings"),
    PrivateName(_DECODERS, "", "GZipDecoder", _HERE, "further members, and truncation"),
    PrivateName(_DECODERS, "", "DeflateDecoder", _HERE, "truncation"),
    PrivateName("httpx._urls", "URL", "_uri_reference", _HERE, "a URL as it was parsed"),
    PrivateName("httpx._urlparse", "", "ParseResult", _HERE, "the parts of a URL"),
    # The pools and connections of httpcore.
    PrivateName(
        "httpx._transports.default", "AsyncHTTPTransport", "_pool", _HERE, "leads to its limits"
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
    PrivateName("httpcore._models", "Response", "_stream_consumed", ("wire/messages.py",), "state"),
    PrivateName(_AS_HTTP11, "AsyncHTTP11Connection", "_state_lock", _H11, "is replaced"),
    PrivateName(_AS_HTTP11, "AsyncHTTP11Connection", "_h11_state", _HERE, "bytes left over"),
    # The HTTP/2 connection of httpcore, and h2 below it.
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_receive_stream_event", _HTTP2, "own timeouts"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_receive_events", _HTTP2, "own traces"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_read_incoming_data", _HTTP2, "reads for all"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_wait_for_outgoing_flow", _HTTP2, "uploads"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_send_request_body", _HTTP2, "early answers"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_response_closed", _HTTP2, "resets streams"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_network_stream", _HTTP2, "what has arrived"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_events", _HERE + _HTTP2, "unread events"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_h2_state", _HERE + _HTTP2, "streams, windows"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_max_streams", _HERE, "permits there may be"),
    PrivateName(_AS_HTTP2, "AsyncHTTP2Connection", "_max_streams_semaphore", _HERE, "permits held"),
    PrivateName("httpcore._synchronization", "AsyncSemaphore", "_anyio_semaphore", _HERE, "count"),
    PrivateName(
        "h2.connection",
        "H2Connection",
        "_inbound_flow_control_window_manager",
        _HERE,
        "the window of the connection",
    ),
    PrivateName("h2.windows", "WindowManager", "_bytes_processed", _HERE, "not yet given back"),
)

_GLOBALS_OF_HTTPX = BoundAsyncStream.__init__.__globals__


def is_globals_of_httpx(namespace: dict[str, Any]) -> bool:
    """Whether a function with these globals is defined in httpx's client module."""
    return namespace is _GLOBALS_OF_HTTPX


def transports_of(client: object) -> list[Any]:
    """Return every transport that a client may send through; empty if it isn't httpx's."""
    return [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]


def max_connections_of(transport: httpx.AsyncHTTPTransport, default: int) -> int:
    """Return how many connections a transport of httpx allows."""
    pool = getattr(transport, "_pool", None)
    return int(getattr(pool, "_max_connections", default))


def stream_under(stream: Any) -> Any:
    """Return the body inside the wrapper that httpx puts on it; any other stream as it is."""
    return stream._stream if type(stream) is BoundAsyncStream else stream


def set_empty_content(request: httpx.Request) -> None:
    """Mark a request as read, with an empty body."""
    request._content = b""


def forget_parsed_cookies(response: Any) -> None:
    """Drop the cookies that a response has parsed; it parses them again when asked."""
    vars(response).pop("_cookies", None)


def parts_of_url(url: httpx.URL) -> tuple[Any, ...]:
    """Return the parts that a URL was parsed into."""
    return tuple(url._uri_reference)


def url_from_parts(parts: tuple[Any, ...]) -> httpx.URL:
    """Make a URL from ``parts_of_url``, without parsing it again."""
    url = object.__new__(httpx.URL)
    url._uri_reference = ParseResult(*parts)
    return url


def has_leftovers(connection: Any) -> bool:
    """Whether an HTTP/1.1 exchange of httpcore has read bytes beyond its response."""
    exchange = _innermost(connection, "_h11_state")
    return exchange is not None and bool(exchange._h11_state.trailing_data[0])


def h2_state_of(connection: Any) -> Any:
    """Return the state of h2 that an HTTP/2 connection of httpcore keeps."""
    return _innermost(connection, "_h2_state")._h2_state


def pending_events_of(connection: Any) -> dict[int, list[Any]]:
    """Return the events that have arrived for each stream and weren't read yet."""
    events: dict[int, list[Any]] = _innermost(connection, "_h2_state")._events
    return events


def drop_surplus_permits(connection: Any) -> None:
    """Drop the permits for streams beyond those that httpcore means to have."""
    http2 = _innermost(connection, "_h2_state")
    permits = getattr(http2, "_max_streams_semaphore", None)
    if permits is not None:
        while permits._anyio_semaphore.value > http2._max_streams:
            permits._anyio_semaphore.acquire_nowait()


def unacknowledged_bytes(h2_state: Any) -> int:
    """Return the bytes by which the inbound window of a connection is short of its maximum.

    Those that h2 already counts as processed, and will give back, are left out.
    """
    window = h2_state._inbound_flow_control_window_manager
    short: int = window.max_window_size - window.current_window_size - window._bytes_processed
    return short


def _innermost(connection: Any, attribute: str) -> Any:
    """Find the exchange that has an attribute, inside the connections that lead to it."""
    while connection is not None and not hasattr(connection, attribute):
        inner = getattr(connection, "_connection", None)
        connection = getattr(connection, "exchange", None) if inner is None else inner
    return connection
