"""What each layer of a request costs: CPU microseconds, from the bare socket up to the client.

Each rung of the ladder makes the same GETs with one layer more than the rung below it, in one process
and in turn; a layer costs what its rung costs more. The server is a process of its own.

Run it with ``python benchmarks/layers.py``; what it prints is the lower quartile of the
rounds, because whatever else runs on a machine only ever adds.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpcore
import httpx
from idle import origins

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.pool.connector import Http11, load_exchange
from typed_async_client.pool.pool import ConnectionPool
from typed_async_client.pool.slot import PoolLimits

Get = Callable[[], Awaitable[Any]]
Rung = Callable[[str, Http11], contextlib.AbstractAsyncContextManager[Get]]

REQUESTS = 1000
CONCURRENT = 50
TIMEOUT = 30.0
EXTENSIONS = {"timeout": dict.fromkeys(("connect", "pool", "read", "write"), TIMEOUT)}
LIMITS = httpx.Limits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)


def httpx_request(url: str) -> httpx.Request:
    """Give the request that httpx's client makes of a GET."""
    return httpx.AsyncClient().build_request("GET", url, extensions=EXTENSIONS)


def httpcore_request(url: str) -> httpcore.Request:
    """Give the same request as httpcore wants it."""
    given = httpx_request(url)
    return httpcore.Request("GET", url, headers=given.headers.raw, extensions=EXTENSIONS)


def written(url: str) -> bytes:
    """Give the same request as it goes over the wire."""
    given = httpx_request(url)
    fields = b"".join([b"%b: %b\r\n" % field for field in given.headers.raw])
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (given.url.raw_path, fields)


class Waiting(asyncio.Protocol):
    """The least that asyncio needs to say that something has come."""

    def __init__(self) -> None:
        self.news: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """Wake whoever waits."""
        if self.news is not None:
            self.news.set_result(data)


async def lent(make: Callable[[], Awaitable[Any]]) -> asyncio.LifoQueue[Any]:
    """Give as many connections as there are workers, to be taken and put back."""
    idle: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
    for _ in range(CONCURRENT):
        idle.put_nowait(await make())
    return idle


@contextlib.asynccontextmanager
async def bare(url: str, _: Http11) -> AsyncIterator[Get]:
    """Give asyncio and the sockets alone."""
    loop, address, request = asyncio.get_running_loop(), httpx.URL(url), written(url)

    async def connect() -> Any:
        return await loop.create_connection(Waiting, address.host, address.port or 80)

    idle = await lent(connect)

    async def get() -> None:
        transport, protocol = pair = idle.get_nowait()
        transport.write(request)
        protocol.news = loop.create_future()
        await protocol.news
        idle.put_nowait(pair)

    yield get
    while not idle.empty():
        idle.get_nowait()[0].abort()


@contextlib.asynccontextmanager
async def streams(url: str, _: Http11) -> AsyncIterator[Get]:
    """Give our streams, with their timeouts."""
    address, request, backend = httpx.URL(url), written(url), AsyncioBackend()
    idle = await lent(lambda: backend.connect_tcp(address.host, address.port or 80))

    async def get() -> None:
        stream = idle.get_nowait()
        await stream.write(request, TIMEOUT)
        await stream.read(65536, TIMEOUT)
        idle.put_nowait(stream)

    yield get
    while not idle.empty():
        await idle.get_nowait().aclose()


@contextlib.asynccontextmanager
async def exchanges(url: str, http11: Http11) -> AsyncIterator[Get]:
    """Give HTTP/1.1 on them."""
    request, backend, make = httpcore_request(url), AsyncioBackend(), load_exchange(http11)
    origin = request.url.origin

    async def connect() -> Any:
        return make(origin, await backend.connect_tcp(origin.host.decode(), origin.port))

    idle = await lent(connect)

    async def get() -> None:
        exchange = idle.get_nowait()
        await whole(await exchange.handle_async_request(request))
        idle.put_nowait(exchange)

    yield get
    while not idle.empty():
        await idle.get_nowait().aclose()


@contextlib.asynccontextmanager
async def pool(url: str, http11: Http11) -> AsyncIterator[Get]:
    """Give the pool above it."""
    request = httpcore_request(url)
    limits = PoolLimits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)
    async with ConnectionPool(limits=limits, http11=http11) as connections:

        async def get() -> None:
            await whole(await connections.handle_async_request(request))

        yield get


async def whole(response: httpcore.Response) -> None:
    """Read a body, and end its exchange."""
    stream: Any = response.stream
    async for _ in stream:
        pass
    await stream.aclose()


@contextlib.asynccontextmanager
async def transport(url: str, http11: Http11) -> AsyncIterator[Get]:
    """Give the pool as a transport of httpx, and the body read by httpx's response."""
    request = httpx_request(url)
    async with AsyncPoolTransport(limits=LIMITS, http11=http11) as made:

        async def get() -> None:
            await (await made.handle_async_request(request)).aread()

        yield get


@contextlib.asynccontextmanager
async def httpx_client(url: str, http11: Http11) -> AsyncIterator[Get]:
    """Give httpx's client over it."""
    made = AsyncPoolTransport(limits=LIMITS, http11=http11)
    async with FastPathClient(transport=made, timeout=TIMEOUT) as client:
        yield lambda: client.get(url)


@contextlib.asynccontextmanager
async def engine(url: str, http11: Http11) -> AsyncIterator[Get]:
    """Give the resilient client, with events and results."""
    made = AsyncPoolTransport(limits=LIMITS, http11=http11)
    async with AsyncResilientClient(transport=made, timeout=TIMEOUT) as client:

        async def get() -> None:
            await (await client.get(url))

        yield get


LADDER: dict[str, Rung] = {
    "event loop and syscalls": bare,
    "stream": streams,
    "exchange": exchanges,
    "pool": pool,
    "transport, httpx.Response": transport,
    "httpx's client": httpx_client,
    "engine": engine,
}
"""Each layer, and the rung that has it and all before it."""


async def cost(get: Get) -> float:
    """Give the CPU microseconds of a request, with as many workers as it is measured for."""

    async def work() -> None:
        for _ in range(REQUESTS // CONCURRENT):
            await get()

    begun = time.process_time()
    await asyncio.gather(*(work() for _ in range(CONCURRENT)))
    return (time.process_time() - begun) / REQUESTS * 1e6


async def climb(url: str, http11: Http11, rounds: int) -> dict[str, float]:
    """Let the rungs take turns; give the lower quartile of each."""
    costs: dict[str, list[float]] = {name: [] for name in LADDER}
    async with contextlib.AsyncExitStack() as stack:
        gets = {
            name: await stack.enter_async_context(rung(url, http11))
            for name, rung in LADDER.items()
        }
        for _ in range(rounds + 1):
            for name, get in gets.items():
                costs[name].append(await cost(get))
    return {name: statistics.quantiles(measured[1:])[0] for name, measured in costs.items()}


def main() -> None:
    """Climb the ladder with each parser, and print what each layer adds."""
    parser = argparse.ArgumentParser(description="CPU microseconds per request, by layer.")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    parsers: list[Http11] = ["h11"]
    if importlib.util.find_spec("httptools"):
        parsers.append("llhttp")
    for http11 in parsers:
        print(f"\n{CONCURRENT} concurrent, {http11:10}       adds    in all")
        below = 0.0
        with origins() as urls:
            for name, total in asyncio.run(climb(urls[0], http11, options.rounds)).items():
                print(f"{name:28}{total - below:9.0f}{total:10.0f}")
                below = total


if __name__ == "__main__":
    main()
