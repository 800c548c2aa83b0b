"""A Redis that doesn't answer fails no request: this process decides, and says so once."""

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest
from redis_server import RedisServer, running_redis
from store_kit import KEY, admitted, awaited, report, reserved

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import CircuitState
from typed_async_client.stores import RedisStore, StateStore, SyncRedisStore

SLOW = 1000.0
NEVER = 1e9
LIMIT = RateLimit(rate=1, per=SLOW)
ONE_RETRY = RetryBudget(ratio=0.0, min_per_second=1 / SLOW, ttl=SLOW)
BREAKER = CircuitBreaker(minimum_calls=1, reset_timeout=300.0)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Run a server, which the test may stop."""
    with running_redis() as running:
        yield running


@pytest.fixture(params=["asynchronous", "synchronous"])
def kind(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> str:
    """Return which kind of store to test."""
    caplog.set_level(logging.INFO, logger="typed_async_client")
    return str(request.param)


def store_at(
    url: str, kind: str, *, check_every: float = 0.01, timeout: float = 10.0
) -> StateStore:
    """Return a store of that kind."""
    if kind == "asynchronous":
        return RedisStore(url, timeout=timeout, check_every=check_every)
    return awaited(SyncRedisStore(url, timeout=timeout, check_every=check_every))


async def until_shared(store: StateStore) -> None:
    """Make decisions until Redis makes them again."""
    for _ in range(3000):
        await store.deposit(KEY, ONE_RETRY, now=time.monotonic())
        if await is_shared(store):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the store didn't recover")


async def is_shared(store: StateStore) -> bool:
    """Whether Redis decides."""
    inner = store if isinstance(store, RedisStore) else vars(store)["_store"]
    return bool(inner.is_shared)


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the levels of the lines that were logged."""
    return [record.levelname for record in caplog.records]


async def test_a_redis_that_stops_in_the_middle_is_replaced_until_it_is_back(
    server: RedisServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The limits are kept by this process, which says so once, and once when that is over."""
    store = store_at(server.url, kind)
    assert (await reserved(store, LIMIT)).wait == 0.0
    assert (await reserved(store, LIMIT)).wait > 0
    server.stop()
    waits = [(await reserved(store, LIMIT)).wait for _ in range(50)]
    assert waits[0] == 0.0  # this process has given no slot yet
    assert all(waits[1:])
    assert levels(caplog) == ["WARNING"]
    where = f"Redis at 127.0.0.1:{server.port}"
    assert caplog.messages[0].startswith(f"{where} doesn't answer (")
    assert server.start()
    await until_shared(store)
    assert (await reserved(store, LIMIT)).wait == 0.0  # Redis has forgotten its slots
    assert (await reserved(store, LIMIT)).wait > 0
    assert levels(caplog) == ["WARNING", "INFO"]
    assert caplog.messages[1].startswith(f"{where} answers again")
    await store.aclose()


async def test_a_redis_that_was_never_there_is_asked_once(
    server: RedisServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each policy is then the one of this process."""
    server.stop()
    store = store_at(server.url, kind, check_every=NEVER)
    now = time.monotonic()
    assert await store.withdraw(KEY, ONE_RETRY, now=now) is not None
    assert await store.withdraw(KEY, ONE_RETRY, now=now) is None
    opened = await report(store, BREAKER, await admitted(store, BREAKER), Health.FAILING)
    assert opened is not None
    assert opened.state is CircuitState.OPEN
    assert isinstance(await store.admit(KEY, BREAKER, now=now), Rejected)
    assert levels(caplog) == ["WARNING"]
    await store.aclose()


async def test_a_redis_that_hangs_costs_one_timeout(
    server: RedisServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not one for each request."""
    store = store_at(server.url, kind, check_every=NEVER, timeout=0.05)
    assert (await reserved(store, LIMIT)).wait == 0.0
    server.suspend()
    await reserved(store, LIMIT)
    before = asyncio.all_tasks()
    for _ in range(1000):
        await store.deposit(KEY, ONE_RETRY, now=time.monotonic())
    assert asyncio.all_tasks() <= before
    assert levels(caplog) == ["WARNING"]
    server.resume()
    await store.aclose()


async def test_those_that_wait_for_their_turn_do_not_wait_for_a_redis_that_hangs(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The first of them have found out, and each still gets a slot of its own."""
    async with RedisStore(server.url, check_every=NEVER, timeout=0.05) as store:
        server.suspend()
        slots = await asyncio.gather(*(reserved(store, LIMIT) for _ in range(200)))
        assert sorted(round(slot.wait / SLOW) for slot in slots) == list(range(200))
        assert levels(caplog) == ["WARNING"]
        server.resume()


async def test_a_redis_that_refuses_to_write_does_not_decide(
    server: RedisServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it would answer a ping, as one whose memory is full does."""
    store = store_at(server.url, kind)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        for _ in range(20):
            await reserved(store, LIMIT)
            await asyncio.sleep(0.002)
        assert not await is_shared(store)
        assert levels(caplog) == ["WARNING"]
        assert "OutOfMemory" in caplog.messages[0]
        client.config_set("maxmemory", "0")
    await until_shared(store)
    await store.aclose()


async def test_what_redis_gave_is_not_given_back_to_this_process(
    server: RedisServer, kind: str
) -> None:
    """And the other way round, so that neither counts what it hasn't admitted."""
    store = store_at(server.url, kind)
    slot, attempt = await reserved(store, LIMIT), await admitted(store, BREAKER)
    taken = await store.withdraw(KEY, ONE_RETRY, now=time.monotonic())
    assert taken is not None
    server.stop()
    own_slot, own_attempt = await reserved(store, LIMIT), await admitted(store, BREAKER)
    own = await store.withdraw(KEY, ONE_RETRY, now=time.monotonic())
    assert own is not None
    assert not await store.cancel_slot(KEY, LIMIT, slot, now=time.monotonic())
    assert await report(store, BREAKER, attempt, Health.FAILING) is None
    await store.refund(KEY, ONE_RETRY, taken, now=time.monotonic())
    assert await store.withdraw(KEY, ONE_RETRY, now=time.monotonic()) is None
    assert server.start()
    await until_shared(store)
    assert await store.cancel_slot(KEY, LIMIT, own_slot, now=time.monotonic())
    await store.refund(KEY, ONE_RETRY, own, now=time.monotonic())
    opened = await report(store, BREAKER, own_attempt, Health.FAILING)
    assert opened is not None
    await admitted(store, BREAKER)  # that of Redis is closed
    await store.aclose()


async def test_no_password_is_shown(
    server: RedisServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the log, nor by the store."""
    url = server.url.replace("//", "//ann:s3cret@")
    store = store_at(url, kind, check_every=NEVER)
    assert (await reserved(store, LIMIT)).wait == 0.0
    assert levels(caplog) == ["WARNING"]
    shown = [*caplog.messages, repr(store), repr(SyncRedisStore(url)), str(RedisStore(url))]
    assert not any("s3cret" in text or "ann" in text for text in shown)
    await store.aclose()


async def test_a_logging_handler_that_raises_fails_no_request(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else it does."""

    def refuse(record: logging.LogRecord) -> bool:
        raise OSError("the disk is full")

    server.stop()
    logger = logging.getLogger("typed_async_client")
    logger.addFilter(refuse)
    try:
        async with RedisStore(server.url) as store:
            assert (await reserved(store, LIMIT)).wait == 0.0
    finally:
        logger.removeFilter(refuse)
