"""The ways to make a request by its method: for its task, for its response or value, for its result.

Each has overloads: with ``response_model=T``, a type checker knows that the value is a ``T``. Types that
``type[T]`` doesn't cover, such as ``int | None``, give ``Any``.
"""

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from typed_async_client.context import RequestContext
from typed_async_client.engine.fetched import FetchRun, failure_of, fetched
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.errors import ClientClosedError, DeadlineExceededError
from typed_async_client.options import RequestOptions
from typed_async_client.results import RequestResult
from typed_async_client.streaming import Streaming

if TYPE_CHECKING:
    import asyncio

    import httpx

__all__ = ["TypedRequests"]

T = TypeVar("T")


class TypedRequests(Streaming):
    """The part of a client that makes requests by the name of their method."""

    @overload
    async def request_async(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def request_async(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def request_async(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def request_async(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Any,
    ) -> "asyncio.Task[Any]":
        """Submit a request. Awaiting this admits it; awaiting the returned task completes it.

        Admission waits while ``max_concurrent_requests`` requests are in flight, or while more
        than ``event_queue_size`` events are waiting for their callbacks.

        Args:
            method: the HTTP method, in upper or lower case; any token is one, such as PROPFIND.
            url: the URL.
            context: the request's id and retry limits; defaults to a random id and the client's
                limits.
            **options: options of ``httpx.AsyncClient.request``. Those not given aren't passed on.
                Mutable values are copied here, so that each attempt sends the same request. Ours
                are ``resilience``, the policies of this request; ``deadline``, the seconds that it
                may take in all; ``idempotency_key``, a header that lets a server recognize a
                request that it receives twice, so that any method may be retried;
                ``raise_on_status``, whether a status of 400 or above is raised;
                ``max_response_bytes``, the bytes that the body of the response may have; and
                ``response_model``, the type that the body is decoded as: a dataclass, a
                ``TypedDict``, types of JSON values such as ``list[int]``, ``str`` or ``bytes`` for the
                body itself, a pydantic model, a ``msgspec.Struct``, or what a decoder in ``decoders``
                knows. A status of 400 or above is raised then, unless ``raise_on_status`` is False.

        Returns:
            The task of the request. Its result is the ``httpx.Response`` or, with
            ``response_model``, what its body was decoded as; cancelling it cancels the request.

        Raises:
            ValueError: the method isn't a token (RFC 9110), or the context has no attempts left.
            TypeError: an option is unknown, a body can't be sent, or no decoder knows the
                ``response_model``.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.
        """
        task, _ = await self._launch(method, url, context, options)
        return task

    @overload
    async def request(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> "httpx.Response": ...

    @overload
    async def request(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> T: ...

    @overload
    async def request(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> Any: ...

    async def request(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Any,
    ) -> Any:
        """Submit a request and wait for its response: ``request_async()`` in one ``await``.

        Args:
            method: the HTTP method.
            url: the URL.
            context: the request's id and retry limits.
            **options: options of ``httpx.AsyncClient.request`` and ours; see ``request_async()``.

        Returns:
            The response; with ``response_model``, what its body was decoded as.

        Raises:
            Exception: whatever ``request_async()`` or the request itself raises.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         print((await client.request("GET", "https://example.org/")).text)
        """
        return await (await self.request_async(method, url, context, **options))

    @overload
    async def fetch(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> RequestResult: ...

    @overload
    async def fetch(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> RequestResult[T]: ...

    @overload
    async def fetch(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> RequestResult[Any]: ...

    async def fetch(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Any,
    ) -> RequestResult[Any]:
        """Make a request and return its result, whether it succeeded or failed.

        A status of 400 or above is a failure, unless ``raise_on_status=False`` is passed. So are a
        timeout, a refusal by a policy, a body that can't be decoded, and a request that is cancelled
        because the client is closed.

        Args:
            method: the HTTP method.
            url: the URL.
            context: the request's id and retry limits.
            **options: options of ``httpx.AsyncClient.request`` and ours; see ``request_async()``.

        Returns:
            A ``SuccessResult``, whose ``value`` is the response or, with ``response_model``, what its
            body was decoded as; or a ``FailureResult`` with the ``error`` and its ``kind``.

        Raises:
            ValueError: an option is invalid; nothing was sent.
            TypeError: an option is unknown, or no decoder knows the ``response_model``; likewise.
            RuntimeError: the client is closed, or belongs to another loop, thread or process.
            CancelledError: the caller was cancelled, and the request with it.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         match await client.fetch("GET", "https://example.org/", response_model=dict):
            ...             case SuccessResult(value=found):
            ...                 print(found)
            ...             case FailureResult(kind=kind, error=error):
            ...                 print(kind, error)
        """
        if options.get("raise_on_status") is None:
            options["raise_on_status"] = True
        runs: list[FetchRun] = []

        def make_run(*args: Any, **options: Any) -> FetchRun:
            runs.append(FetchRun(*args, **options))
            return runs[0]

        try:
            task, _ = await self._launch(method, url, context, options, make_run=make_run)
        except (ClientClosedError, DeadlineExceededError) as error:
            if not runs:  # it was closed before
                raise
            return failure_of(runs[0], error)
        return await fetched(runs[0], task)
