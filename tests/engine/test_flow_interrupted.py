"""A request that is interrupted at any of its steps holds nothing afterwards."""

import asyncio
import dataclasses
import math
from typing import Any

import pytest
from flow_kit import Play, assert_all_are_on_record, play
from run_kit import ORIGIN, START, Clock, outcome_of

from typed_async_client import EventType, Resilience
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Publish
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.pushback import Pushback
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryPolicy

BURST = 20
LIMITS: dict[str, Any] = {
    "adaptive": AdaptiveLimit(),
    "attempt_timeout": 60.0,
    "budget": RetryBudget(ratio=0.0, min_per_second=1.0, ttl=3600.0),
    "bulkhead": Bulkhead(max_concurrent=5),
    "circuit": CircuitBreaker(minimum_calls=2, failure_rate=0.1, reset_timeout=0.1),
    "pushback": Pushback(),
    "rate_limit": RateLimit(rate=1, per=1e9, burst=BURST),
    "retry": RetryPolicy(jitter="none", base_delay=1.0, max_retries=3, when=lambda _: None),
}
RETRIED = Resilience(**LIMITS)
HEDGED = Resilience(**LIMITS, hedge=Hedge(after=1.0, max_copies=2, budget=None))
SCRIPTS: dict[str, tuple[Resilience, list[Any]]] = {
    "answered at once": (RETRIED, ["open"]),
    "retried": (RETRIED, ["open 503", "broken", "open"]),
    "held back": (RETRIED, ["wait 5", "open"]),
    "exhausted": (RETRIED, ["open 503"] * 4),
    "asked to wait for too long": (RETRIED, ["wait 900"]),
    "hedged": (HEDGED, [(9.0, "open"), (9.0, "open"), (0.5, "open")]),
    "all copies fail": (HEDGED, [(2.5, "open 503"), (9.0, "broken"), (0.2, "timeout"), "open"]),
    "a copy loses by nothing": (HEDGED, [(2.0, "open"), (1.0, "open")]),
    "the loser is let go, and answered": (HEDGED, [(1.6, "open"), (0.1, "open")]),
    "the loser is let go, and breaks": (HEDGED, [(1.6, "broken"), (0.1, "open")]),
    "the loser is let go, and takes too long": (HEDGED, [(9.0, "open"), (0.1, "open")]),
}


def played(name: str, at: int | None, error: BaseException | None) -> tuple[Play, dict[str, Any]]:
    """Drive a request, and interrupt it at a step; return it and the states of its policies."""
    resilience, script = SCRIPTS[name]
    shared = SharedPolicies()
    run = play(
        resilience,
        *script,
        shared=shared,
        clock=Clock(),
        wanted=frozenset(EventType),
        http1="let go" in name,
        interrupt_at=at,
        interruption=error,
    )
    return run, shared.of(resilience).states_at(ORIGIN, START)


def extra_requests(run: Play) -> int:
    """Return how many retries and copies were sent and did not pay off."""
    sent = sum(attempt.number > 1 or attempt.copy > 0 for attempt in run.sent)
    last = run.run.history[-1] if run.run.history else None
    if last is None or last.decision != GiveUp(GiveUpReason.FINAL):
        return sent
    return sent - (last.number > 1 and last.copy == 0)


def assert_nothing_is_held(run: Play, states: dict[str, Any]) -> None:
    """Check that every permit, ticket, place and withdrawal has come back, and every unused slot."""
    assert (run.run.admissions, run.run.withdrawal) == ([], None)
    for name in ("adaptive", "bulkhead"):
        assert (states[name].gate.in_flight, states[name].gate.waiting) == (0, 0)
    assert states["circuit"].in_flight == 0
    assert states["budget"].balance(run.clock.now) == 3600.0 - extra_requests(run)
    gate, left = states["rate_limit"].gate, 0
    assert gate.waiting == 0
    while gate.estimate(run.clock.now) == 0:
        gate.admit(run.clock.now)
        left += 1
    assert left == BURST - len(run.sent)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_request_that_is_not_interrupted_holds_nothing_either(name: str) -> None:
    """And every response was either handed over or discarded."""
    run, states = played(name, None, None)
    assert_nothing_is_held(run, states)
    assert [event.event_type.is_terminal for event in run.events].count(True) == 1
    assert set(run.answered) == {*run.discarded, *run.delivered}


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_request_may_be_interrupted_at_any_step(name: str, error: type[BaseException]) -> None:
    """It ends in one terminal event, with that error, and no response stays open."""
    index = 0
    while True:
        run, states = played(name, index, error("thrown in"))
        if run.error is None or "thrown in" not in str(run.error):
            break
        assert_nothing_is_held(run, states)
        terminal = [event for event in run.events if event.event_type.is_terminal]
        assert len(terminal) == 1, index
        is_over = isinstance(run.own_steps[index], Publish) and index == len(run.own_steps) - 1
        assert is_over or terminal[0].error is run.error
        assert is_over or set(run.answered) == {*run.discarded}, index
        assert [event.seq for event in run.events] == list(range(len(run.events)))
        assert_all_are_on_record(run)
        index += 1
    assert index > 3


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_flow_may_be_closed_at_any_step(name: str) -> None:
    """As when its task is destroyed: no step follows, and its copies are destroyed with it."""
    for index in range(200):
        run, states = played(name, index, GeneratorExit())
        if not isinstance(run.error, GeneratorExit):
            break
        for child in run.children:
            child.flow.close()
        assert_nothing_is_held(run, states)
        assert index == len(run.own_steps) - 1
    assert 3 < index < 199


