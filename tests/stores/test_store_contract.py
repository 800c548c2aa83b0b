"""What every store answers, wherever it keeps the state."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis_server import RedisServer, running_redis
from store_kit import KEY, admitted, awaited, report, reserved, take

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import CircuitState, TransitionReason
from typed_async_client.stores import (
    LocalStore,
    RedisStore,
    StateKey,
    StateStore,
    SyncLocalStore,
    SyncRedisStore,
)

SLOW = 1000.0
"""Seconds between two slots: no test takes long enough for one to pass."""

BREAKER = CircuitBreaker(minimum_calls=2, reset_timeout=SLOW, max_reset_timeout=SLOW)
BRIEF = CircuitBreaker(minimum_calls=1, reset_timeout=1e-9, max_reset_timeout=SLOW, probes=2)
"""Its break is over when the next attempt asks."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """Run one server for all tests of the module."""
    with running_redis() as running:
        yield running


@pytest.fixture(params=["local", "local sync", "redis", "redis sync"])
async def store(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[StateStore]:
    """Return an empty store of each kind; the one in Redis must not have fallen back."""
    caplog.set_level(logging.WARNING)
    async with contextlib.AsyncExitStack() as stack:
        match request.param:
            case "local":
                found: StateStore = LocalStore()
            case "local sync":
                found = awaited(SyncLocalStore())
            case kind:
                server = request.getfixturevalue("server")
                with server.client() as client:
                    client.flushall()
                found = (
                    RedisStore(server.url, timeout=60.0)
                    if kind == "redis"
                    else awaited(SyncRedisStore(server.url, timeout=60.0))
                )
        stack.push_async_callback(found.aclose)
        yield found
    assert caplog.messages == []


async def test_a_burst_begins_at_once_and_the_rest_are_spaced(store: StateStore) -> None:
    """As a rate limit says, whoever asks."""
    limit = RateLimit(rate=1, per=SLOW, burst=3)
    waits = [(await reserved(store, limit)).wait for _ in range(6)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    for number, wait in enumerate(waits[3:], start=1):
        assert (number - 1) * SLOW < wait <= number * SLOW


async def test_a_slot_that_would_come_too_late_is_not_reserved(store: StateStore) -> None:
    """So the next who can wait longer gets it."""
    limit = RateLimit(rate=1, per=SLOW, max_wait=1.5 * SLOW)
    assert (await reserved(store, limit)).wait == 0.0
    refused = await take(store, limit, within=1.0)
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectionReason.DEADLINE
    assert (await reserved(store, limit)).wait <= SLOW
    late = await take(store, limit)
    assert isinstance(late, Rejected)
    assert late.reason is RejectionReason.TOO_LONG
    assert late.retry_after is not None
    assert SLOW < late.retry_after <= 2 * SLOW


@pytest.mark.parametrize("waiting", [0, 1, 3])
async def test_only_so_many_may_wait(store: StateStore, waiting: int) -> None:
    """The one that begins at once doesn't wait."""
    limit = RateLimit(rate=1, per=SLOW, max_waiting=waiting)
    for _ in range(1 + waiting):
        await reserved(store, limit)
    refused = await take(store, limit)
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectionReason.QUEUE_FULL


async def test_the_latest_slot_can_be_given_back_once(store: StateStore) -> None:
    """An earlier one can't, since those behind it know their turns already."""
    limit = RateLimit(rate=1, per=SLOW)
    first, second, third = [await reserved(store, limit) for _ in range(3)]
    cancel = store.cancel_slot
    assert not await cancel(KEY, limit, second, now=time.monotonic())
    assert await cancel(KEY, limit, third, now=time.monotonic())
    assert not await cancel(KEY, limit, third, now=time.monotonic())
    again = await reserved(store, limit)
    assert SLOW < again.wait <= 2 * SLOW
    assert first.wait == 0.0


async def test_the_only_slot_can_be_given_back(store: StateStore) -> None:
    """The next attempt then begins at once."""
    limit = RateLimit(rate=1, per=SLOW)
    slot = await reserved(store, limit)
    assert await store.cancel_slot(KEY, limit, slot, now=time.monotonic())
    assert (await reserved(store, limit)).wait == 0.0


async def test_each_key_has_a_state_of_its_own(store: StateStore) -> None:
    """Names and hosts are never mixed up, whatever they consist of."""
    limit = RateLimit(rate=1, per=SLOW)
    keys = [StateKey("a", "b:c"), StateKey("a:b", "c"), StateKey("a"), StateKey("", "a")]
    assert [(await reserved(store, limit, key=key)).wait for key in keys] == [0.0] * 4


async def test_a_circuit_opens_when_too_many_attempts_fail(store: StateStore) -> None:
    """Only once, though more of them fail that were in flight."""
    attempts = [await admitted(store, BREAKER) for _ in range(4)]
    assert not attempts[0].is_probe
    assert await report(store, BREAKER, attempts[0], Health.OK) is None
    opened = await report(store, BREAKER, attempts[1], Health.FAILING)
    assert opened is not None
    assert (opened.state, opened.previous) == (CircuitState.OPEN, CircuitState.CLOSED)
    assert opened.reason is TransitionReason.FAILURE_RATE
    assert (opened.calls, opened.failure_rate, opened.slow_rate) == (2, 0.5, 0.0)
    assert opened.retry_after == SLOW
    assert await report(store, BREAKER, attempts[2], Health.FAILING) is None
    refused = await store.admit(KEY, BREAKER, now=time.monotonic())
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectionReason.CIRCUIT_OPEN
    assert refused.retry_after is not None
    assert 0 < refused.retry_after <= SLOW


