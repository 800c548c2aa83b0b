"""A base class for transports that wrap another one: it passes on entering, leaving and closing."""

from types import TracebackType
from typing import Self

import httpx

__all__ = ["AsyncWrapper"]


class AsyncWrapper(httpx.AsyncBaseTransport):
    """Enters, leaves and closes the wrapped transport as it is itself.

    Args:
        inner: the transport to wrap.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    @property
    def inner(self) -> httpx.AsyncBaseTransport:
        """The wrapped transport."""
        return self._inner

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc, traceback)
