"""One method per HTTP verb; each calls ``request_async`` with its method."""

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from typed_async_client.context import RequestContext
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.options import RequestOptions
from typed_async_client.typed_requests import TypedRequests

if TYPE_CHECKING:
    import asyncio

    import httpx

__all__ = ["Verbs"]

T = TypeVar("T")


class Verbs(TypedRequests):
    """Submits requests by verb, with the arguments of ``request_async`` after ``method``."""

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
    ) -> Any:
        """Submit a GET request."""
        return await self.request_async("GET", url, context, **options)

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
    ) -> Any:
        """Submit a HEAD request."""
        return await self.request_async("HEAD", url, context, **options)

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
    ) -> Any:
        """Submit an OPTIONS request."""
        return await self.request_async("OPTIONS", url, context, **options)

    @overload
    async def post(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def post(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def post(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def post(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> Any:
        """Submit a POST request."""
        return await self.request_async("POST", url, context, **options)

    @overload
    async def put(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def put(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def put(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def put(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> Any:
        """Submit a PUT request."""
        return await self.request_async("PUT", url, context, **options)

    @overload
    async def delete(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def delete(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def delete(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def delete(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> Any:
        """Submit a DELETE request."""
        return await self.request_async("DELETE", url, context, **options)

    @overload
    async def patch(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def patch(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def patch(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def patch(
        self, url: "httpx.URL | str", context: RequestContext | None = None, **options: Any
    ) -> Any:
        """Submit a PATCH request."""
        return await self.request_async("PATCH", url, context, **options)
