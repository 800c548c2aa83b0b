"""Drives the flow of a request by hand: outcomes go in, steps come out, and the clock is a number."""

import asyncio
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
from run_kit import Clock, new_run, outcome_of

from typed_async_client import AsyncEvent, Resilience
from typed_async_client.attempts import Attempt
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import (
    Acquire,
    Cancel,
    Consult,
    Deliver,
    Detach,
    Discard,
    Flow,
    Join,
    Publish,
    Send,
    Sleep,
    Spawn,
)
from typed_async_client.outcome import Outcome


class HandChild:
    """A copy that runs beside the first attempt."""

    def __init__(self, flow: Flow[Outcome]) -> None:
        self.answer: Any = None
        self.answered_at = -math.inf
        self.flow = flow
        self.has_ended = False
        self.is_started = False
        self.ends_by = math.inf  # when it is cancelled, once it is detached
        self.outcome: Outcome | None = None
        self.turn: Any = None

    @property
    def due(self) -> float:
        """When it can go on."""
        if self.turn is None:
            return self.answered_at
        return -math.inf if self.turn.permit else float(min(self.turn.until, self.turn.ask_at))


@dataclasses.dataclass
class Play:
    """Drives one request; ``script`` has what each attempt is answered with, and after how long.

    Attributes:
        script: pairs of seconds and answer, or answers that come at once.
        interrupt_at: the step, not of a copy, at which an exception is thrown in, instead of its answer.
        interruption: the exception.
        body_error: what breaks the body of a response that is handed over.
        http1: whether a copy that is cancelled loses its connection.
        on_step: called with each step before it is performed.
        after_step: called with each step after it was performed.
        own_steps: the steps of the request, without those of its copies.
        steps: all of them.
        discarded: the responses that were discarded.
        response: what the flow has returned.
        error: what it has raised.
    """

    run: Run
    script: Sequence[str | tuple[float, str]]
    clock: Clock
    interrupt_at: int | None = None
    interruption: BaseException | None = None
    body_error: BaseException | None = None
    http1: bool = False
    on_step: Callable[[Any], object] = lambda _: None
    after_step: Callable[[Any], object] = lambda _: None
    own_steps: list[Any] = dataclasses.field(default_factory=list)
    steps: list[Any] = dataclasses.field(default_factory=list)
    discarded: list[httpx.Response] = dataclasses.field(default_factory=list)
    delivered: list[httpx.Response] = dataclasses.field(default_factory=list)
    answered: list[httpx.Response] = dataclasses.field(default_factory=list)
    children: list[HandChild] = dataclasses.field(default_factory=list)
    response: httpx.Response | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._answers: Iterator[str | tuple[float, str]] = iter(self.script)

    def drive(self) -> "Play":
        """Drive the flow to its end."""
        flow = request_flow(self.run)
        try:
            step = next(flow)
            while True:
                index = len(self.own_steps)
                self.own_steps.append(step)
                self.steps.append(step)
                if index == self.interrupt_at:
                    if isinstance(step, Cancel | Discard):  # done even if it is interrupted
                        self._perform(step)
                    step = flow.throw(self.interruption or asyncio.CancelledError())
                    continue
                try:
                    answer, duration = self._perform(step)
                except BaseException as error:  # noqa: BLE001 - the flow handles or raises it
                    step = flow.throw(error)
                    continue
                self.clock.now += duration
                self.after_step(step)
                step = flow.send(self._seen(answer))
        except StopIteration as finished:
            self.response = finished.value
        except BaseException as error:  # noqa: BLE001 - kept
            self.error = error
        self._end_detached()
        return self

    def _end_detached(self) -> None:
        """Let those copies end that go on beside the end of the request."""
        for child in [child for child in self.children if child.ends_by < math.inf]:
            while not child.has_ended:
                is_late = child.due > child.ends_by
                self.clock.now = max(self.clock.now, min(child.due, child.ends_by))
                self._advance(child, asyncio.CancelledError() if is_late else None)

    def _perform(self, step: Any) -> tuple[Any, float]:  # noqa: C901, PLR0911 - one per kind of step
        """Perform a step; return its answer, and how long it takes."""
        self.on_step(step)
        match step:
            case Send(attempt=attempt):
                return self._send(attempt)
            case Sleep(seconds=seconds):
                return None, seconds
            case Acquire(turn=turn):
                assert min(turn.until, turn.ask_at) < math.inf, "nobody would ever wake it"
                return None, max(0.0, min(turn.until, turn.ask_at) - self.clock.now)
            case Consult(function=function, argument=argument):
                return function(argument), 0.0
            case Discard(response=response):
                self.discarded.append(response)
            case Deliver(response=response):
                self.delivered.append(response)
                return self.body_error, 0.0
            case Spawn(flow=flow):
                self.children.append(HandChild(flow))
                return self.children[-1], 0.0
            case Join(children=children, until=until):
                return self._join(children, until), 0.0
            case Cancel(children=children):
                self._cancel(children)
            case Detach(children=children, seconds=seconds):
                for child in children:
                    child.ends_by = self.clock.now + seconds  # type: ignore[attr-defined]  # ours
            case _:
                assert isinstance(step, Publish)
        return None, 0.0

    def _send(self, attempt: Attempt) -> tuple[Outcome, float]:
        entry = next(self._answers)
        seconds, answer = entry if isinstance(entry, tuple) else (0.0, entry)
        attempt.closes_if_cut = self.http1
        outcome = outcome_of(answer, attempt, self.run.record)
        return outcome, seconds

    def _seen(self, answer: Any) -> Any:
        """Note a response that the flow is given."""
        if isinstance(answer, Outcome) and answer.response is not None:
            self.answered.append(answer.response)
        return answer

    def _join(self, children: Sequence[Any], until: float) -> HandChild | None:
        while True:
            for child in children:
                if child.has_ended:
                    return child  # type: ignore[no-any-return]  # the children of a Join are ours
            first = min(children, key=lambda child: child.due)
            if first.due > until:
                self.clock.now = max(self.clock.now, until)
                return None
            self.clock.now = max(self.clock.now, first.due)
            self._advance(first)

    def _advance(self, child: HandChild, error: BaseException | None = None) -> None:
        """Answer the step that a copy waits for, or interrupt it; then perform the next."""
        try:
            if error is not None:
                step = child.flow.throw(error)
            elif child.is_started:
                step = child.flow.send(self._seen(child.answer))
            else:
                child.is_started = True
                step = next(child.flow)
        except StopIteration as finished:
            child.outcome = finished.value
            child.has_ended = True
        except asyncio.CancelledError:
            child.has_ended = True
        else:
            self.steps.append(step)
            child.turn = step.turn if isinstance(step, Acquire) else None
            child.answer, duration = (None, 1.0) if child.turn else self._perform(step)
            child.answered_at = self.clock.now + duration
            if duration == 0:
                self._advance(child)

    def _cancel(self, children: Sequence[Any]) -> None:
        """Cancel copies; one whose answer is there at this very moment ends all the same."""
        for child in [child for child in children if not child.has_ended]:
            if child.is_started and child.due <= self.clock.now:
                self._advance(child)
            elif child.is_started:
                self._advance(child, asyncio.CancelledError())
            child.has_ended = True

    @property
    def events(self) -> list[AsyncEvent]:
        """The published events."""
        return [step.event for step in self.steps if isinstance(step, Publish)]

    @property
    def kinds(self) -> list[str]:
        """The types of the published events."""
        return [str(event.event_type) for event in self.events]

    @property
    def sent(self) -> list[Attempt]:
        """The attempts that were sent."""
        return [step.attempt for step in self.steps if isinstance(step, Send)]


def play(
    resilience: Resilience,
    *script: str | tuple[float, str],
    clock: Clock | None = None,
    run: Run | None = None,
    interrupt_at: int | None = None,
    interruption: BaseException | None = None,
    body_error: BaseException | None = None,
    http1: bool = False,
    on_step: Callable[[Any], object] = lambda _: None,
    after_step: Callable[[Any], object] = lambda _: None,
    **options: Any,
) -> Play:
    """Drive a request by hand to its end; the options are those of ``new_run``."""
    clock = clock or Clock()
    run = run or new_run(resilience, clock=clock, **options)
    played = Play(
        run, script, clock, interrupt_at, interruption, body_error, http1, on_step, after_step
    )
    return played.drive()


def assert_all_are_on_record(run: Play) -> None:
    """Check that each attempt that was sent has one record."""
    sent = [(attempt.number, attempt.copy) for attempt in run.sent]
    kept = [(record.number, record.copy) for record in run.run.history if not record.rejection]
    assert sorted(kept) == sorted(sent)
