"""What each policy makes of a request, driven by hand."""

import asyncio
from typing import Any

import httpx
import pytest
from flow_kit import play
from run_kit import START, Clock, new_run

from typed_async_client import (
    BudgetExhaustedError,
    BulkheadFullError,
    CircuitOpenError,
    DeadlineExceededError,
    EventType,
    GaveUpError,
    RateLimitedLocallyError,
    Resilience,
    RetryAfterTooLongError,
)
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Acquire
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter, RetryPolicy

RETRYING = RetryPolicy(jitter="none")
RETRY_503 = Resilience(retry=RETRYING)
BREAKER = CircuitBreaker(minimum_calls=2, reset_timeout=5.0)


@pytest.mark.parametrize("answer", ["503", "timeout", "broken", "refused"])
def test_a_failure_that_passes_is_retried_if_that_is_safe(answer: str) -> None:
    """A GET is; a POST only if nothing of it has left."""
    assert play(RETRY_503, answer, answer, "ok").kinds == ["retry", "retry", "success"]
    posted = play(RETRY_503, answer, "ok", method="POST")
    assert (len(posted.sent) == 2) is (answer == "refused")


def test_the_last_response_is_returned_when_the_retries_are_used_up() -> None:
    """The responses before it are discarded."""
    played = play(RETRY_503, "open 503", "open 503", "open 503")
    assert played.kinds == ["retry", "retry", "success"]
    assert played.discarded == played.answered[:2]
    assert played.response is played.answered[2]
    last = played.events[-1].history[-1]
    assert last.decision == GiveUp(GiveUpReason.RETRIES)
    assert [event.data.status for event in played.events[:2]] == [503, 503]


def test_a_wait_that_the_server_asked_for_is_on_the_record() -> None:
    """With its source; the record of the next attempt tells the delay before it."""
    spread = RetryPolicy(jitter="none", retry_after_spread=0.0)
    played = play(Resilience(retry=spread), "wait 5", "broken", "ok")
    first, second, third = played.events[-1].history
    assert first.decision == RetryAfter(5.0, "server")
    assert (first.delay, first.delay_source) == (0.0, None)
    assert (second.delay, second.delay_source) == (5.0, "server")
    assert (third.delay, third.delay_source) == (0.5, "backoff")
    assert third.decision is None
    assert [each.started for each in (first, second, third)] == [0.0, 5.0, 5.5]


@pytest.mark.parametrize(
    ("options", "seconds", "script", "kind", "error", "cause"),
    [
        ({}, 60.0, ["wait 900"], "error", RetryAfterTooLongError, None),
        ({}, 3.0, ["wait 5"], "error", RetryAfterTooLongError, None),
        ({}, 0.2, ["broken"], "timeout", DeadlineExceededError, httpx.ReadError),
        ({}, 0.2, ["refused"], "timeout", DeadlineExceededError, httpx.ConnectError),
        (
            {"budget": RetryBudget(ratio=0.0, min_per_second=0.0)},
            60.0,
            ["timeout"],
            "error",
            BudgetExhaustedError,
            httpx.ReadTimeout,
        ),
    ],
)
def test_a_limit_that_allows_no_other_attempt_is_the_error(
    options: dict[str, Any],
    script: list[str],
    kind: str,
    *,
    seconds: float,
    error: type[Exception],
    cause: type[Exception] | None,
) -> None:
    """The last error is its cause; the kind of the event is that of the error."""
    played = play(Resilience(retry=RETRYING, **options), *script, seconds=seconds)
    assert type(played.error) is error
    assert played.kinds == [kind]
    assert isinstance(played.error, GaveUpError)
    assert isinstance(played.error.__cause__, cause or type(None))
    assert played.error.history is played.events[-1].history


@pytest.mark.parametrize(
    ("options", "seconds", "answer", "message"),
    [
        (
            {},
            60.0,
            "wait 900",
            "http://a.test asked to wait for 900 s, which is longer than allowed",
        ),
        (
            {},
            3.0,
            "wait 5",
            "http://a.test asked to wait for 5 s, which is longer than the deadline leaves",
        ),
        (
            {},
            0.2,
            "broken",
            "no time is left before the deadline to send it to http://a.test again",
        ),
        (
            {"budget": RetryBudget(ratio=0.0, min_per_second=0.0)},
            60.0,
            "timeout",
            "not sent to http://a.test again, as too many recent requests were retries",
        ),
    ],
)
def test_the_message_names_the_method_and_once_the_host(
    options: dict[str, Any], seconds: float, answer: str, message: str
) -> None:
    """Only the origin: the rest of a URL may be secret."""
    played = play(Resilience(retry=RETRYING, **options), answer, seconds=seconds)
    assert str(played.error) == f"GET: {message}"


