"""The scripts in Redis decide what the policies decide, at any time and in any order.

The clock of the server is replaced by one that the test sets; everything else is as in use.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import running_redis
from store_kit import KEY

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import Transition
from typed_async_client.stores import Admission, Reservation, SyncLocalStore, Withdrawal, decisions
from typed_async_client.stores.decisions import Decision

T = TypeVar("T")

_START: Final = 1_700_000_000

EXAMPLES: Final = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

steps = st.lists(
    st.tuples(st.sampled_from("tttcw"), st.sampled_from([0.0, 0.5, 1.0, 30.0, 700.0])),
    min_size=10,
    max_size=40,
)


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    """Run one server for all tests of the module."""
    with running_redis() as server, server.client() as found:
        yield found


class Pair:
    """The same decisions, made by Redis and by a local store at the same times."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushall()
        self.client = client
        self.local = SyncLocalStore()
        self.now = _START + 0.25

    def pass_time(self, seconds: float) -> None:
        """Set both clocks forward."""
        self.now += seconds

    def ask(self, decision: Decision[T]) -> T:
        """Let Redis decide at the chosen time."""
        text = decision.script.text
        assert text.count("redis.call('TIME')") == 1
        text = text.replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
        seconds, micros = int(self.now), round(self.now % 1 * 1e6)
        reply: Any = self.client.eval(text, 1, decision.key, *decision.arguments, seconds, micros)
        return decision.decode(reply)


@EXAMPLES
@given(
    steps=steps,
    rate=st.sampled_from([0.001, 0.003, 0.007]),
    burst=st.integers(1, 4),
    max_waiting=st.sampled_from([None, 0, 2, 5]),
    max_wait=st.sampled_from([None, 0.0, 800.25, 2500.25]),
)
def test_slots_are_those_of_the_policy(
    client: redis.Redis,
    steps: list[tuple[str, float]],
    **options: Any,
) -> None:
    """The same waits, the same refusals, the same cancellations."""
    pair = Pair(client)
    limit = RateLimit(**options)
    slots: list[tuple[Reservation, Reservation, float]] = []
    for action, seconds in steps:
        pair.pass_time(seconds)
        if action == "c" and slots:
            shared, own, begins_at = slots.pop()
            cancel = decisions.cancel_slot(KEY, limit, shared)
            assert cancel is not None
            is_cancelled = pair.ask(cancel)
            was_cancelled = pair.local.cancel_slot(KEY, limit, own, now=pair.now)
            # Of one that is over nothing is left to give back, and Redis may have forgotten it.
            assert is_cancelled == was_cancelled or pair.now > begins_at
            continue
        deadline = math.inf if action == "t" else pair.now + 1700.25
        here = pair.ask(decisions.take_slot(KEY, limit, now=pair.now, deadline=deadline))
        there = pair.local.take_slot(KEY, limit, now=pair.now, deadline=deadline)
        if isinstance(here, Rejected):
            assert isinstance(there, Rejected)
            assert here.reason is there.reason
            assert here.retry_after == pytest.approx(there.retry_after, abs=2e-6)
        else:
            assert isinstance(there, Reservation)
            assert here.wait == pytest.approx(there.wait, abs=2e-6)
            slots.append((here, there, pair.now + there.wait))


outcomes = st.lists(
    st.tuples(
        st.sampled_from(["admit", "admit", "report", "report"]),
        st.integers(0, 9),
        st.sampled_from([Health.OK, Health.FAILING, Health.OVERLOADED, Health.UNKNOWN]),
        st.sampled_from([0.0, 2.0]),
        st.sampled_from([0.0, 0.0, 1.0, 300.0, 1500.0]),
        st.floats(0, 0.999),
    ),
    min_size=15,
    max_size=60,
)


@EXAMPLES
@given(
    outcomes=outcomes,
    window_calls=st.sampled_from([None, 1, 3, 5]),
    probes=st.integers(1, 3),
    minimum_calls=st.integers(1, 4),
    failure_rate=st.sampled_from([0.3, 0.5, 1.0]),
    slow_duration=st.sampled_from([None, 1.0]),
)
def test_circuits_are_those_of_the_policy(
    client: redis.Redis,
    outcomes: list[tuple[str, int, Health, float, float, float]],
    **options: Any,
) -> None:
    """The same admissions, probes and transitions, with the same figures."""
    pair = Pair(client)
    breaker = CircuitBreaker(
        **options, window=4000.0, reset_timeout=800.0, max_reset_timeout=2000.0, slow_rate=0.6
    )
    attempts: list[tuple[Admission, Admission]] = []
    for action, which, health, duration, seconds, random in outcomes:
        pair.pass_time(seconds)
        if action == "admit" or not attempts:
            here = pair.ask(decisions.admit(KEY, breaker))
            there = pair.local.admit(KEY, breaker, now=pair.now)
            if isinstance(here, Admission):
                assert isinstance(there, Admission)
                assert here.is_probe == there.is_probe
                assert_same(here.transition, there.transition)
                attempts.append((here, there))
            else:
                assert isinstance(there, Rejected)
                assert here.reason is there.reason
                assert here.retry_after == pytest.approx(there.retry_after, abs=2e-6)
            continue
        shared, own = attempts.pop(which % len(attempts))
        decision = decisions.report(KEY, breaker, shared, health, duration=duration, random=random)
        assert decision is not None
        reported = pair.local.report(
            KEY, breaker, own, health, duration=duration, now=pair.now, random=random
        )
        assert_same(pair.ask(decision), reported)


