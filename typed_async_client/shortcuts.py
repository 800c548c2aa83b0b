"""Two functions for convenience: create a client, or send one request without one."""

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from typed_async_client.client import AsyncResilientClient
from typed_async_client.context import RequestContext
from typed_async_client.httpx_types import TimeoutTypes
from typed_async_client.option_checks import check_single_request_options
from typed_async_client.options import ClientOptions, RequestOptions, SingleRequestOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["create_async_resilient_client", "simple_async_request"]

T = TypeVar("T")

_REQUEST_OPTIONS = frozenset(RequestOptions.__annotations__)


def create_async_resilient_client(**options: Unpack[ClientOptions]) -> AsyncResilientClient:
    """Create a client to use in ``async with``; the options are those of ``AsyncResilientClient``.

    Example:
        >>> client = create_async_resilient_client(timeout=5.0, max_retries=3)
    """
    return AsyncResilientClient(**options)


@overload
async def simple_async_request(
    method: str,
    url: "httpx.URL | str",
    *,
    max_retries: int = 2,
    timeout: TimeoutTypes = 10.0,  # noqa: ASYNC109 - passed to httpx
    context: RequestContext | None = None,
    response_model: None = None,
    **options: Unpack[SingleRequestOptions],
) -> "httpx.Response": ...


@overload
async def simple_async_request(
    method: str,
    url: "httpx.URL | str",
    *,
    max_retries: int = 2,
    timeout: TimeoutTypes = 10.0,  # noqa: ASYNC109 - passed to httpx
    context: RequestContext | None = None,
    response_model: type[T],
    **options: Unpack[SingleRequestOptions],
) -> T: ...


@overload
async def simple_async_request(
    method: str,
    url: "httpx.URL | str",
    *,
    max_retries: int = 2,
    timeout: TimeoutTypes = 10.0,  # noqa: ASYNC109 - passed to httpx
    context: RequestContext | None = None,
    response_model: Any,
    **options: Unpack[SingleRequestOptions],
) -> Any: ...


async def simple_async_request(
    method: str,
    url: "httpx.URL | str",
    *,
    max_retries: int = 2,
    timeout: TimeoutTypes = 10.0,  # noqa: ASYNC109 - passed to httpx
    context: RequestContext | None = None,
    response_model: Any = None,
    **options: Unpack[SingleRequestOptions],
) -> Any:
    """Send one request with a client created for it, and return the response.

    Args:
        method: the HTTP method.
        url: the URL.
        max_retries: retries after a connect failure.
        timeout: seconds for each of connect, read, write and pool, as in httpx; a single request
            doesn't wait for the pool. It applies to an ``http_client`` too.
        context: the id and the retry limits of the request, instead of ``max_retries``.
        response_model: the type to decode the body as, which is returned then; None for the response.
        **options: options of the request (json, headers, ...) or of the client (verify, ...).

    Raises:
        TypeError: an option is unknown, or no decoder knows the ``response_model``; nothing has been
            sent.
        ConnectError: every allowed attempt to connect has failed.
        InsecureRedirectError: a redirect from https to http asks for the body, or for a header that
            ``redirect_headers`` names.
        httpx.HTTPError: any other failure.
        httpx.InvalidURL: the URL is invalid.

    Example:
        >>> async def main() -> None:
        ...     response = await simple_async_request("GET", "https://example.org/")
        ...     print(response.status_code)
    """
    check_single_request_options(options)
    client_options: dict[str, Any] = {**options}
    request_options = {
        name: client_options.pop(name) for name in _REQUEST_OPTIONS & client_options.keys()
    }
    timed = client_options if client_options.get("http_client") is None else request_options
    timed["timeout"] = timeout
    if response_model is not None:
        request_options["response_model"] = response_model
    async with AsyncResilientClient(max_retries=max_retries, **client_options) as client:
        return await client.request(method, url, context, **request_options)
