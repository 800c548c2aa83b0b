"""What a deadline leaves for attempts and their phases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.deadline import attempt_end, deadline_option, shrunk

PHASES = {"connect": 5.0, "read": 60.0, "write": None, "pool": 0.0}


@pytest.mark.parametrize(
    ("timeout", "end"), [(None, 130.0), (5.0, 125.0), (10.0, 130.0), (60.0, 130.0)]
)
def test_an_attempt_ends_at_its_timeout_or_at_the_deadline(
    timeout: float | None, end: float
) -> None:
    """Whichever comes first."""
    assert attempt_end(timeout, now=120.0, deadline=130.0) == end


def test_an_attempt_without_any_limit_has_no_end() -> None:
    """Its timeout alone limits it."""
    assert attempt_end(None, now=120.0, deadline=math.inf) == math.inf
    assert attempt_end(5.0, now=120.0, deadline=math.inf) == 125.0


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
    assert shrunk(PHASES, now=now, until=130.0) == expected


def test_without_a_deadline_the_timeouts_stay_as_they_are() -> None:
    """In a dictionary of its own."""
    same = shrunk(PHASES, now=0.0, until=math.inf)
    assert same == PHASES
    assert same is not PHASES


times = st.floats(0, 1e9)
limits = st.floats(0, 1e6) | st.none()


@given(times, times, limits, limits)
def test_nothing_is_allowed_past_the_deadline(
    deadline: float, now: float, timeout: float | None, phase: float | None
) -> None:
    """Whatever is asked for."""
    until = attempt_end(timeout, now=now, deadline=deadline)
    assert until <= deadline
    left = shrunk({"read": phase}, now=now, until=until)["read"]
    assert left is not None
    assert 0 <= left <= max(0.0, deadline - now)


@pytest.mark.parametrize(
    ("remaining", "seconds"), [(2.5, 2.5), (math.inf, None), (0.0, 1e-6), (-3.0, 1e-6)]
)
def test_a_request_after_the_deadline_gets_a_moment(
    remaining: float, seconds: float | None
) -> None:
    """The option must be above 0, and the request fails with the error of its deadline."""
    assert deadline_option(remaining) == seconds
