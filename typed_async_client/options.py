"""The options of a client and of a request, by name and type."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from typed_async_client.httpx_types import (
    AuthTypes,
    CertTypes,
    CookieTypes,
    HeaderTypes,
    ProxyTypes,
    QueryParamTypes,
    RequestContent,
    RequestData,
    RequestExtensions,
    RequestFiles,
    TimeoutTypes,
    UseClientDefault,
)
from typed_async_client.policies.dns_cache import DnsCache
from typed_async_client.policies.resilience import Resilience

if TYPE_CHECKING:
    import ssl

    import httpx

    from typed_async_client.decoding.protocol import ResponseDecoder
    from typed_async_client.stores import StateStore

__all__ = [
    "POOL_OPTIONS",
    "REDIRECT_OPTIONS",
    "BackendName",
    "ClientOptions",
    "HttpClient",
    "HttpxClientOptions",
    "RequestOptions",
    "SingleRequestOptions",
]


BackendName: TypeAlias = Literal["aiohttp", "pyreqwest"]
"""Libraries that a client can send through instead of our pool; each is an extra."""


class HttpClient(Protocol):
    """What an external client needs: the ``request()`` method of ``httpx.AsyncClient``.

    An ``httpx.AsyncClient`` and an ``httpx2.AsyncClient`` both qualify. Their responses and errors
    reach the caller unchanged, except that raw errors of the libraries below become httpx errors.

    If the client has ``event_hooks``, a resilient client adds hooks that count what each attempt
    sends, and removes them when it closes. Without hooks only the error is known, and an earlier
    hop of the attempt may have been processed; so a connect failure is then retried only if the
    request is idempotent.
    """

    def request(self, method: str, url: Any, /, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send one request and return its response; the options are those of httpx."""


class _TimelessRequestOptions(TypedDict, total=False):
    content: RequestContent | None
    data: RequestData | None
    files: RequestFiles | None
    json: Any
    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    auth: AuthTypes | UseClientDefault | None
    follow_redirects: bool | UseClientDefault
    extensions: RequestExtensions | None


class RequestOptions(_TimelessRequestOptions, total=False):
    """The options of one request, which mean what they mean in httpx; the last five are ours."""

    timeout: TimeoutTypes | UseClientDefault
    resilience: Resilience | None
    deadline: float | None
    idempotency_key: str | None
    raise_on_status: bool | None
    max_response_bytes: int | None


class RedirectOptions(TypedDict, total=False):
    """What a redirect to another origin carries, in addition to what it always does."""

    redirect_headers: Iterable[str]
    allow_insecure_redirects: bool


REDIRECT_OPTIONS = frozenset(RedirectOptions.__annotations__)


class PoolOptions(TypedDict, total=False):
    """What only our own pool has; ``AsyncPoolTransport`` documents it."""

    dns_cache: DnsCache | None
    force_close: bool
    http2_keepalive: float | None
    resend_on_closed: bool


POOL_OPTIONS = frozenset(PoolOptions.__annotations__)


class _TransportOptions(PoolOptions, total=False):
    verify: "ssl.SSLContext | str | bool"
    cert: CertTypes | None
    http1: bool
    http2: bool
    proxy: ProxyTypes | None
    mounts: "Mapping[str, httpx.AsyncBaseTransport | None] | None"
    limits: "httpx.Limits"
    max_redirects: int
    event_hooks: "Mapping[str, list[Callable[..., Any]]] | None"
    base_url: "httpx.URL | str"
    allow_absolute_urls: bool
    transport: "httpx.AsyncBaseTransport | BackendName | None"
    trust_env: bool
    default_encoding: "str | Callable[[bytes], str]"
    cookie_jar: bool


class HttpxClientOptions(_TransportOptions, RedirectOptions, total=False):
    """The options of an ``httpx.AsyncClient``, which mean what they mean in httpx.

    Those for redirects, those of our pool, ``allow_absolute_urls`` and ``cookie_jar`` are this package's.
    """

    auth: AuthTypes | None
    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    timeout: TimeoutTypes
    follow_redirects: bool


class _OwnOptions(TypedDict, total=False):
    event_queue_size: int
    base_delay: float | None
    backoff_factor: float | None
    max_delay: float | None
    resilience: Resilience | None
    store: "StateStore | None"
    middleware: "Iterable[Callable[[Any, Any], Awaitable[httpx.Response]]]"
    raise_on_status: bool
    max_response_bytes: int | None
    max_encodings: int
    decoders: "Iterable[ResponseDecoder]"
    max_concurrent_requests: int | None
    max_results: int
    max_result_bytes: int
    max_result_age: float
    grace: float
    random: Callable[[], float]
    http_client: HttpClient | None


class ClientOptions(HttpxClientOptions, _OwnOptions, total=False):
    """The options of an ``AsyncResilientClient``: its own and httpx's."""

    max_retries: int | None


class SingleRequestOptions(
    _TimelessRequestOptions, _TransportOptions, RedirectOptions, _OwnOptions, total=False
):
    """The options of a request and of the client that is created for it, without the timeout."""

    deadline: float | None
    idempotency_key: str | None
