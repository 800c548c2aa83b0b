"""Response bodies whose errors say which request failed, as those of the heads do."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, cast

import httpx

from typed_async_client.described import with_message
from typed_async_client.httpx_errors import as_httpx_error
from typed_async_client.pool.decoding import leave_slice_encoded
from typed_async_client.pool.response import WholeResponse
from typed_async_client.translation import ErrorTranslation

__all__ = ["describe_body"]


def describe_body(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    """Let the body of a response raise errors with a message, unless it is in memory or our pool's.

    Errors of ssl and h11, which httpx passes on as they are, become httpx's. A 206 response with
    part of a compressed resource isn't decompressed, where httpx would try to do so.
    """
    leave_slice_encoded(response)
    stream: Any = response.stream
    known = httpx.ByteStream | DescribedBody | AsyncDescribedBody
    if response.is_closed or isinstance(response, WholeResponse) or isinstance(stream, known):
        return response
    is_async = hasattr(stream, "__aiter__")  # it may be a stream of httpx2
    kind: type[_Body] = AsyncDescribedBody if is_async else DescribedBody
    if is_async and hasattr(stream, "__iter__"):
        kind = _EitherDescribedBody
    response.stream = cast("httpx.AsyncByteStream", kind(stream, request))
    return response


class _Body:
    def __init__(self, stream: Any, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    def _describe(self, error: Exception) -> Exception:
        return with_message(as_httpx_error(error), self._request, in_body=True)


class DescribedBody(_Body, httpx.SyncByteStream):
    """The body of a response for ``httpx.Client``."""

    def __iter__(self) -> Iterator[bytes]:
        with ErrorTranslation(self._describe):
            yield from self._stream

    def close(self) -> None:
        """Close the body."""
        self._stream.close()


class AsyncDescribedBody(_Body, httpx.AsyncByteStream):
    """The body of a response for ``httpx.AsyncClient``."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        try:
            with ErrorTranslation(self._describe):
                async for part in parts:
                    yield part
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()


class _EitherDescribedBody(AsyncDescribedBody, DescribedBody):
    """The body of a response for either client."""
