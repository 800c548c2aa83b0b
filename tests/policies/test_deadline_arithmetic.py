"""What a deadline leaves for waits and attempts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.deadline import NO_DEADLINE, Deadline

DEADLINE = Deadline.after(30.0, now=100.0)
PHASES = {"connect": 5.0, "read": 60.0, "write": None, "pool": 0.0}


@pytest.mark.parametrize(
    ("now", "remaining", "has_passed"),
    [(100.0, 30.0, False), (129.5, 0.5, False), (130.0, 0.0, True), (500.0, 0.0, True)],
)
def test_what_remains_shrinks_to_nothing(now: float, remaining: float, *, has_passed: bool) -> None:
    """The instant itself is too late."""
    assert DEADLINE.remaining(now) == remaining
    assert DEADLINE.has_passed(now) is has_passed


@pytest.mark.parametrize(
    ("wait", "allowed"), [(0.0, True), (9.9, True), (10.0, False), (11.0, False), (math.inf, False)]
)
def test_a_wait_that_would_pass_the_deadline_is_not_allowed(wait: float, *, allowed: bool) -> None:
    """Nor one that ends at it, which leaves no time for an attempt."""
    assert DEADLINE.allows(wait, now=120.0) is allowed


def test_without_a_deadline_any_wait_is_allowed() -> None:
    """And there is always time left."""
    assert Deadline.after(None, now=100.0) == NO_DEADLINE
    assert NO_DEADLINE.remaining(1e9) == math.inf
    assert NO_DEADLINE.allows(1e9, now=1e9)
    assert not NO_DEADLINE.has_passed(1e9)


@pytest.mark.parametrize(
    ("timeout", "end"), [(None, 130.0), (5.0, 125.0), (10.0, 130.0), (60.0, 130.0)]
)
def test_an_attempt_ends_at_its_timeout_or_at_the_deadline(
    timeout: float | None, end: float
) -> None:
    """Whichever comes first."""
    assert DEADLINE.for_attempt(timeout, now=120.0) == Deadline(end)


def test_an_attempt_without_any_limit_has_no_end() -> None:
    """Its timeout alone limits it."""
    assert NO_DEADLINE.for_attempt(None, now=120.0) == NO_DEADLINE
    assert NO_DEADLINE.for_attempt(5.0, now=120.0) == Deadline(125.0)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (100.0, {"connect": 5.0, "read": 30.0, "write": 30.0, "pool": 0.0}),
        (128.0, {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 0.0}),
        (200.0, {"connect": 0.0, "read": 0.0, "write": 0.0, "pool": 0.0}),
    ],
)
def test_no_phase_may_take_longer_than_what_remains(now: float, expected: dict[str, float]) -> None:
    """One without a limit of its own neither."""
    assert DEADLINE.shrink(PHASES, now=now) == expected


def test_without_a_deadline_the_timeouts_stay_as_they_are() -> None:
    """In a dictionary of its own."""
    shrunk = NO_DEADLINE.shrink(PHASES, now=0.0)
    assert shrunk == PHASES
    assert shrunk is not PHASES


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf, "30", True])
def test_a_deadline_is_in_the_future(seconds: float) -> None:
    """The message names the value."""
    with pytest.raises(ValueError, match=r"^deadline must be a finite number > 0, got "):
        Deadline.after(seconds, now=0.0)


times = st.floats(0, 1e9)


@given(times, times, times, st.floats(0, 1e6) | st.none(), st.floats(0, 1e6) | st.none())
def test_nothing_is_allowed_past_the_deadline(
    at: float, now: float, wait: float, timeout: float | None, phase: float | None
) -> None:
    """Whatever is asked for."""
    deadline = Deadline(at)
    assert not deadline.allows(wait, now=now) or now + wait < at
    assert deadline.for_attempt(timeout, now=now) <= deadline
    shrunk = deadline.shrink({"read": phase}, now=now)["read"]
    assert shrunk is not None
    assert 0 <= shrunk <= deadline.remaining(now)
    assert deadline.has_passed(now) == (deadline.remaining(now) == 0)
