"""Clients that share a Redis share their limits, whichever process they are in."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import redis.asyncio
from redis_server import RedisServer, running_redis
from store_kit import KEY, admitted, report, reserved

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import CircuitState
from typed_async_client.stores import RedisStore, Reservation, SyncRedisStore

SLOW = 1000.0


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


PROGRAM = """
import asyncio, sys, time
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.stores import RedisStore, StateKey

async def main(url):
    key, limit = StateKey("search"), RateLimit(rate=1, per=1000, burst=10)
    budget = RetryBudget(ratio=0, min_per_second=0.007, ttl=1000)
    async with RedisStore(url, timeout=60) as store:
        now = time.monotonic
        slots = await asyncio.gather(*(store.take_slot(key, limit, now=now()) for _ in range(20)))
        taken = await asyncio.gather(*(store.withdraw(key, budget, now=now()) for _ in range(20)))
        assert store.is_shared
    print(sorted(-(-slot.wait // 1000) for slot in slots))
    print(sum(each is not None for each in taken))

asyncio.run(main(sys.argv[1]))
"""


def test_processes_share_a_rate_limit_and_a_budget(server: RedisServer) -> None:
    """Sixty attempts get sixty different turns, and the retries of all of them are seven."""
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, server.url], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    printed = [program.communicate()[0].decode().splitlines() for program in programs]
    turns = sorted(float(turn) for slots, _ in printed for turn in slots.strip("[]").split(", "))
    assert turns == [0.0] * 10 + [float(number) for number in range(1, 51)]
    assert sum(int(withdrawn) for _, withdrawn in printed) == 7


def test_threads_share_a_store(server: RedisServer) -> None:
    """No slot is given twice."""
    limit = RateLimit(rate=1, per=SLOW, burst=30)
    waits: list[float] = []

    def take() -> None:
        for _ in range(10):
            slot = store.take_slot(KEY, limit, now=time.monotonic())
            assert isinstance(slot, Reservation)
            waits.append(slot.wait)

    with SyncRedisStore(server.url, timeout=60.0) as store:
        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.is_shared
    assert sorted(-(-wait // SLOW) for wait in waits) == [0.0] * 30 + [
        float(n) for n in range(1, 11)
    ]


async def test_a_circuit_opens_for_every_client(server: RedisServer) -> None:
    """The one whose report opens it publishes the transition; a synchronous client shares it."""
    breaker = CircuitBreaker(minimum_calls=4, reset_timeout=SLOW, max_reset_timeout=SLOW)
    async with (
        RedisStore(server.url, timeout=60.0) as one,
        RedisStore(server.url, timeout=60.0) as other,
    ):
        transitions = []
        for store in (one, other, one, other):
            attempt = await admitted(store, breaker)
            transitions.append(await report(store, breaker, attempt, Health.FAILING))
        assert transitions[:3] == [None] * 3
        assert transitions[3] is not None
        assert transitions[3].state is CircuitState.OPEN
        assert isinstance(await one.admit(KEY, breaker, now=0.0), Rejected)
    with SyncRedisStore(server.url, timeout=60.0) as third:
        assert isinstance(third.admit(KEY, breaker, now=0.0), Rejected)


async def test_a_half_open_circuit_admits_so_many_probes_of_all_clients(
    server: RedisServer,
) -> None:
    """Not so many of each of them."""
    breaker = CircuitBreaker(
        minimum_calls=1, reset_timeout=1e-9, reset_factor=1.0, probes=3, window=60.0
    )
    waiting = CircuitBreaker(minimum_calls=1, reset_timeout=300.0, probes=3, window=60.0)
    stores = [RedisStore(server.url, timeout=60.0) for _ in range(3)]
    await report(stores[0], breaker, await admitted(stores[0], breaker), Health.FAILING)
    answers = await asyncio.gather(
        *(store.admit(KEY, waiting, now=0.0) for store in stores for _ in range(5))
    )
    assert sum(not isinstance(answer, Rejected) for answer in answers) == 3
    for store in stores:
        await store.aclose()


async def test_another_prefix_is_another_fleet(server: RedisServer) -> None:
    """So two of them can share a server."""
    limit = RateLimit(rate=1, per=SLOW)
    for prefix in ("one", "other"):
        async with RedisStore(server.url, prefix=prefix, timeout=60.0) as store:
            assert (await reserved(store, limit)).wait == 0.0


async def test_a_thousand_decisions_at_once_are_all_made_by_redis(server: RedisServer) -> None:
    """Those that wait for their turn in this process don't take Redis for dead."""
    budget = RetryBudget(ratio=0.0, min_per_second=0.5, ttl=SLOW)
    async with RedisStore(server.url, timeout=5.0) as store:
        taken = await asyncio.gather(*(store.withdraw(KEY, budget, now=0.0) for _ in range(1000)))
        assert store.is_shared
    assert sum(each is not None for each in taken) == 500


@pytest.mark.parametrize("decodes", [False, True])
async def test_a_client_of_redis_py_is_used_and_stays_open(
    server: RedisServer,
    decodes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whether or not it decodes what Redis answers."""
    budget = RetryBudget(ratio=0.0, min_per_second=1 / SLOW, ttl=SLOW)
    client = redis.asyncio.Redis(port=server.port, decode_responses=decodes)
    async with RedisStore(client, timeout=60.0) as store:
        assert (await reserved(store, RateLimit(rate=1, per=SLOW))).wait == 0.0
        taken = await store.withdraw(KEY, budget, now=0.0)
        assert taken is not None
        assert await store.withdraw(KEY, budget, now=0.0) is None
        await store.refund(KEY, budget, taken, now=0.0)
        assert store.is_shared
    assert await client.ping()
    await client.aclose()


async def test_scripts_that_redis_has_forgotten_are_sent_again(server: RedisServer) -> None:
    """As after a restart."""
    limit = RateLimit(rate=1, per=SLOW)
    async with RedisStore(server.url, timeout=60.0) as store:
        await reserved(store, limit)
        with server.client() as client:
            client.script_flush()
        assert (await reserved(store, limit)).wait > 0
        assert store.is_shared
