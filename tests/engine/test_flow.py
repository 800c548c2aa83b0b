"""The flow of a request without policies, driven by hand: outcomes go in, steps come out."""

import asyncio
from typing import Any

import httpx
import pytest
from flow_kit import Play, play
from hypothesis import given
from hypothesis import strategies as st
from run_kit import Clock, new_run

from typed_async_client import ConnectError, EventType, RequestContext, Resilience
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.steps import Discard, Publish, Send, Sleep
from typed_async_client.outcome import Outcome
from typed_async_client.sent import SentLog

PLAIN = Resilience.connect_only()
OUTCOMES = ["ok", "503", "refused", "core refused", "timeout", "broken", "bug"]


def drive(script: list[str], max_retries: int = 2, cancel_at: int | None = None) -> Play:
    """Drive a request that may make some retries."""
    context = RequestContext(max_retries=max_retries, request_id="r")
    return play(PLAIN, *script, context=context, method="POST", interrupt_at=cancel_at)


def described(run: Play) -> list[str]:
    """The steps: send, sleep with its seconds, or the type of an event."""
    return [describe(step) for step in run.steps]


def describe(step: Any) -> str:
    """Return a short description of a step."""
    match step:
        case Publish(event=event):
            return str(event.event_type)
        case Sleep(seconds=seconds):
            return f"sleep {seconds:g}"
        case _:
            return type(step).__name__.lower()


def expected(script: list[str], max_retries: int) -> list[str]:
    """Return the steps that the specification requires, computed in the simplest way."""
    steps: list[str] = []
    for retries, outcome in enumerate(script):
        steps.append("send")
        if outcome in {"ok", "503"}:
            return [*steps, "success"]
        if outcome == "timeout":
            return [*steps, "timeout"]
        if "refused" not in outcome or retries == max_retries:
            return [*steps, "error"]
        steps += ["retry", f"sleep {2**retries}"]
    raise AssertionError("the script is too short for so many retries")


@given(st.lists(st.sampled_from(OUTCOMES), max_size=6), st.integers(min_value=0, max_value=5))
def test_every_sequence_of_outcomes_leads_to_the_specified_steps(
    script: list[str], max_retries: int
) -> None:
    """Up to six outcomes of seven kinds and five retries; the flow stops where it should."""
    script = [*script, "ok"]
    run = drive(script, max_retries)
    assert described(run) == expected(script, max_retries)


@pytest.mark.parametrize("max_retries", range(8))
def test_n_retries_are_n_plus_one_attempts(max_retries: int) -> None:
    """If no attempt connects, there is the first one and every allowed retry."""
    run = drive(["refused"] * (max_retries + 1), max_retries)
    assert [attempt.number for attempt in run.sent] == list(range(1, max_retries + 2))
    assert run.kinds == ["retry"] * max_retries + ["error"]
    assert run.events[-1].attempts == max_retries + 1


def test_an_immediate_success_is_one_attempt_and_one_event() -> None:
    """The common case takes two steps."""
    run = drive(["ok"])
    assert described(run) == ["send", "success"]
    assert run.response is run.answered[0]
    assert run.events[0].data is run.response


def test_retry_events_report_the_attempt_delay_source_and_cause() -> None:
    """Each is published before its wait, and its context counts the failed attempt."""
    run = drive(["refused", "refused", "ok"])
    retries = run.events[:-1]
    assert [event.context.current_attempt for event in retries] == [1, 2]
    assert [event.data.attempt for event in retries] == [1, 2]
    assert [event.data.delay for event in retries] == [1.0, 2.0]
    assert {event.data.source for event in retries} == {"backoff"}
    assert all(event.data.cause is event.error for event in retries)
    assert described(run) == [
        *("send", "retry", "sleep 1"),
        *("send", "retry", "sleep 2"),
        *("send", "success"),
    ]


def test_events_of_a_request_are_numbered_without_gaps() -> None:
    """``seq`` is 0, 1, 2, ... and the terminal event is the last."""
    run = drive(["refused", "refused", "refused"])
    assert [event.seq for event in run.events] == [0, 1, 2]
    assert [event.event_type.is_terminal for event in run.events] == [False, False, True]


