"""A live percentile of durations."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.latency import MAX_ERROR, LatencyHistogram

durations = st.floats(min_value=0.0002, max_value=3600)


def percentile_of(percentile: float, recorded: list[float]) -> float:
    """Return the percentile of durations by a histogram."""
    histogram = LatencyHistogram(percentile)
    for duration in recorded:
        histogram.record(duration)
    return histogram.value()


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99]))
def test_a_percentile_is_exact_but_for_its_bucket(recorded: list[float], percentile: float) -> None:
    """Never too short, so that no more requests are slower than it says."""
    exact = sorted(recorded)[math.ceil(len(recorded) * percentile) - 1]
    value = percentile_of(percentile, recorded)
    assert exact * 0.999_999 <= value <= exact * (1 + MAX_ERROR) * 1.000_001


@pytest.mark.parametrize(
    ("duration", "expected"),
    [(0.0, 0.0001), (-1.0, 0.0001), (0.0001, 0.0001), (1e9, 6154), (math.inf, 6154)],
)
def test_durations_out_of_range_count_as_the_nearest(duration: float, expected: float) -> None:
    """Between 0.1 ms and nearly two hours."""
    assert percentile_of(0.5, [duration]) == pytest.approx(expected, rel=0.01)


def test_without_durations_there_is_no_percentile() -> None:
    """It is 0, and right as soon as there are some."""
    histogram = LatencyHistogram(0.5)
    assert histogram.value() == 0.0
    histogram.record(1.0)
    assert histogram.value() >= 1.0


def test_a_percentile_is_remembered_for_a_while() -> None:
    """Computing it for each request would cost more than it is worth."""
    histogram = LatencyHistogram(0.5)
    histogram.record(1.0)
    before = histogram.value()
    for _ in range(15):
        histogram.record(100.0)
    assert histogram.value() == before
    histogram.record(100.0)
    assert histogram.value() >= 100.0


def test_the_past_counts_less_and_less() -> None:
    """A host that has become ten times faster is known to be after some thousand requests."""
    histogram = LatencyHistogram(0.95)
    for _ in range(100_000):
        histogram.record(1.0)
    assert histogram.value() >= 1.0
    for _ in range(10_000):
        histogram.record(0.1)
    assert 0.1 <= histogram.value() <= 0.11