def test_a_request_may_be_interrupted_while_it_waits_for_its_turn() -> None:
    """Or closed: its place in the queue is given up, and the next moves up."""
    limits: list[tuple[str, Any]] = [
        ("bulkhead", Bulkhead(max_concurrent=1, max_wait=9.0)),
        ("rate_limit", RateLimit(rate=0.1)),
        ("adaptive", AdaptiveLimit(initial=1, max_limit=1, max_wait=9.0)),
    ]
    for name, limit in limits:
        resilience = Resilience(**{name: limit})
        for error in (asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()):
            for index in range(1 + (name == "rate_limit")):
                shared = SharedPolicies()
                queue = shared.of(resilience).states_at(ORIGIN, START)[name]
                queue.admit(START, math.inf)
                run = play(resilience, shared=shared, interrupt_at=index, interruption=error)
                assert run.error is error
                assert queue.gate.waiting == 0
                assert run.run.admissions == []


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
def test_a_request_may_be_interrupted_while_its_host_wants_peace(error: BaseException) -> None:
    """It waits for nobody's turn then, and holds nothing."""
    resilience, shared = Resilience(pushback=Pushback(spread=0.0)), SharedPolicies()
    play(resilience, "wait 5", shared=shared)
    run = play(resilience, shared=shared, interrupt_at=1, interruption=error)
    assert type(run.own_steps[1]).__name__ == "Sleep"
    assert run.error is error
    assert run.run.admissions == []


def test_a_copy_that_outlives_a_closed_request_gives_nothing_back_twice() -> None:
    """Nobody cancels it, since a closed flow has no more steps."""
    resilience = Resilience(hedge=Hedge(after=1.0), bulkhead=Bulkhead(max_concurrent=2))
    shared = SharedPolicies()
    run = play(
        resilience,
        (9.0, "broken"),
        shared=shared,
        interrupt_at=1,
        interruption=GeneratorExit(),
    )
    gate = shared.of(resilience).states_at(ORIGIN, START)["bulkhead"].gate
    assert (type(run.own_steps[1]).__name__, gate.in_flight) == ("Join", 0)
    copy = run.children[0].flow
    next(copy)
    with pytest.raises(StopIteration):
        copy.send(outcome_of("broken", run.run.new_attempt(), run.run.record))
    assert gate.in_flight == 0


@pytest.mark.parametrize("again", [KeyboardInterrupt(), ValueError("again")])
def test_a_response_that_cannot_be_handed_over_is_discarded(again: BaseException) -> None:
    """Its permits come back, too."""
    run, states = played("answered at once", None, None)
    index = [type(step).__name__ for step in run.own_steps].index("Deliver")
    run, states = played("answered at once", index, again)
    assert run.discarded == run.answered
    assert_nothing_is_held(run, states)


@pytest.mark.parametrize("resilience", [Resilience.connect_only(), RETRIED])
def test_an_attempt_that_is_cancelled_is_on_the_record(resilience: Resilience) -> None:
    """So that its end can be explained; the one before it is, too."""
    policies = dataclasses.replace(resilience, pushback=None, rate_limit=None)
    run = play(policies, "refused", (3.0, "open"), interrupt_at=None)
    sends = [type(step).__name__ == "Send" for step in run.own_steps]
    index = [number for number, is_send in enumerate(sends) if is_send][1]
    cancelled = play(policies, "refused", (3.0, "open"), interrupt_at=index)
    assert cancelled.kinds[-1] == "cancelled"
    first, second = cancelled.events[-1].history
    assert (first.number, second.number, second.error) == (1, 2, "CancelledError")
    assert second.facts.local


def test_an_attempt_that_a_copy_has_overtaken_is_not_cancelled_on_the_record() -> None:
    """A cancelled request with copies has all of them on it."""
    script = [(9.0, "open"), (9.0, "open"), (0.5, "open")]
    won = play(HEDGED, *script)
    assert [each.error for each in won.events[-1].history] == [None] * 3
    joins = [type(step).__name__ == "Join" for step in won.own_steps]
    last = len(joins) - 1 - joins[::-1].index(True)
    cancelled = play(HEDGED, *script, interrupt_at=last)
    errors = [(each.copy, each.error) for each in cancelled.events[-1].history]
    assert errors == [(0, "CancelledError"), (1, "CancelledError")]  # the third was not sent yet
