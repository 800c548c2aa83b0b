"""Who is compared: each contestant opens a client for a number of connections and makes GETs.

A contestant whose library is not installed is left out. Each imports its library where it is used,
so that none of them weighs on the others.
"""

import contextlib
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from typed_async_client import AsyncPoolTransport, AsyncResilientClient

__all__ = ["CONTESTANTS", "STOCK", "Get", "available"]

Get = Callable[[str], Awaitable[Any]]
Contestant = Callable[[int], contextlib.AbstractAsyncContextManager[Get]]

STOCK = "httpx"


def limits(size: int) -> httpx.Limits:
    """Allow and keep that many connections."""
    return httpx.Limits(max_connections=size, max_keepalive_connections=size)


@contextlib.asynccontextmanager
async def stock_httpx(size: int) -> AsyncIterator[Get]:
    """Plain httpx on its own pool."""
    async with httpx.AsyncClient(limits=limits(size), timeout=30) as client:
        yield client.get


@contextlib.asynccontextmanager
async def httpx_on_our_pool(size: int) -> AsyncIterator[Get]:
    """Plain httpx on our pool."""
    transport = AsyncPoolTransport(limits=limits(size))
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        yield client.get


@contextlib.asynccontextmanager
async def ours(size: int) -> AsyncIterator[Get]:
    """The resilient client, with contexts, events, monitor and ledger, on its pool."""
    async with AsyncResilientClient(limits=limits(size), timeout=30) as client:

        async def get(url: str) -> httpx.Response:
            return await (await client.get(url))

        yield get


@contextlib.asynccontextmanager
async def ours_on_aiohttp(size: int) -> AsyncIterator[Get]:
    """The resilient client over httpx-aiohttp's transport."""
    from httpx_aiohttp import AiohttpTransport

    transport = AiohttpTransport(limits=limits(size))
    async with AsyncResilientClient(transport=transport, timeout=30) as client:

        async def get(url: str) -> httpx.Response:
            return await (await client.get(url))

        yield get


@contextlib.asynccontextmanager
async def httpx2(size: int) -> AsyncIterator[Get]:
    """The maintained fork of httpx."""
    import httpx2

    bounds = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
    async with httpx2.AsyncClient(limits=bounds, timeout=30) as client:
        yield client.get


@contextlib.asynccontextmanager
async def httpx_retries(size: int) -> AsyncIterator[Get]:
    """A retrying transport around httpx's own."""
    from httpx_retries import RetryTransport

    transport = RetryTransport(httpx.AsyncHTTPTransport(limits=limits(size)))
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        yield client.get


@contextlib.asynccontextmanager
async def tenacity_httpx(size: int) -> AsyncIterator[Get]:
    """Tenacity's decorator around httpx."""
    import tenacity

    retrying: Any = tenacity.retry(stop=tenacity.stop_after_attempt(3))
    async with httpx.AsyncClient(limits=limits(size), timeout=30) as client:
        yield retrying(client.get)


@contextlib.asynccontextmanager
async def httpware(size: int) -> AsyncIterator[Get]:
    """The nearest rival, on httpx2, with its retry middleware."""
    import httpware
    import httpx2

    bounds = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
    inner = httpx2.AsyncClient(limits=bounds, timeout=30)
    async with httpware.AsyncClient(
        httpx2_client=inner, middleware=[httpware.AsyncRetry()]
    ) as client:
        yield client.get


@contextlib.asynccontextmanager
async def httpx_aiohttp(size: int) -> AsyncIterator[Get]:
    """Plain httpx over aiohttp."""
    from httpx_aiohttp import AiohttpTransport

    transport = AiohttpTransport(limits=limits(size))
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        yield client.get


@contextlib.asynccontextmanager
async def aiohttp(size: int) -> AsyncIterator[Get]:
    """The other well-known async client."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=size)) as session:

        async def get(url: str) -> Any:
            async with session.get(url) as response:
                return await response.read()

        yield get


@contextlib.asynccontextmanager
async def aiohttp_retry(size: int) -> AsyncIterator[Get]:
    """Its retrying client."""
    import aiohttp
    import aiohttp_retry

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=size))
    async with aiohttp_retry.RetryClient(client_session=session) as client:

        async def get(url: str) -> Any:
            async with client.get(url) as response:
                return await response.read()

        yield get


@contextlib.asynccontextmanager
async def niquests(size: int) -> AsyncIterator[Get]:
    """A descendant of requests."""
    import niquests

    async with niquests.AsyncSession(pool_connections=10, pool_maxsize=size) as session:

        async def get(url: str) -> Any:
            return (await session.get(url)).content

        yield get


@contextlib.asynccontextmanager
async def pyreqwest(size: int) -> AsyncIterator[Get]:
    """A Rust client."""
    from pyreqwest.client import ClientBuilder

    async with ClientBuilder().pool_max_idle_per_host(size).build() as client:

        async def get(url: str) -> Any:
            response = await client.get(url).build().send()
            return await response.bytes()

        yield get


CONTESTANTS: dict[str, tuple[Contestant, str]] = {
    STOCK: (stock_httpx, "httpx"),
    "ours": (ours, "httpx"),
    "httpx on our pool": (httpx_on_our_pool, "httpx"),
    "ours on httpx-aiohttp": (ours_on_aiohttp, "httpx_aiohttp"),
    "httpx2": (httpx2, "httpx2"),
    "httpx-retries": (httpx_retries, "httpx_retries"),
    "tenacity + httpx": (tenacity_httpx, "tenacity"),
    "httpware": (httpware, "httpware"),
    "httpx-aiohttp": (httpx_aiohttp, "httpx_aiohttp"),
    "aiohttp": (aiohttp, "aiohttp"),
    "aiohttp-retry": (aiohttp_retry, "aiohttp_retry"),
    "niquests": (niquests, "niquests"),
    "pyreqwest": (pyreqwest, "pyreqwest"),
}
"""Each contestant, and the library that it needs."""


def available() -> dict[str, Contestant]:
    """Give the contestants whose libraries are installed."""
    return {
        name: contestant
        for name, (contestant, library) in CONTESTANTS.items()
        if importlib.util.find_spec(library)
    }
