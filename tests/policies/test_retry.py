"""What follows a failed attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.classify import Fault, Verdict, classify, is_idempotent
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, decide

BACKOFF = Backoff(base_delay=1.0, factor=2.0, max_delay=60.0)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault.CONNECT, Verdict.TRANSIENT),
        (Fault.UNREACHABLE, Verdict.FATAL),
        (Fault.TIMEOUT, Verdict.FATAL),
        (Fault.OTHER, Verdict.FATAL),
    ],
)
def test_only_a_connect_failure_is_transient(fault: Fault, verdict: Verdict, method: str) -> None:
    """It proves that nothing was sent, so the method doesn't matter."""
    assert classify(fault, idempotent=is_idempotent(method)) is verdict


@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        ("GET", Verdict.TRANSIENT),
        ("PUT", Verdict.TRANSIENT),
        ("DELETE", Verdict.TRANSIENT),
        ("QUERY", Verdict.TRANSIENT),
        ("POST", Verdict.FATAL),
        ("PATCH", Verdict.FATAL),
        ("CONNECT", Verdict.FATAL),
    ],
)
def test_a_connect_failure_after_a_redirect_is_transient_for_idempotent_methods(
    method: str, verdict: Verdict
) -> None:
    """The first hop was processed, and another attempt would send it again."""
    assert classify(Fault.CONNECT_LATER, idempotent=is_idempotent(method)) is verdict


@pytest.mark.parametrize("name", [b"Idempotency-Key", b"idempotency-key"])
def test_an_idempotency_key_makes_any_method_idempotent(name: bytes) -> None:
    """The server recognizes the second request by its key; the header's case doesn't matter."""
    assert is_idempotent("POST", [(b"accept", b"*/*"), (name, b"8f2a")])
    assert not is_idempotent("POST", [(b"accept", b"*/*")])


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_verdict(fault: Fault) -> None:
    """A fault added later must be classified too."""
    assert classify(fault, idempotent=False) in Verdict


@pytest.mark.parametrize(
    ("retry", "decision"),
    [(1, RetryAfter(1.0)), (2, RetryAfter(2.0)), (3, GiveUp(GiveUpReason.RETRIES))],
)
def test_the_retry_after_the_last_allowed_one_is_given_up(
    retry: int, decision: RetryAfter | GiveUp
) -> None:
    """The limit is the number of retries, not of attempts."""
    decided = decide(Verdict.TRANSIENT, retry=retry, max_retries=2, backoff=BACKOFF, random=0.5)
    assert decided == decision
    assert not isinstance(decided, GiveUp) or decided.exhausted


def test_a_fatal_failure_is_given_up_with_retries_left() -> None:
    """The retries aren't exhausted, and the decision says so."""
    decision = decide(Verdict.FATAL, retry=1, max_retries=5, backoff=BACKOFF, random=0.5)
    assert decision == GiveUp(GiveUpReason.FINAL)
    assert not decision.exhausted


@given(st.integers(min_value=0, max_value=50))
def test_exactly_max_retries_retries_are_allowed(max_retries: int) -> None:
    """Whatever the limit."""
    retry = 1
    while isinstance(
        decide(Verdict.TRANSIENT, retry=retry, max_retries=max_retries, backoff=BACKOFF, random=0),
        RetryAfter,
    ):
        retry += 1
    assert retry - 1 == max_retries
