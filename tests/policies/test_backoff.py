"""The delay before a retry."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.backoff import JITTER, Backoff

numbers = st.floats(min_value=0, max_value=1e9, allow_nan=False)
randoms = st.floats(min_value=0, max_value=1, exclude_max=True)
backoffs = st.builds(
    Backoff,
    base_delay=numbers,
    factor=st.floats(min_value=1, max_value=1e6),
    max_delay=numbers,
)


@pytest.mark.parametrize(
    ("retry", "expected"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0)]
)
def test_the_delay_doubles_up_to_its_maximum(retry: int, expected: float) -> None:
    """At 0.5, the middle of the random range, there is no jitter."""
    assert Backoff(1.0, 2.0, 60.0).delay(retry, random=0.5) == pytest.approx(expected)


@pytest.mark.parametrize(("random", "expected"), [(0.0, 1.6), (0.25, 1.8), (0.75, 2.2)])
def test_jitter_changes_the_delay_by_up_to_20_percent(random: float, expected: float) -> None:
    """Clients that failed at the same time don't retry at the same time."""
    assert Backoff(1.0, 2.0, 60.0).delay(2, random=random) == pytest.approx(expected)


def test_jitter_never_exceeds_the_maximum() -> None:
    """At the maximum, jitter only shortens the delay."""
    backoff = Backoff(1.0, 2.0, 4.0)
    assert backoff.delay(3, random=0.999) == 4.0
    assert backoff.delay(30, random=0.0) == pytest.approx(3.2)


def test_a_base_delay_of_zero_never_waits() -> None:
    """Even for a retry whose growth overflows to infinity."""
    assert Backoff(0.0, 2.0, 60.0).delay(100_000, random=0.9) == 0.0


@pytest.mark.parametrize("factor", [1, 1.0, 1.0001, 2, 1e308])
def test_no_retry_number_overflows(factor: float) -> None:
    """Even if it's too large for a float."""
    delay = Backoff(1.0, factor, 60.0).delay(10**400, random=0.5)
    assert delay == pytest.approx(1.0 if factor == 1 else 60.0)


@given(backoffs, st.integers(min_value=-3, max_value=5000), randoms)
def test_every_delay_is_between_zero_and_the_maximum(
    backoff: Backoff, retry: int, random: float
) -> None:
    """Whatever the parameters, it is a duration that the engine can sleep for."""
    delay = backoff.delay(retry, random=random)
    assert math.isfinite(delay)
    assert 0 <= delay <= backoff.max_delay


@given(backoffs, st.integers(min_value=1, max_value=40), randoms)
def test_a_delay_is_within_20_percent_of_the_formula(
    backoff: Backoff, retry: int, random: float
) -> None:
    """The implementation matches the documentation."""
    expected = min(backoff.base_delay * backoff.factor ** (retry - 1), backoff.max_delay)
    delay = backoff.delay(retry, random=random)
    assert expected * (1 - JITTER) * 0.999 <= delay <= expected * (1 + JITTER) * 1.001
