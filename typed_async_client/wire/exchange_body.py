"""The body of a response, however it is received: what the bodies of both protocols have in common."""

import abc
from collections.abc import AsyncIterator

import httpcore

from typed_async_client.wire.trace import Trace, run_traced

__all__ = ["ExchangeBody", "closed_error"]


def closed_error() -> httpcore.ReadError:
    """Return the error of reading a body that was closed, maybe by another task: no fault of the server."""
    return httpcore.ReadError("the response was closed")


class ExchangeBody(abc.ABC):
    """A body that is read part by part or as a whole; whatever stops that ends the exchange."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._traced_parts() if self._is_traced else self

    async def __anext__(self) -> bytes:
        try:
            part = await self._next_part()
        except BaseException:
            await self.aclose()
            raise
        if not part:
            raise StopAsyncIteration
        return part

    async def read_whole(self) -> bytes:
        """Read and return the rest of the body."""
        try:
            if not self._is_traced:
                return await self._read_rest()
            return await run_traced(self._trace(), self._read_rest())
        except BaseException:
            await self.aclose()
            raise

    @abc.abstractmethod
    async def aclose(self) -> None:
        """End the exchange."""

    @property
    @abc.abstractmethod
    def _is_traced(self) -> bool:
        """Whether it is reported to a ``trace`` extension or a logger."""

    @abc.abstractmethod
    def _trace(self) -> Trace:
        """Return what reports that the body is received."""

    @abc.abstractmethod
    async def _next_part(self) -> bytes:
        """Return the next part; empty at the end."""

    @abc.abstractmethod
    async def _read_rest(self) -> bytes:
        """Return the rest of the body, joined."""

    async def _traced_parts(self) -> AsyncIterator[bytes]:
        try:
            async with self._trace():
                while part := await self._next_part():
                    yield part
        except BaseException:
            await self.aclose()
            raise
