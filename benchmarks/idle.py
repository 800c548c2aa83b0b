"""Measures how idle connections slow down a request: 1,000 to 100 origins, versus 10 to 10.

A separate process serves all ports. Two clients, one with few idle connections and one with many,
take turns to request the same ten origins, one request at a time, so that only the number of idle
connections differs. The ratio of CPU time is calculated within each round.

Run it with ``python benchmarks/idle.py``; it prints the medians.
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
from server import CannedAnswers

from typed_async_client import AsyncPoolTransport

PORTS = 100
PER_PORT = 10
ACTIVE = 10
"""Origins that receive requests; the others only have idle connections."""

REQUESTS = 200
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)


async def serve(ports: int) -> None:
    """Listen on that many ports, print them, and serve until the process is terminated."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(CannedAnswers, "127.0.0.1", 0) for _ in range(ports)]
    print(*[server.sockets[0].getsockname()[1] for server in servers], flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def origins() -> Iterator[list[str]]:
    """Start the server, and provide the URL of each of its ports."""
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield [f"http://127.0.0.1:{port}/" for port in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def warmed_up(urls: list[str], per_origin: int) -> AsyncIterator[httpx.AsyncClient]:
    """Provide a client on our pool, with that many idle connections to each URL."""
    transport = AsyncPoolTransport(limits=LIMITS)
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        for url in urls:
            await asyncio.gather(*(client.get(url) for _ in range(per_origin)))
        assert transport.statistics().idle == per_origin * len(urls)  # noqa: S101 - a check
        yield client


async def cost(client: httpx.AsyncClient, urls: list[str]) -> float:
    """Return the CPU microseconds per request."""
    start = time.process_time()
    for url in itertools.islice(itertools.cycle(urls), REQUESTS):
        await client.get(url)
    return (time.process_time() - start) / REQUESTS * 1e6


async def compare(urls: list[str], rounds: int) -> None:
    """Measure both clients in turn, and print the cost of a request."""
    active_urls = urls[:ACTIVE]
    async with warmed_up(active_urls, 1) as few, warmed_up(urls, PER_PORT) as many:
        costs = [
            (await cost(few, active_urls), await cost(many, active_urls)) for _ in range(rounds + 1)
        ][1:]
    with_few, with_many = (statistics.median(column) for column in zip(*costs, strict=True))
    ratio = statistics.median(second / first for first, second in costs)
    print(f"with {ACTIVE} idle connections: {with_few:.0f} us of CPU per request")
    print(f"with {PORTS * PER_PORT}: {with_many:.0f} us, a ratio of {ratio:.2f}")


def main() -> None:
    """Run the server or the comparison."""
    parser = argparse.ArgumentParser(
        description="Measure the cost of a request with idle connections."
    )
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--serve", action="store_true", help="run the server (used internally)")
    options = parser.parse_args()
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    if options.serve:
        asyncio.run(serve(PORTS))
        return
    with origins() as urls:
        asyncio.run(compare(urls, options.rounds))


if __name__ == "__main__":
    main()
