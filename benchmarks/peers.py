"""Opens the clients of other libraries, each for a number of connections.

Each function imports its library itself, so that no library affects the others.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

__all__ = [
    "TIMEOUT",
    "Get",
    "Opener",
    "aiohttp",
    "aiohttp_retry",
    "httpware",
    "httpx2",
    "httpx_aiohttp",
    "httpx_retries",
    "limits",
    "niquests",
    "on_transport",
    "pyreqwest",
    "stock_httpx",
    "tenacity_httpx",
]

Get = Callable[[str], Awaitable[bytes]]
"""Makes a GET, and returns the body."""

Opener = Callable[[int], contextlib.AbstractAsyncContextManager[Get]]
"""Opens a client for a number of keep-alive connections."""

TIMEOUT = 30.0
"""Seconds; overrides defaults that are too short for a slow turn."""


def limits(size: int) -> httpx.Limits:
    """Return limits that allow and keep that many connections."""
    return httpx.Limits(max_connections=size, max_keepalive_connections=size)


def _reading(get: Callable[[str], Awaitable[Any]]) -> Get:
    async def read(url: str) -> bytes:
        body: bytes = (await get(url)).content
        return body

    return read


def on_transport(make: Callable[[int], httpx.AsyncBaseTransport]) -> Opener:
    """Stock httpx over a transport."""

    @contextlib.asynccontextmanager
    async def opened(size: int) -> AsyncIterator[Get]:
        async with httpx.AsyncClient(transport=make(size), timeout=TIMEOUT) as client:
            yield _reading(client.get)

    return opened


@contextlib.asynccontextmanager
async def stock_httpx(size: int) -> AsyncIterator[Get]:
    """Stock httpx on its own pool."""
    async with httpx.AsyncClient(limits=limits(size), timeout=TIMEOUT) as client:
        yield _reading(client.get)


@contextlib.asynccontextmanager
async def httpx2(size: int) -> AsyncIterator[Get]:
    """The maintained fork of httpx."""
    import httpx2

    pool_limits = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
    async with httpx2.AsyncClient(limits=pool_limits, timeout=TIMEOUT) as client:
        yield _reading(client.get)


@contextlib.asynccontextmanager
async def httpx_retries(size: int) -> AsyncIterator[Get]:
    """A retrying transport around httpx's own."""
    from httpx_retries import RetryTransport

    transport = RetryTransport(httpx.AsyncHTTPTransport(limits=limits(size)))
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        yield _reading(client.get)


@contextlib.asynccontextmanager
async def tenacity_httpx(size: int) -> AsyncIterator[Get]:
    """Stock httpx with tenacity's retry decorator."""
    import tenacity

    retrying = tenacity.retry(
        retry=tenacity.retry_if_exception_type(httpx.TransportError),
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_exponential_jitter(),
        reraise=True,
    )
    async with httpx.AsyncClient(limits=limits(size), timeout=TIMEOUT) as client:
        yield _reading(retrying(client.get))


@contextlib.asynccontextmanager
async def httpware(size: int) -> AsyncIterator[Get]:
    """A resilient client on httpx2, with its retry middleware."""
    import httpware
    import httpx2

    pool_limits = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
    inner = httpx2.AsyncClient(limits=pool_limits, timeout=TIMEOUT)
    async with (
        inner,
        httpware.AsyncClient(httpx2_client=inner, middleware=[httpware.AsyncRetry()]) as client,
    ):
        yield _reading(client.get)


@contextlib.asynccontextmanager
async def httpx_aiohttp(size: int) -> AsyncIterator[Get]:
    """Stock httpx over aiohttp."""
    from httpx_aiohttp import AiohttpTransport

    transport = AiohttpTransport(limits=limits(size))
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        yield _reading(client.get)


@contextlib.asynccontextmanager
async def aiohttp(size: int) -> AsyncIterator[Get]:
    """The client of aiohttp."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=size)) as session:

        async def get(url: str) -> bytes:
            async with session.get(url) as response:
                body: bytes = await response.read()
                return body

        yield get


@contextlib.asynccontextmanager
async def aiohttp_retry(size: int) -> AsyncIterator[Get]:
    """A retrying client around aiohttp's."""
    import aiohttp
    import aiohttp_retry

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=size))
    async with aiohttp_retry.RetryClient(client_session=session) as client:

        async def get(url: str) -> bytes:
            async with client.get(url) as response:
                body: bytes = await response.read()
                return body

        yield get


@contextlib.asynccontextmanager
async def niquests(size: int) -> AsyncIterator[Get]:
    """A fork of requests."""
    import niquests

    async with niquests.AsyncSession(pool_connections=10, pool_maxsize=size) as session:
        yield _reading(session.get)


@contextlib.asynccontextmanager
async def pyreqwest(size: int) -> AsyncIterator[Get]:
    """A client written in Rust."""
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().max_connections(size).pool_max_idle_per_host(size)
    async with builder.build() as client:

        async def get(url: str) -> bytes:
            response = await client.get(url).build().send()
            return bytes(await response.bytes())

        yield get