def test_the_response_that_asked_for_too_long_a_wait_is_discarded() -> None:
    """The error keeps its status."""
    played = play(RETRY_503, "wait 900")
    assert played.discarded == played.answered
    assert isinstance(played.error, RetryAfterTooLongError)
    assert played.error.retry_after == 900.0
    assert played.events[-1].history[0].status == 429


def test_a_response_without_budget_or_time_for_another_attempt_is_returned() -> None:
    """It is better than an error."""
    poor = Resilience(retry=RETRYING, budget=RetryBudget(ratio=0.0, min_per_second=0.0))
    played = play(poor, "503")
    assert (played.kinds, played.error) == (["success"], None)
    assert played.events[-1].history[0].decision == GiveUp(GiveUpReason.BUDGET)
    assert play(RETRY_503, "503", seconds=0.2).kinds == ["success"]


@pytest.mark.parametrize(
    ("answer", "sent"), [(True, 3), (False, 1), (None, 1)], ids=["retry", "final", "no opinion"]
)
def test_the_caller_may_decide_about_each_response(sent: int, *, answer: bool | None) -> None:
    """Without an opinion, the other options decide."""
    seen: list[httpx.Response] = []

    def when(response: httpx.Response) -> bool | None:
        seen.append(response)
        return answer

    played = play(Resilience(retry=RetryPolicy(when=when)), "ok", "ok", "ok")
    assert len(played.sent) == sent
    assert seen == played.answered
    assert played.kinds[-1] == "success"


