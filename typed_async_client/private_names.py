"""All private names of other libraries, asyncio included, that this package uses, in one table.

Each row names what is used, in which files, and what for. The tests check that every name exists in the
installed versions, and that no unlisted one is used anywhere.
"""

from typing import NamedTuple

__all__ = ["PRIVATE_NAMES", "PrivateName"]


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
_ORPHANS = ("pool/orphans.py",)
_FAST_PATH = ("httpx_client/fast_path.py",)
_REDIRECTS = ("httpx_client/redirects.py",)
_BOUNDED = ("pool/bounded.py",)
_RESPONSE = ("pool/response.py",)
_PACKED = ("httpx_client/packed.py",)
_ABANDONED = ("net/abandoned.py",)

_CLIENT, _MODELS, _CONTENT = "httpx._client", "httpx._models", "httpx._content"
_SELECTOR = "asyncio.selector_events"
_AS_HTTP11 = "httpcore._async.http11"

PRIVATE_NAMES: tuple[PrivateName, ...] = (
    # The client of httpx.
    PrivateName(_CLIENT, "", "BoundAsyncStream", _HERE, "the wrapper that httpx puts on a body"),
    PrivateName(_CLIENT, "", "UseClientDefault", ("httpx_types.py",), "the type of an option"),
    PrivateName(_CLIENT, "BoundAsyncStream", "_stream", _HERE, "the body inside the wrapper"),
    PrivateName(_CLIENT, "AsyncClient", "_send_handling_auth", _FAST_PATH, "skips unused auth"),
    PrivateName(_CLIENT, "AsyncClient", "_send_handling_redirects", _FAST_PATH, "the next stage"),
    PrivateName(_CLIENT, "AsyncClient", "_send_single_request", _FAST_PATH, "a cheaper send"),
    PrivateName(
        _CLIENT, "AsyncClient", "_transport_for_url", (*_FAST_PATH, *_HERE), "honours mounts"
    ),
    PrivateName(_CLIENT, "BaseClient", "_merge_cookies", _FAST_PATH, "doesn't copy the jar"),
    PrivateName(_CLIENT, "BaseClient", "_build_redirect_request", _REDIRECTS, "carries no secret"),
    PrivateName(_CLIENT, "BaseClient", "_build_request_auth", _REDIRECTS, "the same, with send()"),
    PrivateName(_CLIENT, "BaseClient", "_redirect_method", _REDIRECTS, "the method of the next"),
    PrivateName(_CLIENT, "BaseClient", "_redirect_url", _REDIRECTS, "the URL of the next"),
    PrivateName(_CLIENT, "AsyncClient", "_transport", _HERE, "a client's transport"),
    PrivateName(_CLIENT, "AsyncClient", "_mounts", _HERE, "a client's other transports"),
    PrivateName(_CLIENT, "BaseClient", "_state", _HERE, "whether a client is closed"),
    # The messages of httpx.
    PrivateName(_CONTENT, "AsyncIteratorByteStream", "_stream", _HERE, "the source of a body"),
    PrivateName(_CONTENT, "IteratorByteStream", "_stream", _HERE, "the same, synchronous"),
    PrivateName(
        _CONTENT, "AsyncIteratorByteStream", "_is_stream_consumed", _HERE, "whether it was begun"
    ),
    PrivateName(
        _CONTENT, "IteratorByteStream", "_is_stream_consumed", _HERE, "the same, synchronous"
    ),
    PrivateName(_MODELS, "Request", "_content", _HERE + _PACKED, "the body, if it was read"),
    PrivateName(
        _MODELS,
        "Response",
        "_content",
        _BOUNDED + _RESPONSE + _PACKED,
        "the decoded body",
    ),
    PrivateName(_MODELS, "Response", "_num_bytes_downloaded", _RESPONSE, "num_bytes_downloaded"),
    PrivateName(
        _MODELS,
        "Response",
        "_get_content_decoder",
        _HERE + _BOUNDED + _RESPONSE,
        "the decoder of the coding",
    ),
    PrivateName(_MODELS, "Response", "_cookies", _HERE, "a cache that copies must not share"),
    PrivateName(
        _MODELS,
        "Response",
        "_decoder",
        _HERE + _BOUNDED + _PACKED,
        "is replaced, and later dropped",
    ),
    PrivateName(_MODELS, "Response", "_elapsed", _PACKED, "can't be marshalled"),
    PrivateName(_MODELS, "Response", "_request", _PACKED, "is packed separately"),
    PrivateName("httpx._urls", "URL", "_uri_reference", _HERE, "a URL as it was parsed"),
    PrivateName("httpx._urlparse", "", "ParseResult", _HERE, "the parts of a URL"),
    # The pools and connections of httpcore.
    PrivateName(
        "httpx._transports.default",
        "AsyncHTTPTransport",
        "_pool",
        ("private.py", "pool/transport.py", "transports/defaults.py"),
        "the pool, ours in our own transports",
    ),
    PrivateName(
        "httpcore._async.connection_pool",
        "AsyncConnectionPool",
        "_max_connections",
        _HERE,
        "how many requests may use it at once",
    ),
    PrivateName(
        "httpcore._async.connection_pool",
        "AsyncConnectionPool",
        "_requests",
        _ORPHANS,
        "which connections belong to a request",
    ),
    PrivateName(
        "httpcore._async.connection_pool",
        "AsyncConnectionPool",
        "_connections",
        _ORPHANS,
        "from which lost connections are removed",
    ),
    PrivateName(
        "httpcore._async.connection_pool",
        "AsyncConnectionPool",
        "_assign_requests_to_connections",
        _ORPHANS,
        "serves those that wait",
    ),
    PrivateName(
        "httpcore._models", "Response", "_stream_consumed", ("wire/messages.py",), "is set"
    ),
    PrivateName("httpcore._trace", "", "Trace", _HERE, "the trace extension and DEBUG logs"),
    # What is left of a connection that nobody has closed.
    PrivateName(
        _SELECTOR, "_SelectorSocketTransport", "_read_ready_cb", _ABANDONED, "a cycle, to be broken"
    ),
    PrivateName(
        _SELECTOR, "_SelectorTransport", "_call_connection_lost", _ABANDONED, "closes the socket"
    ),
    PrivateName(_SELECTOR, "_SelectorTransport", "_closing", _ABANDONED, "is set with it"),
    PrivateName(
        "asyncio.sslproto", "_SSLProtocolTransport", "_ssl_protocol", _HERE, "the socket below TLS"
    ),
    PrivateName(
        "asyncio.sslproto", "_SSLProtocolTransport", "_force_close", _HERE, "fails in TLS in TLS"
    ),
    PrivateName("asyncio.tasks", "Task", "_log_destroy_pending", _HERE, "its loop is closed"),
    PrivateName(
        "aiohttp.connector",
        "BaseConnector",
        "_conns",
        ("transports/backends/aiohttp.py",),
        "its idle connections",
    ),
)
