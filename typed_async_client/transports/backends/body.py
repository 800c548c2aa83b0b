"""The body of a response from another library, with httpx's errors and httpx's timeouts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

__all__ = ["TranslatedBody"]


class TranslatedBody(httpx.AsyncByteStream):
    """A response body whose errors are translated to httpx's.

    Args:
        stream: the body from the library.
        translated: returns the context in which errors are translated.
        read_timeout: seconds between two parts; None if the library enforces it.
        end: called when the body is closed.
    """

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        translated: Callable[[], contextlib.AbstractContextManager[None]],
        read_timeout: float | None,
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._end: Callable[[], Awaitable[None]] | None = end
        self._stream = stream
        self._translated = translated
        self._read_timeout = read_timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        while (part := await self._next(parts)) is not None:
            yield part

    async def aclose(self) -> None:
        """Close the body, and drop the transport: a response may be kept for longer."""
        translated, self._translated = self._translated, contextlib.nullcontext
        end, self._end = self._end, None
        try:
            with translated():
                await self._stream.aclose()
        finally:
            if end is not None:
                await end()

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes | None:
        scope = asyncio.timeout(self._read_timeout)
        with self._translated():
            try:
                async with scope:
                    return await anext(parts, None)
            except TimeoutError as error:
                if not scope.expired():
                    raise
                raise httpx.ReadTimeout("") from error
