"""After which delay a request is sent again."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, RetryPolicy

REFUSED = Facts(fault=Fault.CONNECT, sent=Sent.NOTHING)
STANDARD = RetryPolicy(jitter="none")
"""It waits for a quarter of a second, then for half a second."""


def throttled(retry_after: float | None) -> Facts:
    """Return the facts about an attempt that was answered with 429."""
    return Facts(fault=None, sent=Sent.ANSWERED, status=429, retry_after=retry_after)


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (1, RetryAfter(0.25)),
        (2, RetryAfter(0.5)),
        (3, GiveUp(GiveUpReason.RETRIES)),
        (2000, GiveUp(GiveUpReason.RETRIES)),
    ],
)
def test_the_backoff_determines_the_delay_until_the_retries_are_used_up(
    retry: int, expected: RetryAfter | GiveUp
) -> None:
    """Two retries are allowed unless the policy says otherwise."""
    assert STANDARD.decide(REFUSED, retry=retry, random=0.9) == expected


def test_a_request_may_have_limits_of_its_own() -> None:
    """They replace those of the policy; its jitter stays."""
    backoff = Backoff(base_delay=3.0, factor=1.0, max_delay=9.0)
    policy = RetryPolicy(jitter="equal")
    decision = policy.decide(REFUSED, retry=7, random=0.0, max_retries=7, backoff=backoff)
    assert decision == RetryAfter(1.5)
    assert policy.decide(REFUSED, retry=1, random=0.0, max_retries=0) == GiveUp(
        GiveUpReason.RETRIES
    )


def test_a_decorrelated_delay_starts_again_after_a_wait_that_the_server_asked_for() -> None:
    """That wait says nothing about the backoff."""
    policy = RetryPolicy(jitter="decorrelated", base_delay=1.0)
    own = policy.decide(REFUSED, retry=2, random=0.5, previous=RetryAfter(4.0))
    asked = policy.decide(REFUSED, retry=2, random=0.5, previous=RetryAfter(4.0, "server"))
    assert own == RetryAfter(6.5)
    assert asked == RetryAfter(2.0)


@pytest.mark.parametrize(
    ("random", "delay"), [(0.0, 10.0), (0.5, 11.0), (1 - 1e-9, pytest.approx(12.0))]
)
def test_a_wait_that_the_server_asked_for_is_spread_out(random: float, delay: float) -> None:
    """It is never shorter than asked, whatever the backoff."""
    decision = STANDARD.decide(throttled(10.0), retry=1, random=random)
    assert decision == RetryAfter(delay, "server")


def test_a_server_may_ask_for_no_wait() -> None:
    """Its word replaces the backoff."""
    assert STANDARD.decide(throttled(0.0), retry=2, random=0.9) == RetryAfter(0.0, "server")


@pytest.mark.parametrize("asked", [60.5, 3600.0, 1e9])
def test_a_wait_beyond_the_cap_fails_now(asked: float) -> None:
    """The caller learns how long the server wanted it to wait."""
    decision = STANDARD.decide(throttled(asked), retry=1, random=0.5)
    assert decision == GiveUp(GiveUpReason.RETRY_AFTER, asked)


def test_the_spread_does_not_exceed_the_cap() -> None:
    """A wait of exactly the cap is allowed, too."""
    assert STANDARD.decide(throttled(60.0), retry=1, random=0.9) == RetryAfter(60.0, "server")
    assert STANDARD.decide(throttled(58.0), retry=1, random=0.5) == RetryAfter(59.0, "server")


def test_without_a_cap_any_wait_is_allowed() -> None:
    """Unless it would pass the deadline."""
    policy = RetryPolicy(retry_after_cap=None, retry_after_spread=0.0)
    assert policy.decide(throttled(1e9), retry=1, random=0.9) == RetryAfter(1e9, "server")
    late = policy.decide(throttled(1e9), retry=1, random=0.9, remaining=1e9)
    assert late == GiveUp(GiveUpReason.DEADLINE, 1e9)


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        (0.0, GiveUp(GiveUpReason.DEADLINE)),
        (-1.0, GiveUp(GiveUpReason.DEADLINE)),
        (0.25, GiveUp(GiveUpReason.DEADLINE)),
        (0.3, RetryAfter(0.25)),
    ],
)
def test_a_backoff_that_would_pass_the_deadline_fails_now(
    remaining: float, expected: RetryAfter | GiveUp
) -> None:
    """A wait that ends at the deadline leaves no time for an attempt."""
    assert STANDARD.decide(REFUSED, retry=1, random=0.5, remaining=remaining) == expected


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        (9.9, GiveUp(GiveUpReason.DEADLINE, 10.0)),
        (10.0, GiveUp(GiveUpReason.DEADLINE, 10.0)),
        (10.2, RetryAfter(10.05, "server")),
        (100.0, RetryAfter(11.0, "server")),
    ],
)
def test_a_wait_that_the_server_asked_for_fails_now_only_if_it_passes_the_deadline(
    remaining: float, expected: RetryAfter | GiveUp
) -> None:
    """The spread leaves at least half of the time that remains after it for the attempt."""
    decision = STANDARD.decide(throttled(10.0), retry=1, random=0.5, remaining=remaining)
    if isinstance(expected, RetryAfter):
        assert isinstance(decision, RetryAfter)
        assert decision.delay == pytest.approx(expected.delay)
    else:
        assert decision == expected


def test_giving_up_reports_what_the_server_asked_for() -> None:
    """Whatever the reason."""
    decision = STANDARD.decide(throttled(5.0), retry=3, random=0.5)
    assert decision == GiveUp(GiveUpReason.RETRIES, 5.0)


def test_the_caller_may_compute_the_delay() -> None:
    """From the facts and the number of the retry; it is capped like any other."""

    def delay(facts: Facts, retry: int) -> float:
        return 30.0 if facts.status else 2.0 * retry

    policy = RetryPolicy(jitter=delay, max_delay=20.0)
    assert policy.decide(REFUSED, retry=2, random=0.5) == RetryAfter(4.0, "custom")
    assert policy.decide(throttled(None), retry=2, random=0.5) == RetryAfter(20.0, "custom")
    assert policy.decide(throttled(1.0), retry=2, random=0.0) == RetryAfter(1.0, "server")


@pytest.mark.parametrize("delay", [0, 0.5, 20.0])
def test_a_delay_function_may_return_any_number_of_seconds(delay: float) -> None:
    """Including none."""
    policy = RetryPolicy(jitter=lambda _facts, _retry: delay, max_delay=20.0)
    assert policy.decide(REFUSED, retry=1, random=0.5) == RetryAfter(delay, "custom")


@pytest.mark.parametrize("delay", [-1.0, math.nan, None, "soon"])
def test_a_delay_function_must_return_seconds(delay: float) -> None:
    """The message shows what it returned."""
    policy = RetryPolicy(jitter=lambda _facts, _retry: delay)
    with pytest.raises(ValueError, match=r"^the result of the delay function must be seconds >= 0"):
        policy.decide(REFUSED, retry=1, random=0.5)


@given(
    st.floats(0, 1e9),
    st.floats(0, 1e9) | st.none(),
    st.floats(0, 10),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1e9) | st.just(math.inf),
)
def test_a_server_is_never_contacted_earlier_than_it_asked(
    asked: float, cap: float | None, spread: float, random: float, remaining: float
) -> None:
    """The wait stays within the cap and before the deadline, or the request fails now."""
    policy = RetryPolicy(retry_after_cap=cap, retry_after_spread=spread)
    decision = policy.decide(throttled(asked), retry=1, random=random, remaining=remaining)
    if isinstance(decision, RetryAfter):
        assert asked <= decision.delay < remaining
        assert decision.delay <= (math.inf if cap is None else cap)
    elif decision.reason is GiveUpReason.RETRY_AFTER:
        assert cap is not None
        assert asked > cap
    else:
        assert asked >= remaining


@pytest.mark.parametrize("max_retries", [0, 3])
@pytest.mark.parametrize("remaining", [0.0, -0.1])
def test_an_attempt_that_the_deadline_has_ended_says_so(max_retries: int, remaining: float) -> None:
    """Even if it was the last one that was allowed."""
    late = Facts(fault=Fault.TIMEOUT, sent=Sent.UNANSWERED, idempotent=True, local=True)
    policy = RetryPolicy(max_retries=max_retries)
    assert policy.decide(late, retry=1, random=0.5, remaining=remaining) == GiveUp(
        GiveUpReason.DEADLINE
    )
    early = dataclasses.replace(late, local=False)
    expected = GiveUpReason.DEADLINE if max_retries else GiveUpReason.RETRIES
    assert policy.decide(early, retry=1, random=0.5, remaining=remaining) == GiveUp(expected)
