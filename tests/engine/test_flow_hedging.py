"""Copies of a slow attempt, driven by hand."""

import asyncio
import math

import httpx
import pytest
from driver_kit import AsyncScript
from flow_kit import play
from run_kit import START, Clock, new_run

from typed_async_client import BulkheadFullError, EventType, Resilience
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Send
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.retry import RetryPolicy
from typed_async_client.testing import run_virtual

HEDGED = Resilience(
    hedge=Hedge(after=1.0, max_copies=2),
    bulkhead=Bulkhead(max_concurrent=5),
    retry=RetryPolicy(jitter="none"),
)


def test_an_attempt_that_is_answered_in_time_has_no_copy() -> None:
    """Nothing is announced."""
    played = play(HEDGED, (0.9, "ok"))
    assert (played.kinds, len(played.sent)) == (["success"], 1)


def test_a_request_that_may_not_be_sent_twice_has_no_copy() -> None:
    """Nor one whose body can't be."""
    played = play(HEDGED, (9.0, "ok"), method="POST")
    assert (played.kinds, len(played.sent)) == (["success"], 1)


def test_the_first_answer_wins_and_the_others_are_cancelled() -> None:
    """HEDGED tells which copy follows, and after how long; the record tells which one won."""
    played = play(HEDGED, (9.0, "ok"), (9.0, "ok"), (0.5, "ok"))
    assert played.kinds == ["hedged", "hedged", "success"]
    details = [event.data for event in played.events[:2]]
    assert [(each.attempt, each.copy, each.delay) for each in details] == [(1, 1, 1.0), (1, 2, 1.0)]
    assert [(each.number, each.copy) for each in played.sent] == [(1, 0), (1, 1), (1, 2)]
    assert [played.response] == played.answered
    assert [each.copy for each in played.events[-1].history] == [0, 1, 2]
    record = played.events[-1].history[-1]
    assert (record.copy, record.started, record.duration) == (2, 2.0, 0.5)
    assert played.run.admissions == []


def test_a_copy_that_fails_does_not_end_the_request() -> None:
    """The others may still be answered."""
    played = play(HEDGED, (3.0, "ok"), (0.5, "503"), (0.5, "broken"))
    assert played.kinds == ["hedged", "hedged", "success"]
    assert played.response is played.answered[1]
    copies = [record.copy for record in played.events[-1].history]
    assert copies == [1, 2, 0]
    assert played.discarded == [played.answered[0]]


def test_if_all_copies_fail_the_outcome_is_the_first_one() -> None:
    """It is retried like any other."""
    once = Resilience(hedge=Hedge(after=1.0), retry=RetryPolicy(max_retries=1, jitter="none"))
    played = play(once, (3.0, "broken"), (0.5, "503"), (0.1, "ok"))
    assert played.kinds == ["hedged", "retry", "success"]
    assert [record.number for record in played.events[-1].history] == [1, 1, 2]
    assert isinstance(played.events[1].error, httpx.ReadError)


def test_a_response_that_arrives_when_it_is_cancelled_is_discarded() -> None:
    """Its permit comes back, and it is on the record."""
    shared = SharedPolicies()
    played = play(HEDGED, (2.0, "open"), (1.0, "open"), shared=shared)
    assert played.discarded == [played.answered[1]]
    assert played.delivered == [played.answered[0]]
    assert [record.copy for record in played.events[-1].history] == [1, 0]
    gate = shared.of(HEDGED).states_at("http://a.test", START)["bulkhead"].gate
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_the_winner_is_discarded_if_the_request_is_cancelled_while_the_others_end() -> None:
    """Nobody would get it."""
    finished = play(HEDGED, (9.0, "open"), (0.5, "open"))
    index = [type(step).__name__ for step in finished.own_steps].index("Cancel")
    played = play(HEDGED, (9.0, "open"), (0.5, "open"), interrupt_at=index)
    assert isinstance(played.error, asyncio.CancelledError)
    assert played.kinds == ["hedged", "cancelled"]
    assert len(played.discarded) == 1
    assert played.discarded == played.answered
    assert played.run.admissions == []


def test_a_predicate_of_the_caller_decides_which_answer_wins() -> None:
    """It is asked about each answer once."""
    seen: list[int] = []

    def when(response: httpx.Response) -> bool:
        seen.append(response.status_code)
        return response.status_code == 404

    policy = RetryPolicy(when=when, jitter="none")
    played = play(Resilience(hedge=Hedge(after=1.0), retry=policy), (2.0, "404"), (5.0, "500"))
    assert played.response is not None
    assert (played.response.status_code, seen) == (500, [404, 500])
    early = play(Resilience(hedge=Hedge(after=1.0), retry=policy), (9.0, "ok"), (0.5, "ok"))
    assert [early.response] == early.answered


