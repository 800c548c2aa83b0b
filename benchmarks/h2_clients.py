"""Opens the clients that ``http2.py`` compares, each on one connection that speaks HTTP/2 only.

Each function imports its library itself, so that one which is missing is left out.
"""

import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from peers import TIMEOUT

from typed_async_client import AsyncPoolTransport, create_async_resilient_client

__all__ = ["BASELINE", "CLIENTS", "OURS", "Calls", "H2Opener"]

BASELINE = "httpx"
OURS = "typed_async_client"


@dataclasses.dataclass(frozen=True, slots=True)
class Calls:
    """What an open client can do.

    Attributes:
        get: make a GET; return the body.
        download: read a body part by part; return its size.
        upload: put a body, whose size is a multiple of 64 KiB; return the status.
    """

    get: Callable[[str], Awaitable[bytes]]
    download: Callable[[str], Awaitable[int]]
    upload: Callable[[str, int], Awaitable[int]]


H2Opener = Callable[[ssl.SSLContext, str], contextlib.AbstractAsyncContextManager[Calls]]
"""Opens a client that trusts a context, or a file."""

_PART = bytes(64 * 1024)


async def parts(size: int) -> AsyncIterator[bytes]:
    """Generate a body."""
    for _ in range(size // len(_PART)):
        yield _PART


def _calls(client: Any) -> Calls:
    """Return the calls of a client with httpx's interface."""

    async def get(url: str) -> bytes:
        body: bytes = (await client.get(url)).content
        return body

    async def download(url: str) -> int:
        async with client.stream("GET", url) as response:
            return sum([len(part) async for part in response.aiter_bytes()])

    async def upload(url: str, size: int) -> int:
        status: int = (await client.put(url, content=parts(size))).status_code
        return status

    return Calls(get, download, upload)


@contextlib.asynccontextmanager
async def ours(context: ssl.SSLContext, _: str) -> AsyncIterator[Calls]:
    """Our client."""
    limits = httpx.Limits(max_connections=1)
    async with create_async_resilient_client(
        http1=False, http2=True, verify=context, limits=limits, timeout=TIMEOUT
    ) as client:
        calls = _calls(client)

        async def get(url: str) -> bytes:
            return (await (await client.get(url))).content

        async def upload(url: str, size: int) -> int:
            return (await client.request("PUT", url, content=parts(size))).status_code

        yield dataclasses.replace(calls, get=get, upload=upload)


@contextlib.asynccontextmanager
async def our_pool(context: ssl.SSLContext, _: str) -> AsyncIterator[Calls]:
    """The client of httpx over our pool."""
    limits = httpx.Limits(max_connections=1)
    transport = AsyncPoolTransport(http1=False, http2=True, verify=context, limits=limits)
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        yield _calls(client)


@contextlib.asynccontextmanager
async def stock_httpx(context: ssl.SSLContext, _: str) -> AsyncIterator[Calls]:
    """Stock httpx."""
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        http1=False, http2=True, verify=context, limits=limits, timeout=TIMEOUT
    ) as client:
        yield _calls(client)


@contextlib.asynccontextmanager
async def httpx2(context: ssl.SSLContext, _: str) -> AsyncIterator[Calls]:
    """The maintained fork of httpx."""
    import httpx2

    limits = httpx2.Limits(max_connections=1)
    async with httpx2.AsyncClient(
        http1=False, http2=True, verify=context, limits=limits, timeout=TIMEOUT
    ) as client:
        yield _calls(client)


@contextlib.asynccontextmanager
async def niquests(_: ssl.SSLContext, authority: str) -> AsyncIterator[Calls]:
    """A fork of requests, whose responses arrive when they are asked for."""
    import niquests

    async with niquests.AsyncSession(
        multiplexed=True,
        disable_http1=True,
        disable_http3=True,
        pool_connections=1,
        pool_maxsize=1,
        verify=authority,
        timeout=TIMEOUT,
    ) as session:
        session.trust_env = False  # else it may name other certificates to trust

        async def get(url: str) -> bytes:
            response = await session.get(url)
            await session.gather(response)
            body: bytes = response.content
            return body

        async def download(url: str) -> int:
            response = await session.get(url, stream=True)
            await session.gather(response)
            return sum([len(part) async for part in await response.iter_content(65536)])

        async def upload(url: str, size: int) -> int:
            response = await session.put(url, data=parts(size))
            await session.gather(response)
            status: int = response.status_code
            return status

        yield Calls(get, download, upload)


CLIENTS: dict[str, tuple[H2Opener, str]] = {
    OURS: (ours, "h2"),
    "httpx on our pool": (our_pool, "h2"),
    BASELINE: (stock_httpx, "h2"),
    "httpx2": (httpx2, "httpx2"),
    "niquests": (niquests, "niquests"),
}
"""By name: what opens a client, and the module that must be installed."""
