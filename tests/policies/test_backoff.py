"""The delay before a retry."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.backoff import JITTER, Backoff

numbers = st.floats(min_value=0, max_value=1e9, allow_nan=False)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)
backoffs = st.builds(
    Backoff,
    base_delay=numbers,
    factor=st.floats(min_value=1, max_value=1e6),
    max_delay=numbers,
)


@pytest.mark.parametrize(
    ("retry", "expected"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0)]
)
def test_the_delay_doubles_up_to_its_ceiling(retry: int, expected: float) -> None:
    """In the middle of the random range the formula is bare."""
    assert Backoff(1.0, 2.0, 60.0).delay(retry, random=0.5) == pytest.approx(expected)


@pytest.mark.parametrize(("random", "expected"), [(0.0, 1.6), (0.25, 1.8), (0.75, 2.2)])
def test_chance_moves_the_delay_by_a_fifth_either_way(random: float, expected: float) -> None:
    """Two clients that failed together do not come back together."""
    assert Backoff(1.0, 2.0, 60.0).delay(2, random=random) == pytest.approx(expected)


def test_chance_never_lifts_a_delay_over_its_ceiling() -> None:
    """At the ceiling the random part only shortens."""
    backoff = Backoff(1.0, 2.0, 4.0)
    assert backoff.delay(3, random=0.999) == 4.0
    assert backoff.delay(30, random=0.0) == pytest.approx(3.2)


def test_a_base_of_zero_never_waits() -> None:
    """Zero stays zero, even times infinity."""
    assert Backoff(0.0, 2.0, 60.0).delay(100_000, random=0.9) == 0.0


@pytest.mark.parametrize("factor", [1, 1.0, 1.0001, 2, 1e308])
def test_no_attempt_number_overflows(factor: float) -> None:
    """A counter beyond any float is only a very late retry."""
    delay = Backoff(1.0, factor, 60.0).delay(10**400, random=0.5)
    assert delay == pytest.approx(1.0 if factor == 1 else 60.0)


@given(backoffs, st.integers(min_value=-3, max_value=5000), chances)
def test_every_delay_is_a_number_between_zero_and_the_ceiling(
    backoff: Backoff, retry: int, random: float
) -> None:
    """Whatever the numbers, the engine gets seconds that it can sleep."""
    delay = backoff.delay(retry, random=random)
    assert math.isfinite(delay)
    assert 0 <= delay <= backoff.max_delay


@given(backoffs, st.integers(min_value=1, max_value=40), chances)
def test_a_delay_stays_within_a_fifth_of_the_formula(
    backoff: Backoff, retry: int, random: float
) -> None:
    """The documented formula is the one that runs."""
    bare = min(backoff.base_delay * backoff.factor ** (retry - 1), backoff.max_delay)
    delay = backoff.delay(retry, random=random)
    assert bare * (1 - JITTER) * 0.999 <= delay <= bare * (1 + JITTER) * 1.001
