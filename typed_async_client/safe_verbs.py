"""The methods that only read (RFC 9110 section 9.2.1); each calls ``request_async`` with its own."""

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from typed_async_client.context import RequestContext
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.options import RequestOptions
from typed_async_client.typed_requests import TypedRequests

if TYPE_CHECKING:
    import asyncio

    import httpx

__all__ = ["SafeVerbs"]

T = TypeVar("T")


class SafeVerbs(TypedRequests):
    """Submits requests by a verb that changes nothing on the server."""

    @overload
    async def get(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def get(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def get(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def get(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> "asyncio.Task[Any]":
        """Submit a GET request."""
        task: asyncio.Task[Any] = await self.request_async("GET", url, context, **options)
        return task

    @overload
    async def head(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def head(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def head(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def head(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> "asyncio.Task[Any]":
        """Submit a HEAD request."""
        task: asyncio.Task[Any] = await self.request_async("HEAD", url, context, **options)
        return task

    @overload
    async def options(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def options(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def options(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def options(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> "asyncio.Task[Any]":
        """Submit an OPTIONS request."""
        task: asyncio.Task[Any] = await self.request_async("OPTIONS", url, context, **options)
        return task
