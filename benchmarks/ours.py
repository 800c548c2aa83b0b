"""Opens our own client, over each transport that it is compared on.

The client is used as in a service: it keeps every result, and has callbacks on retries and
failures.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Literal

import httpx
from peers import TIMEOUT, Get, Opener, limits

from typed_async_client import AsyncEvent, AsyncPoolTransport, AsyncResilientClient, EventType

__all__ = ["over_httpx_aiohttp", "over_pool", "over_pyreqwest", "pool"]

MakeTransport = Callable[[int], httpx.AsyncBaseTransport]


def pool(http11: Literal["h11", "llhttp"]) -> MakeTransport:
    """Return a function that makes transports over our own pool."""
    return lambda size: AsyncPoolTransport(limits=limits(size), http11=http11)


def over_pool(http11: Literal["h11", "llhttp"]) -> Opener:
    """Return an opener of the client over its own pool."""
    return _resilient(pool(http11))


def over_httpx_aiohttp(size: int) -> contextlib.AbstractAsyncContextManager[Get]:
    """Open the client over httpx-aiohttp's transport."""
    from httpx_aiohttp import AiohttpTransport

    return _resilient(lambda size: AiohttpTransport(limits=limits(size)))(size)


def over_pyreqwest(size: int) -> contextlib.AbstractAsyncContextManager[Get]:
    """Open the client over pyreqwest's transport for httpx."""
    from pyreqwest.client import ClientBuilder
    from pyreqwest.compatibility.httpx import HttpxTransport

    def make(size: int) -> httpx.AsyncBaseTransport:
        builder = ClientBuilder().max_connections(size).pool_max_idle_per_host(size)
        transport: httpx.AsyncBaseTransport = HttpxTransport(builder.build())
        return transport

    return _resilient(make)(size)


def _resilient(make: MakeTransport) -> Opener:
    @contextlib.asynccontextmanager
    async def opened(size: int) -> AsyncIterator[Get]:
        async with AsyncResilientClient(transport=make(size), timeout=TIMEOUT) as client:
            for kind in (EventType.RETRY, EventType.ERROR, EventType.TIMEOUT):
                client.add_event_callback(kind, _ignore)

            async def get(url: str) -> bytes:
                return (await (await client.get(url))).content

            yield get

    return opened


def _ignore(_: AsyncEvent) -> None:
    """Stand in for a service's handling of failures; it is never called."""
