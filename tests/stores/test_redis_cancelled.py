"""What a cancelled call would have taken is given back, at whichever turn of the loop it ends."""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import pytest
from redis_server import RedisServer, running_redis
from store_kit import KEY, admitted, report, reserved

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.stores import Admission, RedisStore, Reservation

T = TypeVar("T")

SLOW = 1000.0
TURNS = range(30)
"""In how many turns of the loop Redis answers differs from run to run; mostly in less."""

LIMIT = RateLimit(rate=1, per=SLOW)
BUDGET = RetryBudget(ratio=0.0, min_per_second=1 / SLOW, ttl=SLOW)


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """Run one server for all tests of the module."""
    with running_redis() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """Empty the server."""
    with running.client() as client:
        client.flushall()
    return running


async def cancel_after(turns: int, work: Awaitable[T]) -> T | None:
    """Cancel a call after so many turns of the loop; return its answer if it has ended by then."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return None


@pytest.mark.parametrize("turns", TURNS)
async def test_a_cancelled_slot_is_given_back(server: RedisServer, turns: int) -> None:
    """So the next attempt doesn't wait."""
    async with RedisStore(server.url, timeout=60.0) as store:
        slot = await cancel_after(turns, store.take_slot(KEY, LIMIT, now=time.monotonic()))
        if isinstance(slot, Reservation):
            await store.cancel_slot(KEY, LIMIT, slot, now=time.monotonic())
    async with RedisStore(server.url, timeout=60.0) as store:
        assert (await reserved(store, LIMIT)).wait == 0.0


@pytest.mark.parametrize("turns", TURNS)
async def test_a_cancelled_withdrawal_is_refunded(server: RedisServer, turns: int) -> None:
    """So another retry can be sent."""
    async with RedisStore(server.url, timeout=60.0) as store:
        taken = await cancel_after(turns, store.withdraw(KEY, BUDGET, now=time.monotonic()))
        if taken is not None:
            await store.refund(KEY, BUDGET, taken, now=time.monotonic())
    async with RedisStore(server.url, timeout=60.0) as store:
        assert await store.withdraw(KEY, BUDGET, now=time.monotonic()) is not None


@pytest.mark.parametrize("turns", TURNS)
async def test_a_cancelled_probe_makes_room_for_another(server: RedisServer, turns: int) -> None:
    """A circuit that waits for its report would stay half-open."""
    brief = CircuitBreaker(minimum_calls=1, reset_timeout=1e-9, window=60.0)
    breaker = CircuitBreaker(minimum_calls=1, reset_timeout=300.0, window=60.0)
    async with RedisStore(server.url, timeout=60.0) as store:
        await report(store, brief, await admitted(store, brief), Health.FAILING)
        probe = await cancel_after(turns, store.admit(KEY, breaker, now=time.monotonic()))
        if isinstance(probe, Admission):
            await report(store, breaker, probe, Health.UNKNOWN)
    async with RedisStore(server.url, timeout=60.0) as store:
        assert (await admitted(store, breaker)).is_probe


@pytest.mark.parametrize("turns", TURNS[1:])
async def test_a_cancelled_report_is_made_all_the_same(server: RedisServer, turns: int) -> None:
    """A request that is cancelled while it reports has still failed."""
    breaker = CircuitBreaker(minimum_calls=1, reset_timeout=300.0)
    async with RedisStore(server.url, timeout=60.0) as store:
        attempt = await admitted(store, breaker)
        call = store.report(
            KEY, breaker, attempt, Health.FAILING, duration=0.1, now=0.0, random=0.5
        )
        await cancel_after(turns, call)
    with server.client() as client:
        assert client.hget("typed_async_client:circuit:search:https://example.org:30.0s", "state")


