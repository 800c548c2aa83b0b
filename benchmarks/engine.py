"""Measures the overhead of the engine: CPU time and memory per request.

It compares, alternating in one run at 1, 50 and 500 concurrent requests: (a) a bare
``httpx.AsyncClient`` on a mock transport, with a task per request, and (b) an
``AsyncResilientClient`` on the same transport, also with a task per request, and with contexts,
events, monitor and ledger. For reference, (a0) is bare httpx without a task, and (c) is our client
with a callback on every success, which clones each response. (b) has callbacks on retries and
errors, as a service would. The second part measures memory, and the third what
``ResilientTransport`` adds to a request of a synchronous or an asynchronous httpx client.

Run it with ``make bench``; ``--rounds`` and ``--requests`` make it longer or shorter.
"""

import argparse
import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable

import httpx

from typed_async_client import AsyncResilientClient, EventType, ResilientTransport

CONCURRENCIES = (1, 50, 500)
IN_FLIGHT = 500
TARGET_RATIO = 1.35
TARGET_KIB = 12.0
TARGET_TRANSPORT = 15.0
URL = "http://service.test/items/1"

Request = Callable[[], Awaitable[httpx.Response]]


def answer(_: httpx.Request) -> httpx.Response:
    """Answer immediately."""
    return httpx.Response(200, json={"id": 1})


async def measure(request: Request, concurrency: int, requests: int) -> float:
    """Return the CPU microseconds per request, with that many workers."""

    async def work() -> None:
        for _ in range(requests // concurrency):
            await request()

    gc.collect()
    start = time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    elapsed = time.process_time() - start
    return elapsed / (requests // concurrency * concurrency) * 1e6


def resilient(client: AsyncResilientClient) -> Request:
    """Make a request that goes through the whole engine."""

    async def request() -> httpx.Response:
        return await (await client.get(URL))

    return request


async def compare(rounds: int, requests: int) -> None:
    """Print microseconds per request and their ratio, the median of the rounds."""
    transport = httpx.MockTransport(answer)
    async with (
        httpx.AsyncClient(transport=transport) as bare,
        AsyncResilientClient(transport=transport) as client,
        AsyncResilientClient(transport=transport) as watched,
    ):
        for kind in (EventType.RETRY, EventType.ERROR, EventType.TIMEOUT):
            client.add_event_callback(kind, lambda _: None)
        watched.add_event_callback(EventType.SUCCESS, lambda _: None)
        variants: tuple[Request, ...] = (
            lambda: bare.get(URL),
            lambda: asyncio.create_task(bare.get(URL)),
            resilient(client),
            resilient(watched),
        )
        for request in variants:
            await measure(request, 50, 11_000)  # fills the ledger, so that old results are evicted
        print("CPU microseconds per request, median of the rounds")
        print("concurrent  (a0) httpx  (a) as task   (b) ours  (c) watched     b/a    b/a0     c/a")
        for concurrency in CONCURRENCIES:
            measured = [
                [await measure(request, concurrency, requests) for request in variants]
                for _ in range(rounds)
            ]
            columns = [statistics.median(column) for column in zip(*measured, strict=True)]
            ratios = [
                statistics.median(row[over] / row[under] for row in measured)
                for over, under in ((2, 1), (2, 0), (3, 1))
            ]
            print(
                f"{concurrency:10}"
                + "".join(f"{column:12.1f}" for column in columns)
                + "".join(f"{ratio:8.2f}" for ratio in ratios)
            )
    print(f"target: b/a <= {TARGET_RATIO}\n")


async def memory_in_flight(submit: Callable[[], Awaitable[asyncio.Task[httpx.Response]]]) -> float:
    """Return the KiB held by one request in flight, while its transport is waiting."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    tasks = [await submit() for _ in range(IN_FLIGHT)]
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return (after - before) / IN_FLIGHT / 1024


async def compare_memory() -> None:
    """Print the memory per request in flight, compared with a task of bare httpx."""

    async def wait(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    transport = httpx.MockTransport(wait)
    async with (
        httpx.AsyncClient(transport=transport) as bare,
        AsyncResilientClient(transport=transport) as client,
    ):

        async def submit_bare() -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(bare.get(URL))

        tracemalloc.start()
        for _ in range(2):  # the first round fills caches
            bare_kib = await memory_in_flight(submit_bare)
            our_kib = await memory_in_flight(lambda: client.get(URL))
        tracemalloc.stop()
    print(f"memory per request in flight, of {IN_FLIGHT}:")
    print(
        f"(a) httpx {bare_kib:.1f} KiB, (b) ours {our_kib:.1f} KiB, "
        f"overhead: {our_kib - bare_kib:.1f} KiB"
    )
    print(f"target: below {TARGET_KIB:g} KiB of overhead")


def measure_sync(client: httpx.Client, requests: int) -> float:
    """Return the CPU microseconds per request of a synchronous client."""
    gc.collect()
    start = time.process_time()
    for _ in range(requests):
        client.get(URL)
    return (time.process_time() - start) / requests * 1e6


async def compare_transports(rounds: int, requests: int) -> None:
    """Print what our transport adds to a mock transport, as the median of the rounds."""
    mock = httpx.MockTransport(answer)
    added: dict[str, list[float]] = {"sync": [], "async": []}
    async with (
        httpx.AsyncClient(transport=mock) as bare,
        httpx.AsyncClient(transport=ResilientTransport(mock)) as wrapped,
    ):
        sync_clients = (
            httpx.Client(transport=mock),
            httpx.Client(transport=ResilientTransport(mock)),
        )
        for _ in range(rounds):
            without, with_ours = (measure_sync(client, requests) for client in sync_clients)
            added["sync"].append(with_ours - without)
            without = await measure(lambda: bare.get(URL), 1, requests)
            with_ours = await measure(lambda: wrapped.get(URL), 1, requests)
            added["async"].append(with_ours - without)
    print("\nCPU microseconds that ResilientTransport adds to a request, median of the rounds:")
    print(", ".join(f"{kind} {statistics.median(values):.1f}" for kind, values in added.items()))
    print(f"target: <= {TARGET_TRANSPORT:g}")


def main() -> None:
    """Run all three parts."""
    parser = argparse.ArgumentParser(description="Measure the overhead of the engine per request.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=2000, help="per round")
    options = parser.parse_args()
    asyncio.run(compare(options.rounds, options.requests))
    asyncio.run(compare_memory())
    asyncio.run(compare_transports(options.rounds, options.requests))


if __name__ == "__main__":
    main()
