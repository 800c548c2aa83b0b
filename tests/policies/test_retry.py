"""What a client does that was given no policies: it retries failures to connect, and nothing else."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.context import RequestContext
from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.classify import IDEMPOTENT, Fault, is_idempotent
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, RetryPolicy

CONNECT_ONLY = RetryPolicy.connect_only()
BACKOFF = Backoff(base_delay=1.0, factor=2.0, max_delay=60.0)
REFUSED = Facts(fault=Fault.CONNECT, sent=Sent.NOTHING)

any_facts = st.builds(
    Facts,
    fault=st.sampled_from([*Fault, None]),
    sent=st.sampled_from(Sent),
    status=st.none() | st.integers(200, 599),
    retry_after=st.none() | st.floats(0, 1e9),
    should_retry=st.none() | st.booleans(),
    idempotent=st.booleans(),
    replayable=st.booleans(),
    local=st.booleans(),
)
randoms = st.floats(0, 1, exclude_max=True)


def after(facts: Facts) -> str:
    """Return what follows a first attempt: "retry", or why none follows."""
    decision = CONNECT_ONLY.decide(facts, retry=1, random=0.5)
    return decision.reason if isinstance(decision, GiveUp) else "retry"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.CONNECT, "retry"),
        (Fault.UNREACHABLE, "final"),
        (Fault.TIMEOUT, "final"),
        (Fault.LOST, "final"),
        (Fault.OTHER, "final"),
    ],
)
def test_only_a_connect_failure_is_retried(fault: Fault, expected: str, method: str) -> None:
    """It proves that nothing was sent, so the method doesn't matter."""
    assert (
        after(Facts(fault=fault, sent=Sent.NOTHING, idempotent=is_idempotent(method))) == expected
    )


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", "retry"),
        ("PUT", "retry"),
        ("DELETE", "retry"),
        ("QUERY", "retry"),
        ("POST", "unsafe"),
        ("PATCH", "unsafe"),
        ("CONNECT", "unsafe"),
    ],
)
@pytest.mark.parametrize("sent", [Sent.NOTHING, Sent.UNANSWERED, Sent.ANSWERED])
def test_a_connect_failure_after_a_redirect_is_retried_for_idempotent_methods(
    sent: Sent, method: str, expected: str
) -> None:
    """The first hop was processed, and another attempt would send it again."""
    facts = Facts(fault=Fault.CONNECT_LATER, sent=sent, idempotent=is_idempotent(method))
    assert after(facts) == expected


@pytest.mark.parametrize("name", [b"Idempotency-Key", b"idempotency-key"])
def test_an_idempotency_key_makes_any_method_idempotent(name: bytes) -> None:
    """The server recognizes the second request by its key; the header's case doesn't matter."""
    assert is_idempotent("POST", [(b"accept", b"*/*"), (name, b"8f2a")])
    assert not is_idempotent("POST", [(b"accept", b"*/*")])
    assert all(is_idempotent(method) for method in IDEMPOTENT)


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_decided(fault: Fault) -> None:
    """A fault added later must be, too."""
    assert after(Facts(fault=fault, sent=Sent.NOTHING)) in {"retry", "final", "unsafe"}


@pytest.mark.parametrize(
    ("retry", "decision"),
    [(1, RetryAfter(1.0)), (2, RetryAfter(2.0)), (3, GiveUp(GiveUpReason.RETRIES))],
)
def test_the_retry_after_the_last_allowed_one_is_given_up(
    retry: int, decision: RetryAfter | GiveUp
) -> None:
    """The limit is the number of retries, not of attempts."""
    decided = CONNECT_ONLY.decide(REFUSED, retry=retry, random=0.5)
    assert decided == decision
    assert not isinstance(decided, GiveUp) or (decided.exhausted and decided.is_counted)


def test_a_final_failure_is_given_up_with_retries_left() -> None:
    """The retries aren't exhausted, and the decision says so."""
    lost = Facts(fault=Fault.LOST, sent=Sent.UNANSWERED)
    decision = CONNECT_ONLY.decide(lost, retry=1, max_retries=5, random=0.5)
    assert decision == GiveUp(GiveUpReason.FINAL)
    assert not decision.exhausted
    assert not decision.is_counted


@given(st.integers(min_value=0, max_value=50))
def test_exactly_max_retries_retries_are_allowed(max_retries: int) -> None:
    """Whatever the limit."""
    retry = 1
    while isinstance(
        CONNECT_ONLY.decide(REFUSED, retry=retry, max_retries=max_retries, random=0), RetryAfter
    ):
        retry += 1
    assert retry - 1 == max_retries


@given(any_facts, st.integers(1, 9), st.integers(0, 9), randoms)
def test_every_decision_is_that_of_the_specification(
    facts: Facts, retry: int, max_retries: int, random: float
) -> None:
    """A connect failure that may be repeated is retried after the backoff; nothing else is."""
    decided = CONNECT_ONLY.decide(facts, retry=retry, max_retries=max_retries, random=random)
    is_safe = facts.idempotent or not facts.may_have_been_processed
    is_retried = facts.fault in {Fault.CONNECT, Fault.CONNECT_LATER} and is_safe
    if is_retried and facts.replayable and retry <= max_retries and facts.retry_after is None:
        assert decided == RetryAfter(BACKOFF.delay(retry, random=random))
    elif not (is_retried and facts.replayable and retry <= max_retries):
        assert isinstance(decided, GiveUp)
        is_out = decided.reason is GiveUpReason.RETRIES
        assert is_out == (is_retried and facts.replayable and retry > max_retries)


def test_the_limits_are_those_of_a_context() -> None:
    """A request that brings none of its own waits for 1 and for 2 seconds."""
    context = RequestContext()
    assert CONNECT_ONLY.max_retries == context.max_retries == 2
    assert CONNECT_ONLY.backoff == context.backoff == BACKOFF


@given(any_facts)
def test_no_response_is_retried(facts: Facts) -> None:
    """Whatever the server says, or says that it hasn't processed."""
    answered = dataclasses.replace(facts, fault=None)
    decision = CONNECT_ONLY.decide(answered, retry=1, random=0.5, remaining=math.inf)
    assert decision == GiveUp(GiveUpReason.FINAL, facts.retry_after)
