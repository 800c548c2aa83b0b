"""Clients that share a Redis, in one process or in several."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from fleet_kit import policies
from redis_server import RedisServer, running_redis

from typed_async_client import (
    AsyncResilientClient,
    CircuitBreaker,
    CircuitOpenError,
    RateLimit,
    Resilience,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.stores import RedisStore
from typed_async_client.testing import FaultServer, Wire

PATIENT = 30.0
"""Seconds that a store waits for Redis: this machine may be busy."""

LIMIT = RateLimit(rate=50, burst=5)

_PROGRAM = """
import asyncio, sys, time
from typed_async_client import AsyncResilientClient, RateLimit, Resilience
from typed_async_client.stores import RedisStore

async def main(redis, url):
    limited = Resilience(rate_limit=RateLimit(rate=50, burst=5))
    async with RedisStore(redis, timeout=30.0) as store:
        async with AsyncResilientClient(resilience=limited, store=store) as client:
            print(time.monotonic())
            await asyncio.gather(*(client.request("GET", url) for _ in range(20)))
            assert store.is_shared

asyncio.run(main(*sys.argv[1:]))
"""


class Counter:
    """Answers with a status, and notes when requests arrive."""

    def __init__(self) -> None:
        self.connections = 0
        self.status = 200
        self.times: list[float] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve a connection."""
        self.connections += 1
        while await wire.read_request() is not None:
            self.times.append(time.monotonic())
            head = f"HTTP/1.1 {self.status} Status\r\nContent-Length: 0\r\n\r\n"
            await wire.send(head.encode())

    def most_at_once(self, limit: RateLimit, began: float) -> float:
        """Return how many requests have arrived beyond the rate; ``limit.burst`` of them may.

        Args:
            limit: the limit.
            began: when its first slot was taken at the earliest, in monotonic seconds.
        """
        interval = limit.per / limit.rate
        return max(count - (at - began) / interval for count, at in enumerate(self.times, 1))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """Run a Redis for a test."""
    with running_redis() as running:
        yield running


@pytest.fixture
def counter() -> Counter:
    """Return what the server does."""
    return Counter()


@pytest_asyncio.fixture(name="url")
async def _url(counter: Counter) -> AsyncIterator[str]:
    """Run the server for a test, and return its URL."""
    async with FaultServer(counter) as server:
        yield server.url


def new_client(store: RedisStore, **chosen: object) -> AsyncResilientClient:
    """Return a client with a store."""
    return AsyncResilientClient(resilience=policies(**chosen), store=store, trust_env=False)


async def test_processes_share_a_rate_limit(redis: RedisServer, counter: Counter, url: str) -> None:
    """At a server that counts, no more arrive than one of them may send."""
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, redis.url, url, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    began = [float((await child.communicate())[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert len(counter.times) == 40
    assert counter.most_at_once(LIMIT, min(began)) <= LIMIT.burst


async def test_clients_with_stores_of_their_own_share_a_rate_limit(
    redis: RedisServer, counter: Counter, url: str
) -> None:
    """What they share is the server and the prefix."""
    began = time.monotonic()
    async with (
        RedisStore(redis.url, timeout=PATIENT) as one_store,
        RedisStore(redis.url, timeout=PATIENT) as other_store,
        new_client(one_store, rate_limit=LIMIT) as one,
        new_client(other_store, rate_limit=LIMIT) as other,
    ):
        await asyncio.gather(*(each.request("GET", url) for each in [one, other] * 10))
    assert len(counter.times) == 20
    assert counter.most_at_once(LIMIT, began) <= LIMIT.burst


async def test_a_circuit_opens_and_closes_for_all_of_them(
    redis: RedisServer, counter: Counter, url: str
) -> None:
    """The client that hasn't seen a failure doesn't even connect."""
    breaker = CircuitBreaker(minimum_calls=2, reset_timeout=0.3, max_reset_timeout=0.3)
    counter.status = 500
    async with (
        RedisStore(redis.url, timeout=PATIENT) as store,
        RedisStore(redis.url, timeout=PATIENT) as other_store,
        new_client(store, circuit=breaker) as one,
        new_client(other_store, circuit=breaker) as other,
    ):
        for _ in range(2):
            await one.request("GET", url)
        with pytest.raises(CircuitOpenError):
            await other.request("GET", url)
        assert counter.connections == 1
        counter.status = 200
        await _until_admitted(other, url)
        assert (await one.request("GET", url)).status_code == 200


async def _until_admitted(client: AsyncResilientClient, url: str) -> None:
    """Make requests until the circuit lets a probe pass, which is answered."""
    while True:
        try:
            assert (await client.request("GET", url)).status_code == 200
        except CircuitOpenError as error:
            await asyncio.sleep(error.retry_after or 0.0)
        else:
            return


async def test_a_retry_budget_is_one_for_all_of_them(
    redis: RedisServer, counter: Counter, url: str
) -> None:
    """One retry is made, and given back only if it succeeds."""
    counter.status = 503
    thrifty = {
        "retry": RetryPolicy(base_delay=0.0),
        "budget": RetryBudget(ratio=0.0, min_per_second=1 / 1000.0, ttl=1000.0),
    }
    async with (
        RedisStore(redis.url, timeout=PATIENT) as store,
        RedisStore(redis.url, timeout=PATIENT) as other_store,
        new_client(store, **thrifty) as one,
        new_client(other_store, **thrifty) as other,
    ):
        for client in (one, other):
            assert (await client.request("GET", url)).status_code == 503
    assert len(counter.times) == 3


async def test_a_redis_that_stops_in_the_middle_fails_no_request(
    redis: RedisServer, counter: Counter, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once in the log, and once more when Redis answers again."""
    caplog.set_level(logging.INFO, logger="typed_async_client")
    async with (
        RedisStore(redis.url, timeout=PATIENT, check_every=0.01) as store,
        AsyncResilientClient(
            resilience=Resilience.standard(), store=store, trust_env=False
        ) as client,
    ):
        await client.request("GET", url)
        redis.stop()
        await asyncio.gather(*(client.request("GET", url) for _ in range(50)))
        assert not store.is_shared
        assert redis.start()
        while not store.is_shared:
            assert (await client.request("GET", url)).status_code == 200
            await asyncio.sleep(0.01)
        await client.request("GET", url)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "until it does, rate limits, circuits and retry budgets are" in caplog.messages[0]