async def test_a_circuit_opens_when_too_many_attempts_are_slow(store: StateStore) -> None:
    """Though all of them succeed."""
    breaker = CircuitBreaker(minimum_calls=2, slow_duration=1.0)
    for duration, state in ((1.0, None), (1.1, None), (9.0, None), (2.0, None)):
        attempt = await admitted(store, breaker)
        assert await report(store, breaker, attempt, Health.OK, duration=duration) is state
    strict = CircuitBreaker(minimum_calls=2, slow_duration=1.0, slow_rate=0.5, window=60.0)
    await report(store, strict, await admitted(store, strict), Health.OK)
    slow = await admitted(store, strict)
    opened = await report(store, strict, slow, Health.OK, duration=1.1)
    assert opened is not None
    assert (opened.reason, opened.slow_rate) == (TransitionReason.SLOW_RATE, 0.5)


async def test_what_says_nothing_about_the_server_is_not_counted(store: StateStore) -> None:
    """Nor is a second report about the same attempt."""
    for _ in range(5):
        attempt = await admitted(store, BREAKER)
        assert await report(store, BREAKER, attempt, Health.UNKNOWN) is None
    failed = await admitted(store, BREAKER)
    assert await report(store, BREAKER, failed, Health.FAILING) is None
    assert await report(store, BREAKER, failed, Health.FAILING) is None
    await admitted(store, BREAKER)


async def test_probes_that_succeed_close_the_circuit(store: StateStore) -> None:
    """Each of them must."""
    await report(store, BRIEF, await admitted(store, BRIEF), Health.FAILING)
    first, second = await admitted(store, BRIEF), await admitted(store, BRIEF)
    assert first.is_probe
    assert first.transition is not None
    assert first.transition.state is CircuitState.HALF_OPEN
    assert first.transition.reason is TransitionReason.BREAK_OVER
    assert (first.transition.calls, first.transition.failure_rate) == (1, 1.0)
    assert (second.is_probe, second.transition) == (True, None)
    assert await report(store, BRIEF, first, Health.OK) is None
    closed = await report(store, BRIEF, second, Health.OK)
    assert closed is not None
    assert (closed.state, closed.reason) == (CircuitState.CLOSED, TransitionReason.PROBES_PASSED)
    assert (closed.calls, closed.failure_rate, closed.retry_after) == (2, 0.0, None)
    assert not (await admitted(store, BRIEF)).is_probe


async def test_a_probe_that_fails_opens_the_circuit_for_longer(store: StateStore) -> None:
    """Twice as long, without jitter."""
    await report(store, BRIEF, await admitted(store, BRIEF), Health.FAILING)
    for trips in (1, 2, 3):
        probe = await admitted(store, BRIEF)
        opened = await report(store, BRIEF, probe, Health.OVERLOADED)
        assert opened is not None
        assert opened.previous is CircuitState.HALF_OPEN
        assert opened.retry_after == pytest.approx(1e-9 * 2**trips)


async def test_a_window_of_calls_counts_the_latest(store: StateStore) -> None:
    """A failure leaves it when enough attempts have succeeded since."""
    breaker = CircuitBreaker(minimum_calls=3, window_calls=3, failure_rate=0.6)
    outcomes = [Health.FAILING, Health.OK, Health.OK, Health.FAILING, Health.OK, Health.FAILING]
    transitions = [
        await report(store, breaker, await admitted(store, breaker), health) for health in outcomes
    ]
    assert transitions[:5] == [None] * 5
    opened = transitions[5]
    assert opened is not None
    assert opened.calls == 3
    assert opened.failure_rate == pytest.approx(2 / 3)


async def test_a_budget_allows_a_share_of_the_requests(store: StateStore) -> None:
    """And so many per second besides."""
    budget = RetryBudget(ratio=0.2, min_per_second=0.002, ttl=SLOW)
    for _ in range(10):
        await store.deposit(KEY, budget, now=time.monotonic())
    taken = [await store.withdraw(KEY, budget, now=time.monotonic()) for _ in range(5)]
    assert [each is not None for each in taken] == [True] * 4 + [False]


async def test_a_withdrawal_is_refunded_once(store: StateStore) -> None:
    """Another extra request can then be sent."""
    budget = RetryBudget(ratio=0.0, min_per_second=0.002, ttl=SLOW)
    taken = [await store.withdraw(KEY, budget, now=time.monotonic()) for _ in range(2)]
    first = taken[0]
    assert first is not None
    for _ in range(3):
        await store.refund(KEY, budget, first, now=time.monotonic())
    again = [await store.withdraw(KEY, budget, now=time.monotonic()) for _ in range(2)]
    assert [each is not None for each in again] == [True, False]