def test_a_copy_is_not_due_after_the_deadline() -> None:
    """The attempt itself ends then."""
    played = play(HEDGED, (0.9, "timeout"), seconds=0.9)
    assert played.kinds == ["timeout"]
    assert len(played.sent) == 1


def test_no_copy_is_sent_while_the_attempt_waits_for_its_turn() -> None:
    """It would wait behind it; the delay begins when the attempt is sent, after two seconds."""
    resilience = Resilience(hedge=Hedge(after=1.5), rate_limit=RateLimit(rate=0.5, burst=2))
    shared, clock = SharedPolicies(), Clock()
    play(resilience, "ok", shared=shared, clock=clock)
    play(resilience, "ok", shared=shared, clock=clock)
    played = play(resilience, (9.0, "ok"), (0.5, "ok"), shared=shared, clock=clock)
    assert played.kinds == ["throttled", "hedged", "throttled", "success"]
    assert [(each.number, each.copy) for each in played.sent] == [(1, 0), (1, 1)]
    assert [each.started - START for each in played.sent] == pytest.approx([2.0, 4.0])
    assert {event.attempts for event in played.events} == {1}
    queue = shared.of(resilience).states_at("http://a.test", START)["rate_limit"]
    assert queue.gate.waiting == 0


def test_an_attempt_that_is_refused_after_its_wait_has_no_copy() -> None:
    """Nothing was sent, and the request says so."""
    bulkhead = Bulkhead(max_concurrent=1, max_wait=2.0)
    resilience = Resilience(hedge=Hedge(after=0.5), bulkhead=bulkhead)
    shared, clock = SharedPolicies(), Clock()
    gate = shared.of(resilience).states_at("http://a.test", START)["bulkhead"]
    gate.admit(START, math.inf)
    played = play(resilience, shared=shared, clock=clock)
    assert isinstance(played.error, BulkheadFullError)
    assert (played.kinds, played.sent) == (["rejected"], [])


def test_a_timer_that_is_early_sends_no_copy_yet() -> None:
    """A loop may wake a little before the time that it was asked for."""
    clock = Clock()
    late: list[float] = []

    def wake_early(step: object) -> None:
        if type(step).__name__ == "Join" and len(late) < 2:
            late.append(clock.now)
            clock.now -= 1e-9

    played = play(HEDGED, (9.0, "ok"), (0.5, "ok"), clock=clock, after_step=wake_early)
    assert played.kinds == ["hedged", "success"]


@pytest.mark.parametrize("wins", [True, False])
def test_the_time_of_a_slow_attempt_counts_although_a_copy_was_faster(*, wins: bool) -> None:
    """Or the delay, a percentile of those times, would become shorter and shorter."""
    resilience = Resilience(hedge=Hedge(after="p50", budget=None))
    shared, clock = SharedPolicies(), Clock()
    state = shared.of(resilience).states_at("http://a.test", START)["hedge"]
    for _ in range(20):
        state.record(1.0)
    before = state._histogram.samples
    script = [(9.0, "ok"), (0.5, "ok")] if wins else [(0.5, "ok")]
    played = play(resilience, *script, shared=shared, clock=clock)
    assert played.kinds == (["hedged", "success"] if wins else ["success"])
    assert state._histogram.samples == before + len(script)


def test_each_copy_starts_and_is_announced() -> None:
    """STARTED comes once for each of them."""
    played = play(HEDGED, (9.0, "ok"), (0.5, "ok"), wanted=frozenset({EventType.STARTED}))
    assert played.kinds == ["started", "hedged", "started", "success"]


def test_copies_that_a_policy_refuses_at_once_end_the_request_as_refused() -> None:
    """They end before their first step; the error is that of the first attempt."""
    resilience = Resilience(
        hedge=Hedge(after=1.0), bulkhead=Bulkhead(max_concurrent=1, max_waiting=0)
    )

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        shared = SharedPolicies()
        gate = shared.of(resilience).states_at("http://a.test", 0.0)["bulkhead"]
        gate.admit(0.0, 9.0)
        script = AsyncScript(new_run(resilience, clock=loop.time, shared=shared))
        with pytest.raises(BulkheadFullError):
            await script.drive(request_flow(script.run))
        return script.kinds

    assert run_virtual(main()) == ["rejected"]


def test_the_record_of_an_attempt_that_was_overtaken_does_not_change_any_more() -> None:
    """The attempt itself may go on."""

    def give_phases(step: object) -> None:
        if isinstance(step, Send):
            step.attempt.phases = {"send": 0.1}

    played = play(HEDGED, (1.6, "ok"), (0.1, "ok"), http1=True, on_step=give_phases)
    played.sent[0].phases["wait"] = 9.0  # type: ignore[index]  # it was set
    assert [each.phases for each in played.events[-1].history] == [{"send": 0.1}, {"send": 0.1}]
