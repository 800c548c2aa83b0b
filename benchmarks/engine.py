"""What the engine costs: microseconds of CPU and bytes of memory per request.

In one run, in turn: (a) a bare ``httpx.AsyncClient`` on a mock transport, each request a task, and
(b) an ``AsyncResilientClient`` on the same transport, where each request is a task too, with
contexts, events, monitor and ledger, at 1, 50 and 500 concurrent requests. Beside them stand (a0),
bare httpx awaited in place without a task, and (c), our client with a callback on every success,
which costs a clone of each response. (b) has callbacks on retries and errors, as a service has.
A third part tells what ``ResilientTransport`` adds to a request of either kind of httpx client.

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
    """Answer at once."""
    return httpx.Response(200, json={"id": 1})


async def measure(request: Request, concurrency: int, requests: int) -> float:
    """Give the microseconds of CPU per request, with that many workers at it."""

    async def work() -> None:
        for _ in range(requests // concurrency):
            await request()

    gc.collect()
    begun = time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    spent = time.process_time() - begun
    return spent / (requests // concurrency * concurrency) * 1e6


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
        contestants: tuple[Request, ...] = (
            lambda: bare.get(URL),
            lambda: asyncio.create_task(bare.get(URL)),
            resilient(client),
            resilient(watched),
        )
        for request in contestants:
            await measure(request, 50, 11_000)  # fills the ledger, so that it turns over
        print("microseconds of CPU per request, median of the rounds")
        print("concurrent  (a0) httpx  (a) as task   (b) ours  (c) watched     b/a    b/a0     c/a")
        for concurrency in CONCURRENCIES:
            rounds_ = [
                [await measure(request, concurrency, requests) for request in contestants]
                for _ in range(rounds)
            ]
            columns = [statistics.median(column) for column in zip(*rounds_, strict=True)]
            ratios = [
                statistics.median(row[over] / row[under] for row in rounds_)
                for over, under in ((2, 1), (2, 0), (3, 1))
            ]
            print(
                f"{concurrency:10}"
                + "".join(f"{figure:12.1f}" for figure in columns)
                + "".join(f"{ratio:8.2f}" for ratio in ratios)
            )
    print(f"target: b/a <= {TARGET_RATIO}\n")


async def memory_in_flight(submit: Callable[[], Awaitable[asyncio.Task[httpx.Response]]]) -> float:
    """Give the KiB that one request in flight holds, once its transport is waiting."""
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


async def weigh() -> None:
    """Print the memory per request in flight, over that of a task of bare httpx."""

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
        for _ in range(2):  # the first round fills caches that stay
            of_bare = await memory_in_flight(submit_bare)
            of_ours = await memory_in_flight(lambda: client.get(URL))
        tracemalloc.stop()
    print(f"memory per request in flight, of {IN_FLIGHT}:")
    print(
        f"(a) httpx {of_bare:.1f} KiB, (b) ours {of_ours:.1f} KiB, more: {of_ours - of_bare:.1f} KiB"
    )
    print(f"target: below {TARGET_KIB:g} KiB more")


def ask_plain(client: httpx.Client, requests: int) -> float:
    """Give the microseconds of CPU per request of a plain client."""
    gc.collect()
    begun = time.process_time()
    for _ in range(requests):
        client.get(URL)
    return (time.process_time() - begun) / requests * 1e6


async def compare_transports(rounds: int, requests: int) -> None:
    """Print what our transport adds around a mock one, the median of the rounds."""
    mock = httpx.MockTransport(answer)
    added: dict[str, list[float]] = {"plain": [], "async": []}
    async with (
        httpx.AsyncClient(transport=mock) as bare,
        httpx.AsyncClient(transport=ResilientTransport(mock)) as resilient_one,
    ):
        plain = httpx.Client(transport=mock), httpx.Client(transport=ResilientTransport(mock))
        for _ in range(rounds):
            without, with_ours = (ask_plain(client, requests) for client in plain)
            added["plain"].append(with_ours - without)
            without = await measure(lambda: bare.get(URL), 1, requests)
            with_ours = await measure(lambda: resilient_one.get(URL), 1, requests)
            added["async"].append(with_ours - without)
    print("\nmicroseconds of CPU that ResilientTransport adds to a request, median of the rounds:")
    print(", ".join(f"{kind} {statistics.median(some):.1f}" for kind, some in added.items()))
    print(f"target: <= {TARGET_TRANSPORT:g}")


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description="What the engine costs per request.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=2000, help="per round")
    options = parser.parse_args()
    asyncio.run(compare(options.rounds, options.requests))
    asyncio.run(weigh())
    asyncio.run(compare_transports(options.rounds, options.requests))


if __name__ == "__main__":
    main()