def test_the_caller_may_choose_which_errors_are_retried() -> None:
    """By their class; nothing else than that is asked about an error."""
    policy = RetryPolicy(on=ValueError, when=lambda _: pytest.fail("it isn't a response"))
    assert len(play(Resilience(retry=policy), "bug", "bug", "bug").sent) == 3
    assert len(play(Resilience(retry=RetryPolicy(on=KeyError)), "bug").sent) == 1


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (LookupError("no"), "error"),
        (TimeoutError("no"), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_a_function_of_the_caller_that_raises_ends_the_request(
    raised: BaseException, kind: str
) -> None:
    """The response is discarded, and stays on the record."""

    def when(_: httpx.Response) -> bool:
        raise raised

    played = play(Resilience(retry=RetryPolicy(when=when)), "open")
    assert played.error is raised
    assert played.kinds == [kind]
    assert played.discarded == played.answered
    assert [record.status for record in played.events[-1].history] == [200]


def opened_circuit() -> tuple[Resilience, SharedPolicies, Clock]:
    """Open a circuit with two failures."""
    resilience, shared, clock = Resilience(circuit=BREAKER), SharedPolicies(), Clock()
    first = play(resilience, "500", shared=shared, clock=clock)
    second = play(resilience, "500", shared=shared, clock=clock)
    assert first.kinds == ["success"]
    assert second.kinds == ["circuit_opened", "success"]
    return resilience, shared, clock


def test_a_circuit_opens_refuses_and_closes_again() -> None:
    """Each transition is an event of the request that caused it."""
    resilience, shared, clock = opened_circuit()
    rejected = play(resilience, shared=shared, clock=clock)
    assert rejected.kinds == ["rejected"]
    assert isinstance(rejected.error, CircuitOpenError)
    assert rejected.error.retry_after == 5.0
    assert "the circuit of http://a.test is open" in str(rejected.error)
    record = rejected.events[-1].history[0]
    assert (record.rejection, record.circuit) == ("circuit_open", "open")
    clock.now += 5.0
    probed = play(resilience, "ok", shared=shared, clock=clock)
    assert probed.kinds == ["circuit_half_open", "circuit_closed", "success"]
    assert probed.events[-1].history[0].circuit == "half_open"


def test_a_probe_that_fails_opens_the_circuit_again() -> None:
    """The half-open state and the open one are both reported."""
    resilience, shared, clock = opened_circuit()
    clock.now += 5.0
    probed = play(resilience, "broken", shared=shared, clock=clock)
    assert probed.kinds == ["circuit_half_open", "circuit_opened", "error"]


def test_a_full_bulkhead_refuses_a_request() -> None:
    """Nothing is sent; an adaptive limit does the same."""
    limits: list[Resilience] = [
        Resilience(bulkhead=Bulkhead(max_concurrent=1, max_waiting=0)),
        Resilience(adaptive=AdaptiveLimit(initial=1, max_limit=1, max_waiting=0)),
    ]
    for resilience in limits:
        shared, clock = SharedPolicies(), Clock()
        name = "bulkhead" if resilience.bulkhead else "adaptive"
        states = shared.of(resilience).states_at("http://a.test", START)
        permit = states[name].admit(START, START + 9)
        rejected = play(resilience, shared=shared, clock=clock)
        assert (rejected.kinds, rejected.sent) == (["rejected"], [])
        assert isinstance(rejected.error, BulkheadFullError)
        states[name].release(permit, START)
        assert play(resilience, "ok", shared=shared, clock=clock).kinds == ["success"]
        assert states[name].gate.in_flight == 0


@pytest.mark.parametrize(("seconds", "reason"), [(60.0, "too_long"), (0.25, "deadline")])
def test_a_turn_that_never_comes_is_given_up(seconds: float, reason: str) -> None:
    """After ``max_wait``, or at the deadline; the time waited is on the record."""
    resilience = Resilience(bulkhead=Bulkhead(max_concurrent=1, max_wait=0.5))
    shared, clock = SharedPolicies(), Clock()
    gate = shared.of(resilience).states_at("http://a.test", START)["bulkhead"]
    gate.admit(START, START + 9)
    rejected = play(resilience, shared=shared, clock=clock, seconds=seconds)
    assert rejected.kinds == ["rejected"]
    record = rejected.events[-1].history[0]
    assert (record.rejection, record.gate_wait) == (reason, min(seconds, 0.5))
    assert gate.gate.waiting == 0


def test_a_rate_limit_makes_a_request_wait_for_its_turn() -> None:
    """THROTTLED tells how long; the wait is on the record."""
    resilience, shared, clock = Resilience(rate_limit=RateLimit(rate=2)), SharedPolicies(), Clock()
    play(resilience, "ok", shared=shared, clock=clock)
    played = play(resilience, "ok", shared=shared, clock=clock)
    assert played.kinds == ["throttled", "success"]
    details = played.events[0].data
    assert (details.delay, details.reason) == (0.5, "rate_limit")
    assert clock.now == START + 0.5
    assert played.events[-1].history[0].gate_wait == 0.5
    late = play(resilience, shared=shared, clock=clock, seconds=0.1)
    assert isinstance(late.error, RateLimitedLocallyError)


def test_a_pushback_holds_all_requests_to_the_host_back() -> None:
    """One that would miss its deadline is refused at once."""
    resilience = Resilience(pushback=Pushback(spread=0.0))
    shared, clock = SharedPolicies(), Clock()
    play(resilience, "wait 5", shared=shared, clock=clock)
    refused = play(resilience, shared=shared, clock=clock, seconds=2.0)
    assert isinstance(refused.error, RateLimitedLocallyError)
    assert refused.error.retry_after == 5.0
    played = play(resilience, "ok", shared=shared, clock=clock)
    assert played.kinds == ["throttled", "success"]
    assert (played.events[0].data.reason, clock.now) == ("pushback", START + 5.0)


def test_a_pushback_also_holds_those_back_that_wait_for_their_turn() -> None:
    """They give their turn back meanwhile, and queue again afterwards."""
    resilience = Resilience(rate_limit=RateLimit(rate=1), pushback=Pushback(spread=0.0))
    shared, clock = SharedPolicies(), Clock()
    states = shared.of(resilience).states_at("http://a.test", START)
    play(resilience, "ok", shared=shared, clock=clock)
    throttled = Facts(fault=None, sent=Sent.ANSWERED, status=429, retry_after=5.0)

    def while_it_waits(step: Any) -> None:
        if isinstance(step, Acquire):
            states["pushback"].report(throttled, START)

    played = play(resilience, "ok", shared=shared, clock=clock, on_step=while_it_waits)
    assert played.kinds == ["throttled", "throttled", "success"]
    assert [event.data.reason for event in played.events[:2]] == ["rate_limit", "pushback"]
    assert clock.now == START + 5.0
    assert played.events[-1].history[0].gate_wait == 5.0


def test_started_is_published_only_while_somebody_listens() -> None:
    """Once per attempt, right before it is sent."""
    resilience = Resilience(retry=RETRYING, attempt_timeout=5.0)
    silent = play(resilience, "503", "ok")
    heard = play(resilience, "503", "ok", wanted=frozenset({EventType.STARTED}))
    assert silent.kinds == ["retry", "success"]
    assert heard.kinds == ["started", "retry", "started", "success"]


def test_an_attempt_that_could_only_start_after_the_deadline_is_not_sent() -> None:
    """Its wait took longer than it should have."""
    resilience, clock = Resilience(retry=RETRYING, attempt_timeout=9.0), Clock()
    run = new_run(resilience, clock=clock, seconds=0.0)
    played = play(resilience, run=run, clock=clock)
    assert (played.kinds, played.sent) == (["timeout"], [])
    assert isinstance(played.error, DeadlineExceededError)
    assert str(played.error) == "GET: its deadline passed before it could be sent to http://a.test"
