"""The options that httpx takes, by name and type, and the snapshot of them that a request keeps.

An unknown option is refused before anything is sent.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from typed_async_client.copies import copy_option
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
)

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = [
    "BackendName",
    "ClientOptions",
    "HttpClient",
    "HttpxClientOptions",
    "RequestOptions",
    "check_client_options",
    "snapshot",
]


BackendName: TypeAlias = Literal["aiohttp", "pyreqwest"]
"""Libraries that a client can send through in place of our own pool, each an extra."""


class HttpClient(Protocol):
    """What a client that is brought along must have: ``httpx.AsyncClient``'s method ``request``.

    An ``httpx.AsyncClient`` and an ``httpx2.AsyncClient`` are such clients; their responses and
    errors reach the caller as they are, and a raw error that they let out becomes httpx's.

    A resilient client adds hooks to ``event_hooks``, where there are some, that count what an
    attempt sends; they go when it closes. Of a client without them nothing is known but its
    errors: after a connect failure, idempotent requests alone are sent again, for an earlier
    hop of the attempt may have been processed.
    """

    def request(self, method: str, url: Any, /, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send one request and give its response; the options are those of ``httpx``."""


class RequestOptions(TypedDict, total=False):
    """What one request may be given. The meaning of each option is httpx's."""

    content: RequestContent
    data: RequestData
    files: RequestFiles
    json: Any
    params: QueryParamTypes
    headers: HeaderTypes
    cookies: CookieTypes
    auth: AuthTypes | None
    follow_redirects: bool
    timeout: TimeoutTypes
    extensions: RequestExtensions


class HttpxClientOptions(TypedDict, total=False):
    """What an ``httpx.AsyncClient`` may be given. The meaning of each option is httpx's."""

    auth: AuthTypes
    params: QueryParamTypes
    headers: HeaderTypes
    cookies: CookieTypes
    verify: "ssl.SSLContext | str | bool"
    cert: CertTypes
    http1: bool
    http2: bool
    proxy: ProxyTypes
    mounts: "Mapping[str, httpx.AsyncBaseTransport | None]"
    timeout: TimeoutTypes
    follow_redirects: bool
    limits: "httpx.Limits"
    max_redirects: int
    event_hooks: "Mapping[str, list[Callable[..., Any]]]"
    base_url: "httpx.URL | str"
    transport: "httpx.AsyncBaseTransport | BackendName"
    trust_env: bool
    default_encoding: "str | Callable[[bytes], str]"


class ClientOptions(HttpxClientOptions, total=False):
    """What an ``AsyncResilientClient`` may be given: our options and httpx's."""

    event_queue_size: int
    max_retries: int
    base_delay: float
    backoff_factor: float
    max_delay: float
    max_concurrent_requests: int | None
    max_results: int
    max_result_age: float
    grace: float
    random: Callable[[], float]
    http_client: HttpClient | None


_KNOWN = frozenset(RequestOptions.__annotations__)


def check_client_options(options: Mapping[str, Any], random: object) -> None:
    """Make sure that a client gets no option that nobody takes.

    Raises:
        TypeError: an option is unknown, or ``random`` cannot be called.
    """
    unknown = options.keys() - HttpxClientOptions.__annotations__.keys()
    if unknown:
        known = ", ".join(sorted(ClientOptions.__annotations__))
        raise TypeError(
            f"unknown client option {', '.join(sorted(unknown))}: a client takes {known}"
        )
    if not callable(random):
        raise TypeError(f"random must be callable and give numbers in [0, 1), got {random!r}")


def snapshot(options: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the options of a request, so that what the caller changes later is not sent.

    A request is sent after its submission, and again at each retry; every attempt must send
    what was submitted. Streams, files and callables cannot be copied and are shared.

    Raises:
        TypeError: an option is unknown, or a body cannot be sent; nothing has been sent.
    """
    unknown = options.keys() - _KNOWN
    if unknown:
        raise TypeError(
            f"unknown request option {', '.join(sorted(unknown))}: "
            f"a request takes {', '.join(sorted(_KNOWN))}"
        )
    return {name: copy_option(name, value) for name, value in options.items()}
