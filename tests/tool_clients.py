"""What tools are tried with: our client, and httpx's clients on our transports."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport

__all__ = ["Open", "Post", "open_async", "open_both", "resilient_client"]

Post = Callable[[str], Awaitable[httpx.Response]]
Open = Callable[[], contextlib.AbstractAsyncContextManager[Post]]


@contextlib.asynccontextmanager
async def resilient_client() -> AsyncIterator[Post]:
    """Post with the client."""
    async with AsyncResilientClient() as client:

        async def post(url: str) -> httpx.Response:
            return await (await client.post(url, content=b"pay 5"))

        yield post


@contextlib.asynccontextmanager
async def pool_transport() -> AsyncIterator[Post]:
    """Post with httpx's client on our pool."""
    async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
        yield lambda url: client.post(url, content=b"pay 5")


@contextlib.asynccontextmanager
async def resilient_transport() -> AsyncIterator[Post]:
    """Post with httpx's client and our retries."""
    async with httpx.AsyncClient(transport=ResilientTransport()) as client:
        yield lambda url: client.post(url, content=b"pay 5")


@contextlib.asynccontextmanager
async def resilient_transport_sync() -> AsyncIterator[Post]:
    """Post with httpx's synchronous client and our retries, in a thread."""
    with httpx.Client(transport=ResilientTransport()) as client:
        yield lambda url: asyncio.to_thread(client.post, url, content=b"pay 5")


_ASYNC = (resilient_client, pool_transport, resilient_transport)
_BOTH = (*_ASYNC, resilient_transport_sync)

open_async = pytest.mark.parametrize("open_post", _ASYNC, ids=lambda made: made.__name__)
"""Each asynchronous client."""

open_both = pytest.mark.parametrize("open_post", _BOTH, ids=lambda made: made.__name__)
"""Each client, the synchronous one included."""
