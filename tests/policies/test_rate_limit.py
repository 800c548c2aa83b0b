"""How many attempts begin per second."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.gates import Rejected, RejectionReason, Waiter
from typed_async_client.policies.hosts import Retention
from typed_async_client.policies.rate_limit import RateGate, RateLimit, Slot


def admitted(gate: RateGate, now: float) -> Slot:
    """Return the slot of an attempt that must be admitted."""
    slot = gate.admit(now)
    assert isinstance(slot, Slot)
    return slot


def queued(gate: RateGate, now: float, deadline: float = math.inf) -> Waiter:
    """Return the place of an attempt that must wait."""
    waiter = gate.admit(now, deadline)
    assert isinstance(waiter, Waiter)
    return waiter


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "rate must be a finite number >= 1e-09 and <= 1e[+]09, got 0"),
        ({"rate": 1e10}, "rate must be a finite number >= 1e-09 and <= 1e[+]09, got 10000000000.0"),
        ({"per": 0.0}, "per must be a finite number >= 1e-09 and <= 1e[+]09, got 0.0"),
        ({"burst": 0}, "burst must be an integer >= 1, got 0"),
        ({"max_waiting": -1}, "max_waiting must be an integer >= 0, got -1"),
        ({"max_wait": "1"}, "max_wait must be a finite number >= 0, got '1'"),
        ({"scope": "url"}, "scope must be one of client, host, got 'url'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        RateLimit(**{"rate": 1, **options})


def test_attempts_are_evenly_spaced() -> None:
    """Without a burst; unused time isn't saved up."""
    gate = RateLimit(rate=4).start()
    assert gate.estimate(100.0) == 0.0
    admitted(gate, now=100.0)
    waiter = queued(gate, now=100.0)
    assert waiter.estimate == 0.25
    assert gate.grant(waiter, now=100.125) == 0.125
    assert isinstance(gate.grant(waiter, now=100.25), Slot)
    admitted(gate, now=200.0)
    assert queued(gate, now=200.0).estimate == 0.25


def test_a_burst_is_admitted_at_once() -> None:
    """After that the rate applies; a pause fills the burst again, but never above its size."""
    gate = RateLimit(rate=60, per=60, burst=3).start()
    for now in (50.0, 1000.0):
        for _ in range(3):
            admitted(gate, now)
        assert gate.estimate(now) == 1.0
    admitted(gate, now=1002.0)
    admitted(gate, now=1002.0)
    assert gate.estimate(1002.0) == 1.0


def test_a_period_may_be_long() -> None:
    """Ten attempts a day."""
    gate = RateLimit(rate=10, per=86_400).start()
    admitted(gate, now=0.0)
    assert gate.estimate(0.0) == 8640.0


@pytest.mark.parametrize("rate", [0.1, 0.3, 3, 7, 9.99, 1000 / 3])
def test_no_rate_drifts(rate: float) -> None:
    """After 20,000 attempts, each at its instant, the next one is due at its own, not earlier."""
    gate = RateLimit(rate=rate).start()
    interval = 1 / Fraction(str(rate))
    for number in range(20_000):
        admitted(gate, now=float(number * interval))
    due = float(20_000 * interval)
    assert gate.estimate(due - 0.0005) == pytest.approx(0.0005, abs=1e-8)
    assert gate.estimate(due) == 0.0


def test_those_that_wait_are_served_in_turn() -> None:
    """Each waits for those ahead of it, and a newcomer doesn't overtake them."""
    gate = RateLimit(rate=1).start()
    admitted(gate, now=0.0)
    first, second = queued(gate, now=0.0), queued(gate, now=0.0)
    assert (first.estimate, second.estimate) == (1.0, 2.0)
    assert queued(gate, now=1.0).estimate == 2.0
    assert isinstance(gate.grant(first, now=1.0), Slot)
    assert gate.grant(second, now=1.0) == 1.0
    assert gate.waiting == 2


