"""How a limit follows what the server copes with."""

import math
from typing import Any

import pytest
from adaptive_kit import admitted, gate_with, run_window
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.gates import Permit, Rejected, RejectionReason, Waiter
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import Retention


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "vegas"}, "algorithm must be one of aimd, gradient, got 'vegas'"),
        ({"min_limit": 0}, "min_limit must be an integer >= 1, got 0"),
        ({"min_limit": 300}, "max_limit must be an integer >= 300, got 200"),
        ({"initial": 0}, "initial must be an integer >= 1, got 0"),
        ({"shrink_factor": 1.0}, "shrink_factor must be a finite number > 0 and <= 1, got 1.0"),
        ({"slow_duration": 0}, "slow_duration must be a finite number > 0, got 0"),
        ({"tolerance": 0.9}, "tolerance must be a finite number >= 1, got 0.9"),
        ({"smoothing": 0}, "smoothing must be a finite number > 0 and <= 1, got 0"),
        ({"headroom": 0}, "headroom must be a finite number >= 1, got 0"),
        ({"window": 0}, "window must be a finite number > 0, got 0"),
        ({"minimum_samples": 0}, "minimum_samples must be an integer >= 1, got 0"),
        ({"max_waiting": -1}, "max_waiting must be an integer >= 0, got -1"),
        ({"per": "url"}, "per must be one of client, host, got 'url'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        AdaptiveLimit(**options)


@pytest.mark.parametrize(("limits", "expected"), [((1, 200), 20), ((1, 5), 5), ((50, 90), 50)])
def test_the_limit_begins_within_its_bounds(limits: tuple[int, int], expected: int) -> None:
    """So that a bound can be set without the initial limit."""
    gate = AdaptiveLimit(min_limit=limits[0], max_limit=limits[1]).start()
    assert gate.limit == expected


def test_the_limit_holds_for_attempts() -> None:
    """As with a bulkhead."""
    gate = gate_with(initial=2, max_waiting=1)
    first, _ = admitted(gate, 2, now=0.0)
    waiter = gate.admit(0.0)
    assert isinstance(waiter, Waiter)
    answer = gate.admit(0.0)
    assert isinstance(answer, Rejected)
    assert answer.reason is RejectionReason.QUEUE_FULL
    gate.release(first, now=1.0)
    assert isinstance(gate.grant(waiter, now=1.0), Permit)


@pytest.mark.parametrize("health", [Health.THROTTLED, Health.OVERLOADED])
def test_an_overloaded_server_shrinks_the_limit_at_once(health: Health) -> None:
    """By a tenth, and at least by one, down to its lower bound."""
    gate = gate_with(min_limit=7)
    limits = []
    for now in (1.0, 2.0, 3.0, 4.0):
        (permit,) = admitted(gate, 1, now)
        limits.append(gate.report(permit, health, duration=0.1, now=now))
        gate.release(permit, now)
    assert limits == [9, 8, 7, None]


def test_attempts_in_flight_together_shrink_the_limit_once() -> None:
    """They all met the same overload."""
    gate = gate_with()
    permits = admitted(gate, 10, now=1.0)
    reports = [gate.report(p, Health.THROTTLED, duration=1.0, now=2.0) for p in permits]
    assert reports == [9] + [None] * 9


@pytest.mark.parametrize("health", [Health.FAILING, Health.UNKNOWN])
def test_what_says_nothing_about_load_changes_nothing(health: Health) -> None:
    """However slow it was; local trouble is part of it."""
    gate = gate_with(slow_duration=1.0)
    (permit,) = admitted(gate, 1, now=0.0)
    assert gate.report(permit, health, duration=9.0, now=9.0) is None
    assert gate.retention(now=9.0) is Retention.REQUIRED


def test_a_late_response_shrinks_the_limit_if_it_is_set() -> None:
    """Above the duration, not at it."""
    gate = gate_with(slow_duration=1.0)
    first, second = admitted(gate, 2, now=0.0)
    assert gate.report(first, Health.OK, duration=1.0, now=1.0) is None
    assert gate.report(second, Health.OK, duration=1.1, now=1.1) == 9


def test_the_limit_grows_while_it_is_used() -> None:
    """By one per window, if at least half of it was used, up to its upper bound."""
    gate = gate_with(max_limit=12)
    limits = []
    for number, begin in ((4, 0.0), (5, 10.0), (5, 20.0), (6, 30.0), (12, 40.0)):
        run_window(gate, number, begin=begin)
        limits.append(gate.limit)
    assert limits == [10, 11, 11, 12, 12]


def test_a_window_needs_time_and_responses() -> None:
    """One that is too short for enough of them lasts longer."""
    gate = gate_with(minimum_samples=4)
    permits = admitted(gate, 10, now=0.0)
    times = [0.0, 0.5, 3.0, 3.5, 3.6, 3.7, 3.8, 4.6]
    reports = [
        gate.report(permit, Health.OK, duration=0.1, now=now)
        for permit, now in zip(permits, times, strict=False)
    ]
    assert reports == [None, None, None, 11, None, None, None, 12]


def test_a_window_with_overload_does_not_count_for_growth() -> None:
    """It begins anew."""
    gate = gate_with(minimum_samples=2)
    permits = admitted(gate, 10, now=0.5)
    assert gate.report(permits[0], Health.OK, duration=0.1, now=0.6) is None
    assert gate.report(permits[1], Health.THROTTLED, duration=0.1, now=1.0) == 9
    assert gate.report(permits[2], Health.OK, duration=0.1, now=1.9) is None
    assert gate.report(permits[3], Health.OK, duration=0.1, now=2.8) is None
    assert gate.report(permits[4], Health.OK, duration=0.1, now=2.9) == 10


def test_a_limit_that_was_learnt_is_kept_if_possible() -> None:
    """A permit in use always."""
    gate = gate_with()
    (permit,) = admitted(gate, 1, now=0.0)
    assert gate.retention(now=0.0) is Retention.REQUIRED
    gate.release(permit, now=0.0)
    assert gate.retention(now=0.0) is Retention.DISPOSABLE
    (permit,) = admitted(gate, 1, now=1.0)
    gate.report(permit, Health.THROTTLED, duration=0.1, now=1.1)
    gate.release(permit, now=1.1)
    assert gate.retention(now=1.1) is Retention.USEFUL


@pytest.mark.parametrize("algorithm", ["aimd", "gradient"])
@pytest.mark.parametrize("capacity", [5, 40])
def test_the_limit_finds_what_the_server_copes_with(algorithm: str, capacity: int) -> None:
    """The server throttles whatever is beyond its capacity."""
    gate = gate_with(algorithm=algorithm, initial=20)
    limits = []
    for second in range(200):
        now = float(second)
        permits = admitted(gate, gate.limit, now)
        for number, permit in enumerate(permits):
            health = Health.OK if number < capacity else Health.THROTTLED
            gate.report(permit, health, duration=0.1, now=now + 0.5)
        for permit in permits:
            gate.release(permit, now + 0.5)
        limits.append(gate.limit)
    assert capacity * 0.7 <= sum(limits[100:]) / 100 <= capacity + 1
    assert max(limits[100:]) <= capacity + 2


@given(
    st.sampled_from(["aimd", "gradient"]),
    st.lists(
        st.tuples(st.sampled_from(Health), st.floats(0, 1e308), st.floats(0, 1e9)), max_size=50
    ),
)
def test_the_limit_stays_within_its_bounds(
    algorithm: str, reports: list[tuple[Health, float, float]]
) -> None:
    """Whatever is reported, and whenever."""
    gate = gate_with(algorithm=algorithm, min_limit=2, max_limit=12)
    now = 0.0
    for health, duration, pause in reports:
        now += pause
        (permit,) = admitted(gate, 1, now)
        limit = gate.report(permit, health, duration=duration, now=now)
        gate.release(permit, now)
        assert 2 <= gate.limit <= 12
        assert limit in {None, gate.limit}
        assert math.isfinite(gate.estimate())