async def test_cancelled_calls_leave_no_task_behind(server: RedisServer) -> None:
    """Once the store is closed."""
    before = asyncio.all_tasks()
    async with RedisStore(server.url, timeout=60.0) as store:
        calls = [asyncio.ensure_future(reserved(store, LIMIT)) for _ in range(50)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert asyncio.all_tasks() == before


async def test_a_slot_that_redis_gives_after_the_cancellation_is_given_back(
    server: RedisServer,
) -> None:
    """The script runs all the same, since the command was sent."""
    async with RedisStore(server.url, timeout=60.0) as store:
        await store.withdraw(KEY, BUDGET, now=0.0)  # connects
        server.suspend()
        await cancel_after(5, store.take_slot(KEY, LIMIT, now=0.0))
        server.resume()
    async with RedisStore(server.url, timeout=60.0) as store:
        assert (await reserved(store, LIMIT)).wait == 0.0


async def test_a_slot_that_redis_gives_too_late_is_given_back(server: RedisServer) -> None:
    """Meanwhile this process has decided."""
    async with RedisStore(server.url, timeout=0.05) as store:
        await store.withdraw(KEY, BUDGET, now=0.0)
        server.suspend()
        assert (await reserved(store, LIMIT)).wait == 0.0
        assert not store.is_shared
        server.resume()
    async with RedisStore(server.url, timeout=60.0) as store:
        assert (await reserved(store, LIMIT)).wait == 0.0


async def test_a_refusal_that_is_cancelled_gives_nothing_back(server: RedisServer) -> None:
    """There is nothing to give back."""
    limit = RateLimit(rate=1, per=SLOW, max_waiting=0)
    breaker = CircuitBreaker(minimum_calls=1, reset_timeout=300.0)
    async with RedisStore(server.url, timeout=60.0) as store:
        await reserved(store, limit)
        await store.withdraw(KEY, BUDGET, now=0.0)
        await report(store, breaker, await admitted(store, breaker), Health.FAILING)
        server.suspend()
        await cancel_after(5, store.take_slot(KEY, limit, now=0.0))
        await cancel_after(5, store.withdraw(KEY, BUDGET, now=0.0))
        await cancel_after(5, store.admit(KEY, breaker, now=0.0))
        server.resume()
        assert isinstance(await store.take_slot(KEY, limit, now=0.0), Rejected)
        assert await store.withdraw(KEY, BUDGET, now=0.0) is None
        assert isinstance(await store.admit(KEY, breaker, now=0.0), Rejected)


async def test_a_call_that_is_cancelled_while_redis_dies_leaves_nothing_behind() -> None:
    """Nothing is logged about an error that nobody waits for."""
    with running_redis() as server:
        async with RedisStore(server.url, timeout=60.0) as store:
            await store.withdraw(KEY, BUDGET, now=0.0)
            server.suspend()
            await cancel_after(5, store.take_slot(KEY, LIMIT, now=0.0))
            server.stop()
        assert store.is_shared  # it hasn't been asked since


async def test_what_is_given_back_does_not_depend_on_whether_somebody_waits(
    server: RedisServer,
) -> None:
    """Even if the call is cancelled before its turn to ask Redis has come."""
    breaker = CircuitBreaker(minimum_calls=1, reset_timeout=300.0)
    async with RedisStore(server.url, timeout=60.0) as store:
        admission = await admitted(store, breaker)
        slot = await reserved(store, LIMIT)
        taken = await store.withdraw(KEY, BUDGET, now=time.monotonic())
        assert taken is not None
        busy = [
            asyncio.ensure_future(store.deposit(KEY, BUDGET, now=time.monotonic()))
            for _ in range(200)
        ]
        await asyncio.sleep(0)
        late: list[Awaitable[object]] = [
            report(store, breaker, admission, Health.FAILING),
            store.cancel_slot(KEY, LIMIT, slot, now=time.monotonic()),
            store.refund(KEY, BUDGET, taken, now=time.monotonic()),
        ]
        for each in late:
            await cancel_after(1, each)
        await asyncio.gather(*busy)
    async with RedisStore(server.url, timeout=60.0) as store:
        assert isinstance(await store.admit(KEY, breaker, now=time.monotonic()), Rejected)
        assert (await reserved(store, LIMIT)).wait == 0.0
        assert await store.withdraw(KEY, BUDGET, now=time.monotonic()) is not None