def test_a_place_that_is_given_up_serves_those_behind_it() -> None:
    """They move up, and leaving twice changes nothing."""
    gate = RateLimit(rate=1).start()
    admitted(gate, now=0.0)
    leaving, staying = queued(gate, now=0.0), queued(gate, now=0.0)
    gate.leave(leaving)
    gate.leave(leaving)
    assert gate.grant(leaving, now=1.0) == math.inf
    assert isinstance(gate.grant(staying, now=1.0), Slot)
    assert gate.grant(staying, now=9.0) == math.inf
    assert gate.waiting == 0


def test_a_wait_that_would_pass_the_deadline_fails_now() -> None:
    """It uses nothing up."""
    gate = RateLimit(rate=1, max_wait=3.0, max_waiting=2).start()
    admitted(gate, now=10.0)
    assert queued(gate, now=10.0, deadline=11.0).until == 11.0
    assert gate.admit(10.0, 11.9) == Rejected(reason=RejectionReason.DEADLINE, retry_after=2.0)
    assert gate.waiting == 1
    assert queued(gate, now=10.0).until == 13.0
    assert gate.admit(10.0) == Rejected(reason=RejectionReason.QUEUE_FULL, retry_after=3.0)


def test_a_wait_that_would_be_too_long_fails_now() -> None:
    """Half a second more than allowed."""
    gate = RateLimit(rate=2, max_wait=0.0).start()
    admitted(gate, now=10.0)
    assert gate.admit(10.0) == Rejected(reason=RejectionReason.TOO_LONG, retry_after=0.5)
    admitted(gate, now=10.5)


def test_a_slot_that_was_not_used_is_given_back() -> None:
    """Another policy refused the attempt, so the next one needn't wait."""
    gate = RateLimit(rate=1, burst=2).start()
    admitted(gate, now=10.0)
    slot = admitted(gate, now=10.5)
    assert gate.release(slot, now=0.0)
    assert not gate.release(slot, now=0.0)
    again = admitted(gate, now=10.5)
    assert not gate.release(slot, now=0.0)
    assert gate.estimate(10.5) == 0.5
    assert gate.release(again, now=0.0)


def test_only_the_latest_slot_is_given_back() -> None:
    """Otherwise more might begin than the rate allows."""
    gate = RateLimit(rate=1, burst=2).start()
    first, second = admitted(gate, now=10.0), admitted(gate, now=10.0)
    assert not gate.release(first, now=0.0)
    assert gate.release(second, now=0.0)
    assert gate.release(first, now=0.0)
    assert gate.retention(now=10.0) is Retention.DISPOSABLE


def test_a_timer_may_fire_a_microsecond_early() -> None:
    """Which isn't gained: the next attempt begins when it would have."""
    gate = RateLimit(rate=1).start()
    admitted(gate, now=0.0)
    admitted(gate, now=0.999_999)
    assert gate.estimate(1.0) == pytest.approx(1.0, abs=2e-6)
    admitted(gate, now=2.0)


def test_a_gate_that_limits_is_kept_if_possible() -> None:
    """One where somebody waits is always kept."""
    gate = RateLimit(rate=1).start()
    assert gate.retention(now=0.0) is Retention.DISPOSABLE
    admitted(gate, now=0.0)
    assert gate.retention(now=0.5) is Retention.USEFUL
    assert gate.retention(now=1.0) is Retention.DISPOSABLE
    queued(gate, now=0.5)
    assert gate.retention(now=1.0) is Retention.REQUIRED


@given(
    rate=st.sampled_from([0.1, 1 / 3, 3, 7.7, 1000]),
    start=st.floats(min_value=0, max_value=1e7),
    burst=st.integers(1, 3),
)
def test_sleeping_as_long_as_told_is_long_enough(rate: float, start: float, burst: int) -> None:
    """Whatever the clock shows, no wait of zero seconds is ever asked for twice."""
    gate = RateLimit(rate=rate, burst=burst).start()
    now = start
    for _ in range(20):
        answer = gate.admit(now)
        if isinstance(answer, Waiter):
            now += answer.estimate
            assert isinstance(gate.grant(answer, now), Slot)
