"""One method per HTTP verb; each calls ``request_async`` with its method."""

import abc
import re
from typing import TYPE_CHECKING, Final, Unpack

from typed_async_client.context import RequestContext
from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.options import RequestOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["Verbs", "checked_method"]

_COMMON: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What RFC 9110 allows as a method: a token (sections 9.1 and 5.6.2)."""


def checked_method(method: str) -> str:
    """Return the method in upper case, as httpx sends it.

    Raises:
        ValueError: it isn't a token, as RFC 9110 section 9.1 requires.
    """
    if method in _COMMON:
        return method
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        raise ValueError(
            f"invalid HTTP method {method!r:.100}: a method is a word such as GET or PROPFIND, of "
            "ASCII letters, digits and !#$%&'*+-.^_`|~"
        )
    return method.upper()


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
