"""The flow of a request, driven by hand: outcomes go in, steps come out."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_async_client.engine.state import RequestState

from typed_async_client import AsyncEvent, ConnectError, EventType, RequestContext
from typed_async_client.engine.flow import Attempt, Emit, Step, Wait, request_flow
from typed_async_client.outcome import Failed, Outcome, Succeeded
from typed_async_client.record import RequestRecord

OK = httpx.Response(200)
OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "ok": lambda: Succeeded(OK),
    "refused": lambda: Failed.of(httpx.ConnectError("refused")),
    "core refused": lambda: Failed.of(httpcore.ConnectError("refused")),
    "timeout": lambda: Failed.of(httpx.ReadTimeout("slow")),
    "broken": lambda: Failed.of(httpx.ReadError("cut")),
}


def describe(step: Step) -> str:
    """Return a short description of a step."""
    match step:
        case Emit(event):
            return str(event.event_type)
        case Wait(seconds):
            return f"wait {seconds:g}"
        case _:
            return type(step).__name__.lower()


@dataclasses.dataclass
class Run:
    """A completed flow: the steps it yielded, and its response or error."""

    steps: list[Any] = dataclasses.field(default_factory=list)
    response: httpx.Response | None = None
    error: BaseException | None = None

    @property
    def events(self) -> list[AsyncEvent]:
        """The emitted events."""
        return [step.event for step in self.steps if isinstance(step, Emit)]

    def described(self) -> list[str]:
        """The steps: attempt, wait with its seconds, or the type of an event."""
        return [describe(step) for step in self.steps]


def new_state(max_retries: int = 2) -> RequestState:
    """Create the state of a request, with a stopped clock and no jitter."""
    context = RequestContext(max_retries=max_retries, request_id="r")
    return RequestState(
        context, now=lambda: 0.0, random=lambda: 0.5, record=RequestRecord("POST", "http://a.test")
    )


def drive(script: list[str], max_retries: int = 2, cancel_at: int | None = None) -> Run:
    """Drive a flow by hand, with the outcomes in ``script``.

    Args:
        script: names in ``OUTCOMES``; the flow must not make more attempts.
        max_retries: retries that the request is allowed.
        cancel_at: throw in a cancellation at this step, instead of its result.
    """
    flow = request_flow(new_state(max_retries))
    outcomes = iter(script)
    run = Run()
    try:
        step = next(flow)
        while True:
            run.steps.append(step)
            if len(run.steps) - 1 == cancel_at:
                step = flow.throw(asyncio.CancelledError())
            else:
                outcome = OUTCOMES[next(outcomes)]() if isinstance(step, Attempt) else None
                step = flow.send(outcome)
    except StopIteration as finished:
        run.response = finished.value
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - kept in the run
        run.error = error
    return run


def expected(script: list[str], max_retries: int) -> list[str]:
    """Return the steps that the specification requires, computed in the simplest way."""
    steps: list[str] = []
    for retries, outcome in enumerate(script):
        steps.append("attempt")
        if outcome == "ok":
            return [*steps, "success"]
        if outcome == "timeout":
            return [*steps, "timeout"]
        if outcome == "broken" or retries == max_retries:
            return [*steps, "error"]
        steps += ["retry", f"wait {2**retries}"]
    raise AssertionError("the script is too short for so many retries")


@given(
    st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=6),
    st.integers(min_value=0, max_value=5),
)
def test_every_sequence_of_outcomes_leads_to_the_specified_steps(
    script: list[str], max_retries: int
) -> None:
    """Up to six outcomes of five kinds and five retries; the flow stops where it should."""
    script = [*script, "ok"]
    if len(script) <= max_retries and all("refused" in outcome for outcome in script[:-1]):
        script = script[:-1] + ["refused"] * (max_retries + 2 - len(script))
    run = drive(script, max_retries)
    assert run.described() == expected(script, max_retries)


@pytest.mark.parametrize("max_retries", range(8))
def test_n_retries_are_n_plus_one_attempts(max_retries: int) -> None:
    """If no attempt connects, there is the first one and every allowed retry."""
    run = drive(["refused"] * (max_retries + 1), max_retries)
    assert run.described().count("attempt") == max_retries + 1
    assert run.described().count("retry") == max_retries
    assert run.events[-1].attempts == max_retries + 1


def test_an_immediate_success_is_one_attempt_and_one_event() -> None:
    """The common case takes two steps."""
    run = drive(["ok"])
    assert run.described() == ["attempt", "success"]
    assert run.response is OK
    assert run.events[0].data is OK


def test_retry_events_report_the_attempt_delay_source_and_cause() -> None:
    """Each is emitted before its wait, and its context counts the failed attempt."""
    run = drive(["refused", "refused", "ok"])
    retries = [event for event in run.events if event.event_type is EventType.RETRY]
    assert [event.context.current_attempt for event in retries] == [1, 2]
    assert [event.data.attempt for event in retries] == [1, 2]
    assert [event.data.delay for event in retries] == [1.0, 2.0]
    assert {event.data.source for event in retries} == {"backoff"}
    assert all(event.data.cause is event.error for event in retries)
    assert run.described() == [
        "attempt",
        "retry",
        "wait 1",
        "attempt",
        "retry",
        "wait 2",
        "attempt",
        "success",
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
    """``error.request`` works as on httpx's own errors."""
    request = httpx.Request("GET", "http://a.test/")
    flow = request_flow(new_state(max_retries=0))
    next(flow)
    flow.send(Failed.of(httpx.ConnectError("refused", request=request)))
    with pytest.raises(ConnectError) as raised:
        next(flow)
    assert raised.value.request is request


@pytest.mark.parametrize("outcome", ["timeout", "broken"])
def test_any_other_error_ends_the_request_and_is_raised_unchanged(outcome: str) -> None:
    """One attempt, no wrapping."""
    run = drive([outcome])
    assert run.described().count("attempt") == 1
    assert run.error is run.events[-1].error
    assert type(run.error) in {httpx.ReadTimeout, httpx.ReadError}


@pytest.mark.parametrize("cancel_at", range(7))
def test_a_cancellation_at_any_step_ends_in_one_cancelled_event(cancel_at: int) -> None:
    """Whatever the step, the cancellation is reported once and raised."""
    run = drive(["refused", "refused", "ok"], cancel_at=cancel_at)
    kinds = [event.event_type for event in run.events]
    assert kinds[-1] is EventType.CANCELLED
    assert sum(kind.is_terminal for kind in kinds) == 1
    assert isinstance(run.error, asyncio.CancelledError)
    assert run.events[-1].attempts == run.described().count("attempt")


def test_a_keyboard_interrupt_counts_as_a_cancellation() -> None:
    """Whatever interrupts a request, it has a terminal event."""
    flow = request_flow(new_state())
    next(flow)
    step = flow.throw(KeyboardInterrupt())
    assert isinstance(step, Emit)
    assert step.event.event_type is EventType.CANCELLED
    with pytest.raises(KeyboardInterrupt):
        next(flow)


def test_a_closed_flow_yields_no_further_steps() -> None:
    """Nothing would perform them after the generator is closed."""
    flow = request_flow(new_state())
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)


def test_elapsed_time_is_measured_with_the_clock_of_the_request() -> None:
    """It is the time from the creation of the state to the event."""
    now = [10.0]
    state = RequestState(
        RequestContext(),
        now=lambda: now[0],
        random=lambda: 0.5,
        record=RequestRecord("POST", "http://a.test"),
    )
    now[0] = 12.5
    assert state.end_event(Succeeded(OK)).elapsed == 2.5
