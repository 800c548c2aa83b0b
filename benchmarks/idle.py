"""What a request costs beside many idle connections: 1,000 over 100 origins against 10 over 10.

A process of its own serves all ports. Two clients, one with few idle connections and one with many,
take turns and ask the same ten origins, one request at a time: only what lies idle beside them
differs. The ratio of CPU seconds is taken within each round.

Run it with ``python benchmarks/idle.py``; what it prints is the median.
"""

import argparse
import asyncio
import contextlib
import itertools
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import httpx
from server import Answering

from typed_async_client import AsyncPoolTransport

PORTS = 100
PER_PORT = 10
ASKED = 10
"""Origins that are asked; the others only have idle connections."""

REQUESTS = 200
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)


async def serve(ports: int) -> None:
    """Listen on that many ports, print them, and serve until the process is ended."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Answering, "127.0.0.1", 0) for _ in range(ports)]
    print(*[server.sockets[0].getsockname()[1] for server in servers], flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def origins() -> Iterator[list[str]]:
    """Start the server, and give an address on each of its ports."""
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        yield [f"http://127.0.0.1:{port}/" for port in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def resting(urls: list[str], each: int) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client on our pool that has that many idle connections to each address."""
    transport = AsyncPoolTransport(limits=LIMITS)
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        for url in urls:
            await asyncio.gather(*(client.get(url) for _ in range(each)))
        assert transport.statistics().idle == each * len(urls)  # noqa: S101 - or it measures nothing
        yield client


async def cost(client: httpx.AsyncClient, urls: list[str]) -> float:
    """Give the CPU microseconds of a request."""
    begun = time.process_time()
    for url in itertools.islice(itertools.cycle(urls), REQUESTS):
        await client.get(url)
    return (time.process_time() - begun) / REQUESTS * 1e6


async def compare(urls: list[str], rounds: int) -> None:
    """Let few and many idle connections take turns, and print what a request costs."""
    asked = urls[:ASKED]
    async with resting(asked, 1) as few, resting(urls, PER_PORT) as many:
        costs = [(await cost(few, asked), await cost(many, asked)) for _ in range(rounds + 1)][1:]
    beside_few, beside_many = (statistics.median(column) for column in zip(*costs, strict=True))
    ratio = statistics.median(second / first for first, second in costs)
    print(f"beside {ASKED} idle connections: {beside_few:.0f} us of CPU per request")
    print(f"beside {PORTS * PER_PORT}: {beside_many:.0f}, which is {ratio:.2f} of it")


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description="The cost of a request beside idle connections.")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--serve", action="store_true", help="serve, as the benchmark asks itself")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve:
        asyncio.run(serve(PORTS))
        return
    with origins() as urls:
        asyncio.run(compare(urls, options.rounds))


if __name__ == "__main__":
    main()