def assert_same(here: Transition | None, there: Transition | None) -> None:
    """Compare two transitions; only the length of the break may differ by its rounding."""
    if here is None or there is None:
        assert here is there
        return
    assert here.retry_after == pytest.approx(there.retry_after)
    figures = [(t.state, t.previous, t.reason, t.calls) for t in (here, there)]
    assert figures[0] == figures[1]
    assert here.failure_rate == pytest.approx(there.failure_rate)
    assert here.slow_rate == pytest.approx(there.slow_rate)


@EXAMPLES
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from("ddwwr"),
            st.sampled_from([0.0, 0.0, 1.0, 100.0, 400.0]),
            st.integers(1, 12),
        ),
        min_size=8,
        max_size=30,
    ),
    ratio=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    reserve=st.sampled_from([0, 1, 3]),
)
def test_budgets_are_those_of_the_policy(
    client: redis.Redis, steps: list[tuple[str, float, int]], ratio: float, reserve: int
) -> None:
    """The same withdrawals are refused."""
    pair = Pair(client)
    budget = RetryBudget(ratio=ratio, min_per_second=reserve / 1000, ttl=1000.0)
    taken: list[tuple[Withdrawal, Withdrawal]] = []
    for action, seconds, times in steps:
        pair.pass_time(seconds)
        for _ in range(times):
            if action == "d":
                pair.ask(decisions.deposit(KEY, budget))
                pair.local.deposit(KEY, budget, now=pair.now)
            elif action == "w":
                here = pair.ask(decisions.withdraw(KEY, budget))
                there = pair.local.withdraw(KEY, budget, now=pair.now)
                assert (here is None) == (there is None)
                if here is not None and there is not None:
                    taken.append((here, there))
            elif taken:
                refund_both(pair, budget, *taken.pop(0))


def refund_both(pair: Pair, budget: RetryBudget, here: Withdrawal, there: Withdrawal) -> None:
    """Give an extra request back to Redis and to the local store."""
    refund = decisions.refund(KEY, budget, here)
    assert refund is not None
    pair.ask(refund)
    pair.local.refund(KEY, budget, there, now=pair.now)


def test_a_rate_does_not_drift(client: redis.Redis) -> None:
    """Three thousand intervals of a third of a second are a thousand seconds."""
    pair = Pair(client)
    limit = RateLimit(rate=3)
    waits = [
        pair.ask(decisions.take_slot(KEY, limit, now=0.0, deadline=math.inf)) for _ in range(3001)
    ]
    last = waits[-1]
    assert isinstance(last, Reservation)
    assert last.wait == pytest.approx(1000.0, abs=1e-9)


def test_every_key_expires(client: redis.Redis) -> None:
    """Nothing stays in Redis that nobody uses any more."""
    pair = Pair(client)
    breaker = CircuitBreaker(minimum_calls=1, reset_timeout=1.0, max_reset_timeout=10.0)
    budget = RetryBudget(ttl=10.0)
    limits: dict[str, float] = {}

    def longest_expiry(name: str) -> None:
        keys = client.keys()
        assert isinstance(keys, list)
        expiries = [client.pttl(key) for key in keys]
        assert all(isinstance(each, int) and each > 0 for each in expiries), keys
        limits[name] = max(each for each in expiries if isinstance(each, int)) / 1000
        client.flushall()

    pair.ask(decisions.take_slot(KEY, RateLimit(rate=1, per=20), now=0.0, deadline=math.inf))
    longest_expiry("slot")
    for name, health in (("closed", Health.OK), ("open", Health.FAILING)):
        ticket = pair.ask(decisions.admit(KEY, breaker))
        assert isinstance(ticket, Admission)
        report = decisions.report(KEY, breaker, ticket, health, duration=0.1, random=0.5)
        assert report is not None
        pair.ask(report)
        longest_expiry(name)
    pair.ask(decisions.deposit(KEY, budget))
    pair.ask(decisions.withdraw(KEY, budget))
    longest_expiry("budget")
    assert limits["slot"] <= 20.002
    assert limits["closed"] <= 90.002
    assert limits["open"] <= 11.002
    assert limits["budget"] <= 10.002


@pytest.mark.parametrize(
    "limit",
    [RateLimit(rate=1e-9, per=1e9, burst=9), RateLimit(rate=1e9, per=1e-9, burst=10**6)],
)
def test_the_extremes_of_a_rate_are_stored(client: redis.Redis, limit: RateLimit) -> None:
    """Redis refuses an expiry that it can't represent."""
    pair = Pair(client)
    for _ in range(20):
        here = pair.ask(decisions.take_slot(KEY, limit, now=0.0, deadline=math.inf))
        there = pair.local.take_slot(KEY, limit, now=pair.now)
        assert isinstance(here, Reservation)
        assert isinstance(there, Reservation)
        assert here.wait == pytest.approx(there.wait)
