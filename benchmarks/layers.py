"""Measures the CPU time of each layer of a request, from the bare socket up to the client.

Each stack of layers makes the same GETs, with one layer more than the stack before it, in turn and
in one process; the difference is the cost of that layer. The server runs in a separate process.

Run it with ``python benchmarks/layers.py``; it prints the lower quartile of the rounds, because
other load on the machine can only make a round slower.
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
OpenStack = Callable[[str, Http11], contextlib.AbstractAsyncContextManager[Get]]

REQUESTS = 1000
CONCURRENT = 50
TIMEOUT = 30.0
EXTENSIONS = {"timeout": dict.fromkeys(("connect", "pool", "read", "write"), TIMEOUT)}
LIMITS = httpx.Limits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)


def httpx_request(url: str) -> httpx.Request:
    """Return the request that httpx's client builds for a GET."""
    return httpx.AsyncClient().build_request("GET", url, extensions=EXTENSIONS)


def httpcore_request(url: str) -> httpcore.Request:
    """Return the same request as an ``httpcore.Request``."""
    built = httpx_request(url)
    return httpcore.Request("GET", url, headers=built.headers.raw, extensions=EXTENSIONS)


def serialized(url: str) -> bytes:
    """Return the same request as it is sent over the wire."""
    built = httpx_request(url)
    fields = b"".join([b"%b: %b\r\n" % field for field in built.headers.raw])
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (built.url.raw_path, fields)


class ReadOnce(asyncio.Protocol):
    """A minimal protocol that resolves a future when data arrives."""

    def __init__(self) -> None:
        self.received: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """Resolve the future."""
        if self.received is not None:
            self.received.set_result(data)


async def connections(connect: Callable[[], Awaitable[Any]]) -> asyncio.LifoQueue[Any]:
    """Open a connection for each worker, in a queue to take them from and put them back."""
    idle: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
    for _ in range(CONCURRENT):
        idle.put_nowait(await connect())
    return idle


@contextlib.asynccontextmanager
async def bare(url: str, _: Http11) -> AsyncIterator[Get]:
    """Only asyncio and its sockets."""
    loop, address, request = asyncio.get_running_loop(), httpx.URL(url), serialized(url)

    async def connect() -> Any:
        return await loop.create_connection(ReadOnce, address.host, address.port or 80)

    idle = await connections(connect)

    async def get() -> None:
        transport, protocol = pair = idle.get_nowait()
        transport.write(request)
        protocol.received = loop.create_future()
        await protocol.received
        idle.put_nowait(pair)

    yield get
    while not idle.empty():
        idle.get_nowait()[0].abort()


@contextlib.asynccontextmanager
async def streams(url: str, _: Http11) -> AsyncIterator[Get]:
    """Our streams, with their timeouts."""
    address, request, backend = httpx.URL(url), serialized(url), AsyncioBackend()
    idle = await connections(lambda: backend.connect_tcp(address.host, address.port or 80))

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
    """HTTP/1.1 on top of the streams."""
    request, backend, make = httpcore_request(url), AsyncioBackend(), load_exchange(http11)
    origin = request.url.origin

    async def connect() -> Any:
        return make(origin, await backend.connect_tcp(origin.host.decode(), origin.port))

    idle = await connections(connect)

    async def get() -> None:
        exchange = idle.get_nowait()
        await read_body(await exchange.handle_async_request(request))
        idle.put_nowait(exchange)

    yield get
    while not idle.empty():
        await idle.get_nowait().aclose()


@contextlib.asynccontextmanager
async def pool(url: str, http11: Http11) -> AsyncIterator[Get]:
    """The pool on top of HTTP/1.1."""
    request = httpcore_request(url)
    limits = PoolLimits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)
    async with ConnectionPool(limits=limits, http11=http11) as connection_pool:

        async def get() -> None:
            await read_body(await connection_pool.handle_async_request(request))

        yield get


async def read_body(response: httpcore.Response) -> None:
    """Read a body, and close it."""
    stream: Any = response.stream
    async for _ in stream:
        pass
    await stream.aclose()


@contextlib.asynccontextmanager
async def transport(url: str, http11: Http11) -> AsyncIterator[Get]:
    """The pool as an httpx transport, with the body read through ``httpx.Response``."""
    request = httpx_request(url)
    async with AsyncPoolTransport(limits=LIMITS, http11=http11) as pool_transport:

        async def get() -> None:
            await (await pool_transport.handle_async_request(request)).aread()

        yield get


@contextlib.asynccontextmanager
async def httpx_client(url: str, http11: Http11) -> AsyncIterator[Get]:
    """Our httpx client on top of the transport."""
    pool_transport = AsyncPoolTransport(limits=LIMITS, http11=http11)
    async with FastPathClient(transport=pool_transport, timeout=TIMEOUT) as client:
        yield lambda: client.get(url)


@contextlib.asynccontextmanager
async def engine(url: str, http11: Http11) -> AsyncIterator[Get]:
    """The resilient client, with events and results."""
    pool_transport = AsyncPoolTransport(limits=LIMITS, http11=http11)
    async with AsyncResilientClient(transport=pool_transport, timeout=TIMEOUT) as client:

        async def get() -> None:
            await (await client.get(url))

        yield get


STACKS: dict[str, OpenStack] = {
    "event loop and syscalls": bare,
    "stream": streams,
    "exchange": exchanges,
    "pool": pool,
    "transport, httpx.Response": transport,
    "httpx's client": httpx_client,
    "engine": engine,
}
"""Each layer, and the stack that has it on top of all earlier layers."""


async def cost(get: Get) -> float:
    """Return the CPU microseconds per request, with ``CONCURRENT`` workers."""

    async def work() -> None:
        for _ in range(REQUESTS // CONCURRENT):
            await get()

    start = time.process_time()
    await asyncio.gather(*(work() for _ in range(CONCURRENT)))
    return (time.process_time() - start) / REQUESTS * 1e6


async def measure(url: str, http11: Http11, rounds: int) -> dict[str, float]:
    """Measure the stacks in turn; return the lower quartile of each."""
    costs: dict[str, list[float]] = {name: [] for name in STACKS}
    async with contextlib.AsyncExitStack() as exit_stack:
        gets = {
            name: await exit_stack.enter_async_context(open_stack(url, http11))
            for name, open_stack in STACKS.items()
        }
        for _ in range(rounds + 1):
            for name, get in gets.items():
                costs[name].append(await cost(get))
    return {name: statistics.quantiles(measured[1:])[0] for name, measured in costs.items()}


def main() -> None:
    """Measure the stacks with each parser, and print what each layer adds."""
    parser = argparse.ArgumentParser(description="Measure CPU microseconds per request, by layer.")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    parsers: list[Http11] = ["h11"]
    if importlib.util.find_spec("httptools"):
        parsers.append("llhttp")
    for http11 in parsers:
        print(f"\n{CONCURRENT} concurrent, {http11:10}       adds     total")
        below = 0.0
        with origins() as urls:
            for name, total in asyncio.run(measure(urls[0], http11, options.rounds)).items():
                print(f"{name:28}{total - below:9.0f}{total:10.0f}")
                below = total


if __name__ == "__main__":
    main()