def test_exhausted_retries_end_in_our_connect_error() -> None:
    """The last error is its cause, and a note says how many attempts were made."""
    run = drive(["refused", "core refused", "refused"])
    error = run.error
    assert isinstance(error, ConnectError)
    assert type(error.__cause__) is httpx.ConnectError
    assert error.__notes__ == ["no connection after 3 attempts"]
    assert run.events[-1].error is error
    assert run.events[-1].context.current_attempt == 3


def test_a_request_without_retries_gives_up_after_one_attempt() -> None:
    """The note uses the singular."""
    error = drive(["refused"], max_retries=0).error
    assert isinstance(error, ConnectError)
    assert error.__notes__ == ["no connection after 1 attempt"]


def test_the_connect_error_has_the_request_of_the_last_attempt() -> None:
    """``error.request`` works as on httpx's own errors, even if it is known from the log only."""
    request = httpx.Request("GET", "http://a.test/")
    run = new_run(PLAIN, context=RequestContext(max_retries=0))
    flow = request_flow(run)
    step = next(flow)
    assert isinstance(step, Send)
    log = SentLog(record=run.record)
    log.begin_hop(request)
    flow.send(Outcome.of_error(httpx.ConnectError("refused"), step.attempt, log, run.record))
    with pytest.raises(ConnectError) as raised:
        next(flow)
    assert raised.value.request is request


@pytest.mark.parametrize("outcome", ["timeout", "broken", "bug"])
def test_any_other_error_ends_the_request_and_is_raised_unchanged(outcome: str) -> None:
    """One attempt, no wrapping."""
    run = drive([outcome])
    assert len(run.sent) == 1
    assert run.error is run.events[-1].error
    assert type(run.error) in {httpx.ReadTimeout, httpx.ReadError, ValueError}


def test_the_records_of_a_request_are_shared_by_its_events_its_result_and_its_error() -> None:
    """The history of an event is what was known when it was published."""
    run = drive(["refused", "refused", "refused"])
    assert isinstance(run.error, ConnectError)
    assert run.error.history is run.events[-1].history
    assert run.run.as_history().records is run.events[-1].history
    assert [len(event.history) for event in run.events] == [1, 2, 3]
    assert run.events[0].history[0] is run.events[-1].history[0]


@pytest.mark.parametrize("cancel_at", range(7))
def test_a_cancellation_at_any_step_ends_in_one_cancelled_event(cancel_at: int) -> None:
    """Whatever the step, the cancellation is reported once and raised."""
    run = drive(["refused", "refused", "ok"], cancel_at=cancel_at)
    assert run.kinds[-1] == "cancelled"
    assert sum(event.event_type.is_terminal for event in run.events) == 1
    assert isinstance(run.error, asyncio.CancelledError)
    assert run.events[-1].attempts == len(run.sent)


def test_a_keyboard_interrupt_counts_as_a_cancellation() -> None:
    """Whatever interrupts a request, it has a terminal event."""
    run = play(PLAIN, interrupt_at=0, interruption=KeyboardInterrupt())
    assert run.kinds == ["cancelled"]
    assert isinstance(run.error, KeyboardInterrupt)


def test_a_closed_flow_yields_no_further_steps() -> None:
    """Nothing would perform them after the generator is closed."""
    flow = request_flow(new_run(PLAIN))
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)


def test_elapsed_time_is_measured_with_the_clock_of_the_request() -> None:
    """It is the time from the creation of the state to the event."""
    clock = Clock()
    run = new_run(PLAIN, clock=clock)
    clock.now += 2.5
    assert run.event(EventType.STARTED).elapsed == 2.5
    assert run.as_history().elapsed == 2.5


def test_no_step_waits_for_a_response_that_has_been_read() -> None:
    """Neither to hand it over nor to discard it."""
    assert not any(isinstance(step, Discard) for step in drive(["refused", "ok"]).steps)
