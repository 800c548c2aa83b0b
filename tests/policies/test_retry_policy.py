"""Which requests are sent again."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import (
    GiveUp,
    GiveUpReason,
    RetryAfter,
    RetryPolicy,
)

STANDARD = RetryPolicy(jitter="none")


def after(policy: RetryPolicy, facts: Facts) -> str:
    """Return what follows a first attempt: "retry", or why none follows."""
    decision = policy.decide(facts, retry=1, random=0.5)
    return decision.reason if isinstance(decision, GiveUp) else "retry"


def response(status: int, **facts: Any) -> Facts:
    """Return the facts about an attempt that received a response."""
    return Facts(**{"fault": None, "sent": Sent.ANSWERED, "status": status} | facts)


@pytest.mark.parametrize(
    ("fault", "sent", "once", "idempotent"),
    [
        (Fault.CONNECT, Sent.NOTHING, "retry", "retry"),
        (Fault.TIMEOUT, Sent.NOTHING, "retry", "retry"),
        (Fault.LOST, Sent.NOTHING, "retry", "retry"),
        (Fault.UNREACHABLE, Sent.NOTHING, "final", "final"),
        (Fault.OTHER, Sent.NOTHING, "final", "final"),
        (Fault.CONNECT_LATER, Sent.NOTHING, "unsafe", "retry"),
        (Fault.CONNECT_LATER, Sent.ANSWERED, "unsafe", "retry"),
        (Fault.TIMEOUT, Sent.UNANSWERED, "unsafe", "retry"),
        (Fault.TIMEOUT, Sent.ANSWERED, "unsafe", "retry"),
        (Fault.LOST, Sent.UNANSWERED, "unsafe", "retry"),
        (Fault.LOST, Sent.ANSWERED, "unsafe", "retry"),
        (Fault.OTHER, Sent.UNANSWERED, "final", "final"),
        (Fault.OTHER, Sent.ANSWERED, "final", "final"),
        (Fault.LOST, Sent.UNPROCESSED, "retry", "retry"),
        (Fault.OTHER, Sent.UNPROCESSED, "retry", "retry"),
    ],
)
def test_what_was_sent_decides_whether_a_failure_is_retried(
    fault: Fault, sent: Sent, once: str, idempotent: str
) -> None:
    """A request that may have been processed is sent again only if it is idempotent."""
    assert after(STANDARD, Facts(fault=fault, sent=sent)) == once
    assert after(STANDARD, Facts(fault=fault, sent=sent, idempotent=True)) == idempotent
    always = RetryPolicy(assume_idempotent=True)
    assert after(always, Facts(fault=fault, sent=sent)) == idempotent


@pytest.mark.parametrize(
    ("status", "once", "idempotent"),
    [
        (200, "final", "final"),
        (304, "final", "final"),
        (404, "final", "final"),
        (408, "unsafe", "retry"),
        (421, "final", "final"),
        (425, "retry", "retry"),
        (429, "retry", "retry"),
        (500, "final", "final"),
        (501, "final", "final"),
        (502, "unsafe", "retry"),
        (503, "unsafe", "retry"),
        (504, "unsafe", "retry"),
        (599, "final", "final"),
    ],
)
def test_which_statuses_are_retried(status: int, once: str, idempotent: str) -> None:
    """After 425 and 429, the server hasn't processed the request."""
    assert after(STANDARD, response(status)) == once
    assert after(STANDARD, response(status, idempotent=True)) == idempotent


def test_an_unprocessed_request_is_retried_whatever_its_status_or_method() -> None:
    """Unless the policy says otherwise."""
    misdirected = response(421, sent=Sent.UNPROCESSED)
    assert after(STANDARD, misdirected) == "retry"
    assert after(RetryPolicy(retry_unprocessed=False), misdirected) == "final"


@pytest.mark.parametrize("fault", [Fault.CONNECT, Fault.TIMEOUT, Fault.LOST, None])
@pytest.mark.parametrize("sent", [Sent.NOTHING, Sent.UNPROCESSED, Sent.ANSWERED])
def test_a_body_that_was_read_and_can_be_read_only_once_is_never_sent_again(
    fault: Fault | None, sent: Sent
) -> None:
    """An empty body would be sent in its place; even the caller's word doesn't change that."""
    facts = Facts(
        fault=fault, sent=sent, status=None if fault else 503, idempotent=True, replayable=False
    )
    wanted = dataclasses.replace(facts, wanted=True)
    everything = RetryPolicy(assume_idempotent=True)
    assert after(STANDARD, facts) == after(everything, wanted) == "not_replayable"


@pytest.mark.parametrize(
    ("status", "should_retry", "expected"),
    [
        (400, True, "retry"),
        (503, False, "final"),
        (503, None, "retry"),
        (200, True, "final"),
        (302, True, "final"),
    ],
)
def test_a_server_may_decide_whether_its_failure_is_worth_a_retry(
    status: int, expected: str, *, should_retry: bool | None
) -> None:
    """It can't ask for another request after a success, nor make a retry safe."""
    facts = response(status, should_retry=should_retry, idempotent=True)
    assert after(STANDARD, facts) == expected
    assert after(STANDARD, response(400, should_retry=True)) == "unsafe"
    assert after(RetryPolicy(obey_should_retry=False), response(400, should_retry=True)) == "final"


