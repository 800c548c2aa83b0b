"""The options of a client and of a request, by name and type, and the copy that a request keeps.

An unknown option raises before anything is sent.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from typed_async_client.bodies import encode_body
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
    UseClientDefault,
)
from typed_async_client.limit_checks import check_limits, check_timeout
from typed_async_client.policies.resilience import Resilience
from typed_async_client.spelling import check_names

if TYPE_CHECKING:
    import ssl

    import httpx

    from typed_async_client.stores import StateStore

__all__ = [
    "REDIRECT_OPTIONS",
    "BackendName",
    "ClientOptions",
    "HttpClient",
    "HttpxClientOptions",
    "RequestOptions",
    "SingleRequestOptions",
    "check_client_options",
    "check_single_request_options",
    "may_copy",
    "snapshot",
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
    """The options of one request, which mean what they mean in httpx; the last four are ours."""

    timeout: TimeoutTypes | UseClientDefault
    resilience: Resilience | None
    deadline: float | None
    idempotency_key: str | None
    raise_on_status: bool | None


class RedirectOptions(TypedDict, total=False):
    """What a redirect to another origin carries, in addition to what it always does."""

    redirect_headers: Iterable[str]
    allow_insecure_redirects: bool


REDIRECT_OPTIONS = frozenset(RedirectOptions.__annotations__)


class _TransportOptions(TypedDict, total=False):
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
    transport: "httpx.AsyncBaseTransport | BackendName | None"
    trust_env: bool
    default_encoding: "str | Callable[[bytes], str]"
    resend_on_closed: bool


class HttpxClientOptions(_TransportOptions, RedirectOptions, total=False):
    """The options of an ``httpx.AsyncClient``, which mean what they mean in httpx.

    Those for redirects, and ``resend_on_closed`` of ``AsyncPoolTransport``, are this package's.
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


_KNOWN = frozenset({*RequestOptions.__annotations__, "context"})

_OF_CONTEXTS = (
    "base_delay",
    "backoff_factor",
    "max_delay",
    "max_retries",
    "metadata",
    "request_id",
)

_ELSEWHERE = {
    **{
        name: f"{name} is an option of the client: pass it there"
        for name in ClientOptions.__annotations__.keys() - _KNOWN
    },
    **{name: f"pass context=client.new_context({name}=...)" for name in _OF_CONTEXTS},
    "stream": "a request reads its body; stream it with httpx.AsyncClient(transport="
    "ResilientTransport()).stream(...)",
}
"""Names that aren't options of a request, and what to do instead."""

_NOT_OF_CLIENTS = {
    **{
        name: f"pass limits=httpx.Limits({name}=...)"
        for name in ("max_connections", "max_keepalive_connections", "keepalive_expiry")
    },
    **{
        field.name: f"pass resilience=Resilience({field.name}=...)"
        for field in dataclasses.fields(Resilience)
    },
}
"""Names that aren't options of a client, and what to do instead."""


def check_single_request_options(options: Mapping[str, Any]) -> None:
    """Check the options of ``simple_async_request()``.

    Raises:
        TypeError: an option is neither one of a request nor one of a client.
    """
    check_names(
        "option",
        options,
        [*SingleRequestOptions.__annotations__, "context", "max_retries", "timeout"],
    )


def check_client_options(options: Mapping[str, Any], random: object) -> None:
    """Check the options of a client.

    Raises:
        TypeError: an option is unknown, ``random`` isn't callable, or a limit isn't a number.
        ValueError: a limit or a timeout is too small.
    """
    check_names("client option", options, ClientOptions.__annotations__, _NOT_OF_CLIENTS)
    check_timeout(options.get("timeout"))
    if "limits" in options:
        check_limits(options["limits"])
    if not callable(random):
        raise TypeError(f"random must be callable and return a number in [0, 1), got {random!r}")


def may_copy(options: Mapping[str, Any]) -> bool:
    """Whether two attempts can send the body at the same time: it is in memory, as a whole.

    Args:
        options: what ``snapshot`` returned.
    """
    content = options.get("content")
    return not options.get("files") and (content is None or isinstance(content, bytes | str))


def snapshot(options: Mapping[str, Any], client: Any) -> dict[str, Any]:
    """Copy the options of a request, so that later changes by the caller aren't sent.

    A request is sent after it was submitted, and again for each retry; every attempt must send
    what was submitted. Streams, files and callables can't be copied and are shared.

    Args:
        options: the options.
        client: the httpx client that will send the request.

    Raises:
        TypeError: an option is unknown, or a body can't be sent; nothing has been sent.
        ValueError: the same, for a JSON number that is infinite or not a number, and for a
            negative timeout.
    """
    check_names("request option", options, _KNOWN, _ELSEWHERE)
    if "timeout" in options:
        check_timeout(options["timeout"])
    chosen = dict(options)
    encode_body(chosen, client)
    return {name: copy_option(name, value) for name, value in chosen.items()}
