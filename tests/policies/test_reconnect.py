"""When an event stream is connected to again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.reconnect import decide_reconnect
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, RetryPolicy

BACKOFF = Backoff(base_delay=1.0, factor=2.0, max_delay=8.0)
POLICY = RetryPolicy(retry_after_cap=60.0, retry_after_spread=0.2)


def decide(
    *,
    failures: int = 0,
    asked: float | None = None,
    remaining: float = math.inf,
    random: float = 0.5,
    policy: RetryPolicy = POLICY,
) -> RetryAfter | GiveUp:
    """Decide with 5 retries."""
    return decide_reconnect(
        policy,
        failures=failures,
        max_retries=5,
        backoff=BACKOFF,
        random=random,
        asked=asked,
        remaining=remaining,
    )


@pytest.mark.parametrize(
    ("failures", "delay"), [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0)]
)
def test_the_delay_grows_with_the_connections_that_brought_no_event(
    failures: int, delay: float
) -> None:
    """One that did starts again from the base delay."""
    assert decide(failures=failures) == RetryAfter(delay, "backoff")


def test_connections_without_events_are_limited() -> None:
    """The sixth may not be followed by another."""
    assert decide(failures=6, asked=2.0) == GiveUp(GiveUpReason.RETRIES, 2.0)


@pytest.mark.parametrize(
    ("asked", "random", "decision"),
    [
        (0.0, 0.5, RetryAfter(1.0, "backoff")),
        (0.9, 0.5, RetryAfter(1.0, "backoff")),
        (1.0, 0.5, RetryAfter(1.1, "server")),
        (3.0, 0.0, RetryAfter(3.0, "server")),
        (3.0, 0.5, RetryAfter(3.3, "server")),
        (60.0, 0.5, RetryAfter(60.0, "server")),
        (60.1, 0.5, GiveUp(GiveUpReason.RETRY_AFTER, 60.1)),
    ],
)
def test_the_server_may_ask_for_a_longer_delay(
    asked: float, random: float, decision: RetryAfter | GiveUp
) -> None:
    """Clients that were cut off together don't return together; the cap is that of Retry-After."""
    assert decide(asked=asked, random=random) == decision


def test_without_a_cap_the_server_may_ask_for_any_delay() -> None:
    """As ``retry_after_cap=None`` says."""
    policy = RetryPolicy(retry_after_cap=None, retry_after_spread=0.0)
    assert decide(asked=1e6, policy=policy) == RetryAfter(1e6, "server")


@pytest.mark.parametrize("asked", [None, 5.0])
def test_a_delay_that_would_pass_the_deadline_is_refused_now(asked: float | None) -> None:
    """There would be no time left to connect."""
    assert decide(asked=asked, remaining=1.0) == GiveUp(GiveUpReason.DEADLINE, asked)
    assert isinstance(decide(asked=asked, remaining=6.0), RetryAfter)


_SECONDS = st.floats(min_value=0, max_value=100, allow_subnormal=False)


@given(
    failures=st.integers(min_value=0, max_value=8),
    asked=st.none() | _SECONDS,
    remaining=_SECONDS | st.just(math.inf),
    random=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_a_delay_is_never_shorter_than_asked_nor_longer_than_allowed(
    failures: int, asked: float | None, remaining: float, random: float
) -> None:
    """Whatever the numbers."""
    match decide(failures=failures, asked=asked, remaining=remaining, random=random):
        case RetryAfter(delay=delay):
            assert failures <= 5
            assert max(asked or 0.0, 0.8) <= delay < remaining
            assert delay <= max(60.0, BACKOFF.max_delay)
        case GiveUp(reason=reason):
            assert reason in {
                GiveUpReason.RETRIES,
                GiveUpReason.RETRY_AFTER,
                GiveUpReason.DEADLINE,
            }
