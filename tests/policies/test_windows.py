"""Rolling counts of attempts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.windows import CountWindow, TimeWindow, Window

attempts = st.tuples(st.integers(0, 25), st.booleans(), st.booleans())
"""Seconds since the last one, whether it failed, whether it was slow."""


def counts(window: Window) -> tuple[int, int, int]:
    """Return the counts of a window."""
    return window.calls, window.failures, window.slow


def totals(recorded: list[tuple[bool, bool]]) -> tuple[int, int, int]:
    """Return the counts of attempts."""
    return len(recorded), sum(failed for failed, _ in recorded), sum(slow for _, slow in recorded)


def test_the_oldest_attempt_leaves_a_window_of_attempts() -> None:
    """However much time has passed."""
    window = CountWindow(2)
    window.record(0.0, failed=True, slow=True)
    window.record(0.0, failed=True, slow=False)
    assert counts(window) == (2, 2, 1)
    window.advance(1e9)
    window.record(1e9, failed=False, slow=False)
    assert counts(window) == (2, 1, 0)


@pytest.mark.parametrize(
    ("recorded", "read", "is_counted"),
    [
        (0.0, 9.9, True),
        (0.0, 10.0, False),
        (0.9, 9.9, True),
        (0.9, 10.0, False),
        (0.9, 1e12, False),
    ],
)
def test_an_attempt_leaves_a_window_of_time(
    recorded: float, read: float, *, is_counted: bool
) -> None:
    """After nine tenths of it at the earliest, at its end at the latest."""
    window = TimeWindow(10.0)
    window.record(recorded, failed=True, slow=False)
    window.advance(read)
    assert counts(window) == ((1, 1, 0) if is_counted else (0, 0, 0))


def test_a_window_of_time_starts_whenever_it_is_used_first() -> None:
    """A monotonic clock may show anything."""
    window = TimeWindow(30.0)
    window.record(123_456_789.25, failed=False, slow=True)
    assert counts(window) == (1, 0, 1)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    """Threads may report in another order than that in which they read the clock."""
    window = TimeWindow(10.0)
    window.record(5.0, failed=True, slow=False)
    window.record(4.0, failed=True, slow=False)
    window.advance(13.9)
    assert counts(window) == (2, 2, 0)


@given(st.lists(attempts), st.integers(1, 10))
def test_a_window_of_attempts_counts_the_last_ones(
    recorded: list[tuple[int, bool, bool]], size: int
) -> None:
    """Compared with a list of them."""
    window = CountWindow(size)
    model: list[tuple[bool, bool]] = []
    for now, failed, slow in recorded:
        window.record(now, failed=failed, slow=slow)
        model = [*model, (failed, slow)][-size:]
        assert counts(window) == totals(model)


@given(st.lists(attempts))
def test_a_window_of_time_counts_the_recent_ones(recorded: list[tuple[int, bool, bool]]) -> None:
    """Compared with a list of them; each part of the window is a second long."""
    window = TimeWindow(10.0)
    now = 0.0
    model: list[tuple[float, bool, bool]] = []
    for quarters, failed, slow in recorded:
        now += quarters / 4
        window.record(now, failed=failed, slow=slow)
        model.append((now, failed, slow))
        recent = [
            (failed, slow)
            for then, failed, slow in model
            if math.floor(now) - math.floor(then) < 10
        ]
        assert counts(window) == totals(recent)
