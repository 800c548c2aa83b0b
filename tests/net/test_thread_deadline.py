"""The deadline of a thread: the earliest of those that it is inside of, and nobody else's."""

import math
import threading
import time

import pytest

from typed_async_client.net.thread_deadline import EndsBy, seconds_left, thread_deadline


@pytest.mark.parametrize("timeout", [None, 0.0, 5.0])
def test_without_a_deadline_a_timeout_is_left_alone(timeout: float | None) -> None:
    """Also one of 0, which some callers mean."""
    assert thread_deadline() == math.inf
    assert seconds_left(timeout, TimeoutError) == timeout


def test_no_wait_is_longer_than_what_is_left() -> None:
    """A shorter timeout stays as it is."""
    with EndsBy(time.monotonic() + 20.0):
        assert 0.0 < (seconds_left(None, TimeoutError) or 0.0) <= 20.0
        assert 0.0 < (seconds_left(30.0, TimeoutError) or 0.0) <= 20.0
        assert seconds_left(0.001, TimeoutError) == 0.001


def test_a_deadline_that_has_passed_raises_the_error_of_the_phase() -> None:
    """A socket would take what is left, 0 seconds, as the wish not to wait at all."""
    with EndsBy(time.monotonic()), pytest.raises(ConnectionError, match="timed out"):
        seconds_left(5.0, ConnectionError)


def see_and_fail(seen: list[float]) -> None:
    """Add the deadline to a list, and raise ``KeyError``."""
    seen.append(thread_deadline())
    raise KeyError


@pytest.mark.parametrize("inner", [10.0, math.inf, 30.0])
def test_the_earlier_of_nested_deadlines_counts(inner: float) -> None:
    """Whichever was set first; each ends with its block, whatever ends that."""
    seen: list[float] = []
    with EndsBy(20.0):
        with pytest.raises(KeyError), EndsBy(inner):
            see_and_fail(seen)
        assert thread_deadline() == 20.0
    assert seen == [min(inner, 20.0)]
    assert thread_deadline() == math.inf


def test_another_thread_has_no_part_in_it() -> None:
    """Neither one that runs meanwhile, nor one that was started inside."""
    seen: list[float] = []
    with EndsBy(20.0):
        thread = threading.Thread(target=lambda: seen.append(thread_deadline()))
        thread.start()
        thread.join()
    assert seen == [math.inf]
