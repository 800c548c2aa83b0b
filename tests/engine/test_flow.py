"""The life of a request, played by hand: outcomes go in, steps come out."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import AsyncEvent, ConnectError, EventType, RequestContext
from typed_async_client.engine.flow import Attempt, Checkpoint, Emit, Step, Wait, request_flow
from typed_async_client.engine.state import RequestState
from typed_async_client.outcome import Failed, Outcome, Succeeded

OK = httpx.Response(200)
OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "ok": lambda: Succeeded(OK),
    "refused": lambda: Failed.of(httpx.ConnectError("refused")),
    "core refused": lambda: Failed.of(httpcore.ConnectError("refused")),
    "timeout": lambda: Failed.of(httpx.ReadTimeout("slow")),
    "broken": lambda: Failed.of(httpx.ReadError("cut")),
}


def in_words(step: Step) -> str:
    """Tell one step."""
    match step:
        case Emit(event):
            return str(event.event_type)
        case Wait(seconds):
            return f"wait {seconds:g}"
        case _:
            return type(step).__name__.lower()


@dataclasses.dataclass
class Played:
    """What came of a flow: the steps it yielded, and its response or its error."""

    steps: list[Any] = dataclasses.field(default_factory=list)
    response: httpx.Response | None = None
    error: BaseException | None = None

    @property
    def events(self) -> list[AsyncEvent]:
        """The events emitted."""
        return [step.event for step in self.steps if isinstance(step, Emit)]

    def told(self) -> list[str]:
        """Tell the steps in words: begin, attempt, wait with its seconds, or the kind of event."""
        return [in_words(step) for step in self.steps]


def new_state(max_retries: int = 2) -> RequestState:
    """Make the state of a request on a clock that stands still and dice that show the middle."""
    context = RequestContext(max_retries=max_retries, request_id="r")
    return RequestState(context, now=lambda: 0.0, random=lambda: 0.5, method="POST")


def play(script: list[str], max_retries: int = 2, stop_at: int | None = None) -> Played:
    """Drive a flow by hand, feeding the outcomes of ``script``.

    Args:
        script: names in ``OUTCOMES``; the flow must not ask for more.
        max_retries: of the request.
        stop_at: throw a cancellation in at this step instead of answering it.
    """
    flow = request_flow(new_state(max_retries))
    outcomes = iter(script)
    played = Played()
    try:
        step = next(flow)
        while True:
            played.steps.append(step)
            if len(played.steps) - 1 == stop_at:
                step = flow.throw(asyncio.CancelledError())
            else:
                answer = OUTCOMES[next(outcomes)]() if isinstance(step, Attempt) else None
                step = flow.send(answer)
    except StopIteration as end:
        played.response = end.value
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the play ends with it
        played.error = error
    return played


def expected(script: list[str], max_retries: int) -> list[str]:
    """Say in a few lines of plain code which steps the specification asks for."""
    steps = ["checkpoint"]
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
def test_every_script_of_outcomes_gives_exactly_the_steps_of_the_specification(
    script: list[str], max_retries: int
) -> None:
    """Six outcomes of five kinds, up to five retries; what lies beyond the end is not asked for."""
    script = [*script, "ok"]
    if len(script) <= max_retries and all("refused" in outcome for outcome in script[:-1]):
        script = script[:-1] + ["refused"] * (max_retries + 2 - len(script))
    played = play(script, max_retries)
    assert played.told() == expected(script, max_retries)


@pytest.mark.parametrize("max_retries", range(8))
def test_at_n_retries_there_are_n_plus_one_attempts(max_retries: int) -> None:
    """A host that never connects is tried once, and then as often as allowed."""
    played = play(["refused"] * (max_retries + 1), max_retries)
    assert played.told().count("attempt") == max_retries + 1
    assert played.told().count("retry") == max_retries
    assert played.events[-1].attempts == max_retries + 1


def test_a_success_at_once_is_one_attempt_and_one_event() -> None:
    """The common case takes three steps."""
    played = play(["ok"])
    assert played.told() == ["checkpoint", "attempt", "success"]
    assert played.response is OK
    assert played.events[0].data is OK


def test_retry_events_count_up_and_tell_delay_source_and_cause() -> None:
    """Each is emitted before its wait, with the context of the failed attempt counted."""
    played = play(["refused", "refused", "ok"])
    retries = [event for event in played.events if event.event_type is EventType.RETRY]
    assert [event.context.current_attempt for event in retries] == [1, 2]
    assert [event.data.attempt for event in retries] == [1, 2]
    assert [event.data.delay for event in retries] == [1.0, 2.0]
    assert {event.data.source for event in retries} == {"backoff"}
    assert all(event.data.cause is event.error for event in retries)
    assert played.told() == [
        "checkpoint",
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
    played = play(["refused", "refused", "refused"])
    assert [event.seq for event in played.events] == [0, 1, 2]
    assert [event.event_type.is_terminal for event in played.events] == [False, False, True]


def test_exhausted_retries_end_in_our_connect_error() -> None:
    """It carries the last error as cause, and the number of attempts as a note."""
    played = play(["refused", "core refused", "refused"])
    error = played.error
    assert isinstance(error, ConnectError)
    assert type(error.__cause__) is httpx.ConnectError
    assert error.__notes__ == ["no connection after 3 attempts"]
    assert played.events[-1].error is error
    assert played.events[-1].context.current_attempt == 3


def test_a_request_without_retries_gives_up_after_one_attempt() -> None:
    """And says so in the singular."""
    error = play(["refused"], max_retries=0).error
    assert isinstance(error, ConnectError)
    assert error.__notes__ == ["no connection after 1 attempt"]


def test_the_error_of_exhausted_retries_keeps_the_request_of_the_last_attempt() -> None:
    """``error.request`` answers, as it does for httpx's own errors."""
    request = httpx.Request("GET", "http://a.test/")
    flow = request_flow(new_state(max_retries=0))
    assert isinstance(next(flow), Checkpoint)
    next(flow)
    flow.send(Failed.of(httpx.ConnectError("refused", request=request)))
    with pytest.raises(ConnectError) as raised:
        next(flow)
    assert raised.value.request is request


