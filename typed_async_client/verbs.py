"""One method per HTTP verb; each calls ``request_async`` with its method."""

import abc
from typing import TYPE_CHECKING, Unpack

from typed_async_client.context import RequestContext
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.options import RequestOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["Verbs"]


class Verbs(abc.ABC):
    """Submits requests by verb, with the arguments of ``request_async`` after ``method``."""

    @abc.abstractmethod
    async def request_async(
        self,
        method: str,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a request; awaiting this admits it, awaiting the returned task completes it."""

    async def get(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a GET request."""
        return await self.request_async("GET", url, context, **options)

    async def post(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a POST request."""
        return await self.request_async("POST", url, context, **options)

    async def put(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a PUT request."""
        return await self.request_async("PUT", url, context, **options)

    async def delete(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a DELETE request."""
        return await self.request_async("DELETE", url, context, **options)

    async def patch(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a PATCH request."""
        return await self.request_async("PATCH", url, context, **options)

    async def head(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit a HEAD request."""
        return await self.request_async("HEAD", url, context, **options)

    async def options(
        self,
        url: "httpx.URL | str",
        context: RequestContext | None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask:
        """Submit an OPTIONS request."""
        return await self.request_async("OPTIONS", url, context, **options)
