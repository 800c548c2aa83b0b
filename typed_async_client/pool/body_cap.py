"""The limit on the size of a response body, ``max_response_bytes``, and the body that is kept to it."""

import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import httpx

from typed_async_client.errors import ResponseTooLargeError
from typed_async_client.wording import format_server

__all__ = ["MAX_RESPONSE_BYTES", "BodyCap", "CappedBody"]

MAX_RESPONSE_BYTES: Final = "typed_async_client.max_response_bytes"
"""The extension of a request that limits the body of its response, in bytes."""


class BodyCap:
    """The limit of one response.

    Args:
        limit: bytes of the decoded body, at most.
        request: the request that is answered, of httpx or httpx2.
        response: the response, which isn't kept alive.

    Attributes:
        limit: the same.
        received_limit: bytes to receive, at most, of a body that is decoded. Compressing can make data
            longer, if only by a little; without any limit, a body that decodes to nothing has no end.
    """

    def __init__(self, limit: int, request: Any, response: Any) -> None:
        self._request = request
        self._response = weakref.ref(response)
        self.limit: int = limit
        self.received_limit: int = limit + limit // 8 + 64 * 1024

    def check_decoded(self, size: int, is_last: bool) -> None:  # noqa: FBT001 - called for each piece
        """Raise if a body is decoded to too many bytes; between two codings, they may be a few more.

        Raises:
            ResponseTooLargeError: it is.
        """
        if size > (self.limit if is_last else self.received_limit):
            raise self.error(f"it is decoded to at least {size} bytes")

    def error(self, found: str) -> ResponseTooLargeError:
        """Return the error for a body that is too large.

        Args:
            found: how that was found.
        """
        request = self._request
        server = format_server(request.url.scheme, request.url.host, request.url.port)
        return ResponseTooLargeError(
            f"{request.method}: the body of the response from {server} is larger than "
            f"max_response_bytes={self.limit}: {found}",
            request=request,
            limit=self.limit,
            response=self._response(),
        )


class CappedBody(httpx.AsyncByteStream):
    """A response body that ends with an error, and is closed, as soon as it is too long.

    Args:
        stream: the body.
        cap: the limit of the response.
        limit: bytes that may be received.
        declared: the Content-Length; -1 without one.
    """

    _fork_name = "AsyncByteStream"

    def __init__(self, stream: Any, cap: BodyCap, limit: int, declared: int) -> None:
        self._cap = cap
        self._declared = declared
        self._is_closed = False
        self._limit = limit
        self._stream: Any = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._declared > self._limit:
            await self._refuse(f"its Content-Length is {self._declared}")
        received = 0
        parts = aiter(self._stream)
        try:
            async for part in parts:
                received += len(part)
                if received > self._limit:
                    await self._refuse(f"{received} bytes of it were received")
                yield part
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()

    async def aclose(self) -> None:
        """Close the body; once, as some streams allow no more."""
        if not self._is_closed:
            self._is_closed = True
            await self._stream.aclose()

    async def _refuse(self, found: str) -> None:
        await self.aclose()
        raise self._cap.error(found)  # not kept in a variable, which its traceback would refer to
