"""Permits on real sockets: held until the body is closed, given back however it ends, never exceeded."""

import asyncio
import collections
import concurrent.futures
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from policy_ways import ALL_WAYS, open_way, states_at
from tls_contexts import client_context

from typed_async_client import (
    AsyncPoolTransport,
    Bulkhead,
    BulkheadFullError,
    CircuitBreaker,
    CircuitState,
    RateLimit,
    Resilience,
    ResilientTransport,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.testing import (
    FaultServer,
    SeenRequest,
    Wire,
    answer,
    each_request,
    half_body,
)

ONE = Resilience(bulkhead=Bulkhead(max_concurrent=1, max_wait=0.0))

POOLS: list[Callable[..., Any]] = [AsyncPoolTransport, httpx.AsyncHTTPTransport]

pytestmark = pytest.mark.usefixtures("no_leaks")


@contextlib.asynccontextmanager
async def open_client(pool: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of httpx whose transport allows one request at a time."""
    transport = ResilientTransport(pool(verify=client_context()), resilience=ONE)
    async with httpx.AsyncClient(transport=transport) as client:
        yield client


async def assert_free(client: httpx.AsyncClient, server: FaultServer) -> None:
    """Check that the permit is free, and that there is only one."""
    async with client.stream("GET", server.url) as response:
        assert response.status_code == 200
        with pytest.raises(BulkheadFullError):
            await client.get(server.url)
        await response.aread()


@pytest.mark.parametrize("pool", POOLS)
async def test_streams_run_one_after_the_other(pool: Callable[..., Any]) -> None:
    """Three at the same time, with one permit."""
    transport = ResilientTransport(
        pool(verify=client_context()),
        resilience=Resilience(bulkhead=Bulkhead(max_concurrent=1, max_wait=30.0)),
    )
    running, most = 0, 0

    async def read(client: httpx.AsyncClient, url: str) -> None:
        nonlocal running, most
        async with client.stream("GET", url) as response:
            running += 1
            most = max(most, running)
            async for _ in response.aiter_bytes(100):
                await asyncio.sleep(0)
            running -= 1

    async with (
        FaultServer(answer(200, b"x" * 10_000)) as server,
        httpx.AsyncClient(transport=transport) as client,
    ):
        await asyncio.gather(*(read(client, server.url) for _ in range(3)))
        assert len(server.requests) == 3
    assert most == 1


@pytest.mark.parametrize("pool", POOLS)
async def test_an_unread_response_that_is_closed_gives_its_permit_back(
    pool: Callable[..., Any],
) -> None:
    """So does one that was read in part."""
    async with (
        FaultServer(answer(200, b"x" * 500_000)) as server,
        open_client(pool) as client,
    ):
        async with client.stream("GET", server.url):
            pass
        await assert_free(client, server)
        async with client.stream("GET", server.url) as response:
            async for _ in response.aiter_bytes(100):
                break
        await assert_free(client, server)


async def fail_while_reading(client: httpx.AsyncClient, url: str) -> None:
    """Read a part of a response, and raise an error."""
    async with client.stream("GET", url) as response:
        async for _ in response.aiter_raw():
            raise RuntimeError("the reader failed")


@pytest.mark.parametrize("pool", POOLS)
async def test_a_reader_that_raises_or_is_cancelled_gives_its_permit_back(
    pool: Callable[..., Any],
) -> None:
    """In the middle of a body that goes on."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        await wire.send(b"a body")

    async with FaultServer(each_request(respond)) as server, open_client(pool) as client:
        with pytest.raises(RuntimeError, match="the reader failed"):
            await fail_while_reading(client, server.url)
        await assert_free(client, server)
        task = asyncio.create_task(client.get(server.url))
        await wait_until(lambda: len(server.requests) == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_free(client, server)


@pytest.mark.parametrize("pool", POOLS)
async def test_a_body_that_breaks_off_gives_its_permit_back(pool: Callable[..., Any]) -> None:
    """The reader gets the error."""
    async with FaultServer(half_body) as server, open_client(pool) as client:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(server.url)


async def test_a_response_that_is_dropped_gives_its_permit_back() -> None:
    """Nobody has closed it; the pool gets its connection back as well."""
    async with FaultServer(answer(200, b"ok")) as server, open_client(AsyncPoolTransport) as client:
        request = client.build_request("GET", server.url)
        response = await client.send(request, stream=True)
        del response
        gc.collect()
        await assert_free(client, server)


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_server_never_gets_more_than_the_rate_allows(way: str) -> None:
    """At any time, at most the burst and what has been earned since the first."""
    seen: list[float] = []

    async def respond(_: SeenRequest, wire: Wire) -> None:
        seen.append(time.monotonic())
        await wire.answer(200)

    policies = Resilience(rate_limit=RateLimit(rate=100.0, burst=5, max_wait=60.0))
    began = time.monotonic()
    async with FaultServer(each_request(respond)) as server, open_way(way, policies) as client:
        await asyncio.gather(*(client.request("GET", server.url) for _ in range(30)))
    assert len(seen) == 30
    assert all(n <= 5 + (at - began) * 100.0 + 1 for n, at in enumerate(seen, start=1))


def test_eight_threads_never_pass_the_limit_and_leave_nothing_behind() -> None:
    """Bulkhead, circuit and budget are consistent when 400 requests have ended."""
    asyncio.run(_hammer())


async def _hammer() -> None:
    running, most = 0, 0
    statuses: collections.Counter[int] = collections.Counter()

    async def respond(request: SeenRequest, wire: Wire) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1  # before the answer, after which the client may send the next request
        number = int(request.target[1:])
        await wire.answer(503 if number % 3 == 0 else 200, b"x" * 2000)

    policies = Resilience(
        retry=RetryPolicy(max_retries=1, base_delay=0.0),
        budget=RetryBudget(),
        bulkhead=Bulkhead(max_concurrent=3, max_waiting=100, max_wait=60.0, per="client"),
        circuit=CircuitBreaker(failure_rate=0.9),
    )
    transport = ResilientTransport(httpx.HTTPTransport(), resilience=policies)
    with httpx.Client(transport=transport, timeout=30.0) as client:
        async with FaultServer(each_request(respond)) as server:

            def work(thread: int) -> None:
                for number in range(50):
                    with client.stream("GET", f"{server.url}{thread * 50 + number}") as response:
                        statuses[response.status_code] += 1
                        if number % 2:
                            response.read()

            with concurrent.futures.ThreadPoolExecutor(8) as threads:
                loop = asyncio.get_running_loop()
                await asyncio.gather(
                    *(loop.run_in_executor(threads, work, thread) for thread in range(8))
                )
            assert most == 3
            assert statuses.total() == 400
            circuit = transport.circuit(server.url)
            assert circuit.state is CircuitState.CLOSED
            assert circuit._circuit.in_flight == 0
            gate = states_at(transport, server.url, time.monotonic())["bulkhead"].gate
            assert (gate.in_flight, gate.waiting) == (0, 0)