@pytest.mark.parametrize("outcome", ["timeout", "broken"])
def test_any_other_error_ends_it_at_once_and_reaches_the_caller_as_it_is(outcome: str) -> None:
    """One attempt, no wrapping."""
    played = play([outcome])
    assert played.told().count("attempt") == 1
    assert played.error is played.events[-1].error
    assert type(played.error) in {httpx.ReadTimeout, httpx.ReadError}


@pytest.mark.parametrize("stop_at", range(8))
def test_a_cancellation_at_any_step_ends_in_one_cancelled_event(stop_at: int) -> None:
    """Thrown into attempt, emission or wait alike, it is told once and raised on."""
    played = play(["refused", "refused", "ok"], stop_at=stop_at)
    kinds = [event.event_type for event in played.events]
    assert kinds[-1] is EventType.CANCELLED
    assert sum(kind.is_terminal for kind in kinds) == 1
    assert isinstance(played.error, asyncio.CancelledError)
    assert played.events[-1].attempts == played.told().count("attempt")


def test_a_keyboard_interrupt_counts_as_a_cancellation() -> None:
    """Whatever stops the request from outside, its state has an end."""
    flow = request_flow(new_state())
    next(flow)
    step = flow.throw(KeyboardInterrupt())
    assert isinstance(step, Emit)
    assert step.event.event_type is EventType.CANCELLED
    with pytest.raises(KeyboardInterrupt):
        next(flow)


def test_a_flow_that_is_dropped_says_nothing_more() -> None:
    """Closing the generator asks for no step that nobody would perform."""
    flow = request_flow(new_state())
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)


def test_elapsed_time_is_read_off_the_clock_of_the_request() -> None:
    """The seconds from the state's begin to the event."""
    now = [10.0]
    state = RequestState(RequestContext(), now=lambda: now[0], random=lambda: 0.5, method="POST")
    now[0] = 12.5
    assert state.end_event(Succeeded(OK)).elapsed == 2.5