def test_the_caller_may_choose_what_is_retried() -> None:
    """Statuses, faults, and classes of exceptions."""
    policy = RetryPolicy(statuses={418}, faults={Fault.CONNECT}, on=KeyError)
    assert after(policy, response(418, idempotent=True)) == "retry"
    assert after(policy, response(429)) == after(policy, response(503, idempotent=True)) == "final"
    assert after(policy, Facts(fault=Fault.TIMEOUT, sent=Sent.NOTHING)) == "final"
    assert policy.matches(KeyError("a")) is True
    assert policy.matches(OSError()) is False
    assert after(policy, Facts(fault=Fault.OTHER, sent=Sent.NOTHING, matches=True)) == "retry"
    assert after(policy, Facts(fault=Fault.OTHER, sent=Sent.ANSWERED, matches=True)) == "unsafe"


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        (True, 409, "retry"),
        (True, 200, "retry"),
        (False, 503, "final"),
        (None, 503, "retry"),
        (None, 409, "final"),
    ],
)
def test_a_predicate_of_the_caller_decides_first(
    status: int, expected: str, *, answer: bool | None
) -> None:
    """The engine asks it about every response; its answer can't make a retry safe."""
    assert after(STANDARD, response(status, wanted=answer, idempotent=True)) == expected
    if answer:
        assert after(STANDARD, response(status, wanted=answer)) == "unsafe"


@pytest.mark.parametrize(
    ("policy", "facts", "is_content"),
    [
        (STANDARD, response(200), True),
        (STANDARD, response(404), True),
        (STANDARD, response(503), False),
        (STANDARD, response(200, should_retry=False), False),
        (STANDARD, Facts(fault=Fault.LOST, sent=Sent.ANSWERED, status=200), False),
        (RetryPolicy(when=lambda _: None), response(200), False),
        (RetryPolicy(statuses={404}), response(404), False),
    ],
)
def test_a_response_that_is_plainly_final_needs_no_decision(
    policy: RetryPolicy, facts: Facts, *, is_content: bool
) -> None:
    """Most requests end with one; any other is looked at more closely."""
    assert policy.is_content_with(facts) is is_content
    if is_content:
        assert policy.decide(facts, retry=1, random=0.5) == GiveUp(GiveUpReason.FINAL)


def test_a_refusal_by_one_of_our_own_policies_is_not_retried() -> None:
    """It would be refused again; a pool that is full now may have room later."""
    refused = Facts(fault=Fault.OTHER, sent=Sent.NOTHING, local=True)
    pool_timeout = Facts(fault=Fault.TIMEOUT, sent=Sent.NOTHING, local=True)
    assert after(STANDARD, refused) == "final"
    assert after(STANDARD, pool_timeout) == "retry"


faults = st.sampled_from([*Fault, None])
any_facts = st.builds(
    Facts,
    fault=faults,
    sent=st.sampled_from(Sent),
    status=st.none() | st.integers(200, 599),
    retry_after=st.none() | st.floats(0, 1e9),
    should_retry=st.none() | st.booleans(),
    idempotent=st.booleans(),
    replayable=st.booleans(),
    matches=st.booleans(),
    wanted=st.none() | st.booleans(),
    local=st.booleans(),
)
randoms = st.floats(0, 1, exclude_max=True)


@given(any_facts, st.integers(1, 9), randoms, st.floats(-1, 1e6) | st.just(math.inf))
def test_nothing_that_may_have_been_processed_is_repeated_unless_that_is_safe(
    facts: Facts, retry: int, random: float, remaining: float
) -> None:
    """Nor what can't be sent again, nor past the limits on retries and time."""
    policy = RetryPolicy(max_retries=5)
    decision = policy.decide(facts, retry=retry, random=random, remaining=remaining)
    if isinstance(decision, RetryAfter):
        assert facts.idempotent or not facts.may_have_been_processed
        assert facts.replayable
        assert retry <= 5
        assert 0 <= decision.delay < remaining
        assert decision.delay >= (facts.retry_after or 0)
        assert decision.delay <= (policy.max_delay if decision.source == "backoff" else 60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_retries": -1}, "max_retries must be an integer >= 0, got -1"),
        ({"base_delay": -1}, "base_delay must be a finite number >= 0, got -1"),
        ({"backoff_factor": 0.5}, "backoff_factor must be a finite number >= 1, got 0.5"),
        ({"max_delay": math.inf}, "max_delay must be a finite number >= 0, got inf"),
        ({"retry_after_cap": -1}, "retry_after_cap must be a finite number >= 0, got -1"),
        ({"retry_after_spread": -1}, "retry_after_spread must be a finite number >= 0, got -1"),
        ({"jitter": "half"}, "jitter must be one of decorrelated, equal, full, none, "),
        ({"jitter": None}, "proportional, a function, got None"),
        ({"when": 3}, "when must be a function or None, got 3"),
        ({"statuses": 503}, "statuses must be a collection of statuses, such as "),
        ({"faults": ["x"]}, "faults must be members of Fault, got 'x'"),
        ({"on": BaseException}, "on must be subclasses of Exception, got <class 'BaseException'>"),
        ({"assume_idempotent": 1}, "assume_idempotent must be True or False, got 1"),
        ({"retry_unprocessed": 1}, "retry_unprocessed must be True or False, got 1"),
        ({"obey_should_retry": 1}, "obey_should_retry must be True or False, got 1"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    """The message names the option and its value."""
    with pytest.raises(ValueError, match=message):
        RetryPolicy(**options)
