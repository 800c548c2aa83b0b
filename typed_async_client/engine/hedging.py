"""Copies of an attempt that is slow to be answered: the first answer wins."""

import dataclasses
import math
from typing import cast

from typed_async_client.engine.admission import Admission
from typed_async_client.engine.fleet import withdrawn
from typed_async_client.engine.guarded import guarded_attempt, judged
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import (
    Cancel,
    Child,
    Detach,
    Discard,
    Flow,
    Join,
    Publish,
    Spawn,
    Step,
)
from typed_async_client.events import EventType, HedgeDetails
from typed_async_client.facts import body_size_of
from typed_async_client.outcome import Outcome
from typed_async_client.policies.hedge import (
    TIME_TO_END,
    HedgePlan,
    HedgeState,
    is_cheap_to_read,
)

__all__ = ["hedged_attempt"]


@dataclasses.dataclass(slots=True, eq=False)
class _Racer:
    """An attempt that runs beside others, and what the policies have granted to it."""

    child: Child
    admission: Admission


def hedged_attempt(run: Run) -> Flow[Outcome]:
    """Make an attempt, and copies of it for as long as none is answered.

    The copies pass all policies of an attempt. If all of them fail, the outcome is the first one's.
    """
    plan = _state(run).plan(idempotent=run.idempotent, replayable=run.may_copy)
    if plan is None:
        return (yield from guarded_attempt(run))
    racers: list[_Racer] = []
    try:
        winner = yield from _race(run, plan, racers)
        outcome, answered = cast("Outcome", winner.child.outcome), run.now()
        losers = [racer for racer in racers if racer is not winner]
        for racer in losers:
            racer.admission.is_unneeded = True
        try:
            yield from _let_end(run, losers, outcome, racers)
            yield from _stop(run, [racer for racer in losers if racer in racers], racers)
        finally:
            for racer in losers:  # those that have ended all the same are on the record already
                racer.admission.lose(answered)
    except GeneratorExit:
        raise
    except BaseException:
        yield from _stop(run, [*racers], racers)
        raise
    return outcome


def _race(run: Run, plan: HedgePlan, racers: list[_Racer]) -> Flow[_Racer]:
    """Send copies as planned until one attempt is answered, or all have failed."""
    failed: list[_Racer] = []
    racers.append((yield from _started(run, 0)))
    due = _next_due(run, plan, racers)
    while True:
        running = {racer.child: racer for racer in racers if racer not in failed}
        until = math.inf if due is None or due >= run.deadline else due
        ended = yield from Join([*running], until)
        if ended is None:
            due = _next_due(run, plan, racers)
            if due is not None and run.now() >= due:
                due = yield from _send_copy(run, plan, racers)
        elif (yield from _is_answer(run, ended)):
            return running[ended]
        else:
            failed.append(running[ended])
            if len(failed) == len(racers):
                return racers[0]


def _next_due(run: Run, plan: HedgePlan, racers: list[_Racer]) -> float | None:
    """Return when the next copy is due; None for never.

    The latest attempt may still wait for its turn, which isn't the server's fault: a copy would
    only wait behind it.
    """
    sent_at = racers[-1].admission.sent_at
    last_sent = run.now() if sent_at is None else sent_at
    return plan.next_copy(last_sent=last_sent, copies=len(racers) - 1)


def _started(run: Run, copy: int) -> Flow[_Racer]:
    """Start an attempt beside the others."""
    admission = Admission(run)
    return _Racer((yield from Spawn(guarded_attempt(run, copy, admission))), admission)


def _send_copy(run: Run, plan: HedgePlan, racers: list[_Racer]) -> Flow[float | None]:
    """Send a copy, if the budgets allow it; return when the next one is due."""
    if not (yield from withdrawn(run)):
        return None
    if not _state(run).spend():
        run.refund(run.take_withdrawal())
        return None
    copy = len(racers)
    yield from Publish(run.event(EventType.HEDGED, HedgeDetails(run.attempts, copy, plan.delay)))
    racers.append((yield from _started(run, copy)))
    return _next_due(run, plan, racers)


def _state(run: Run) -> HedgeState:
    state: HedgeState = run.states["hedge"]
    return state


def _is_answer(run: Run, child: Child) -> Flow[bool]:
    """Whether an attempt was answered with something that isn't worth another attempt."""
    outcome = cast("Outcome", child.outcome)
    if outcome.error is not None:
        return False
    yield from judged(run, outcome)
    return not run.policies.retry.wants(outcome.facts)


def _let_end(run: Run, losers: list[_Racer], outcome: Outcome, racers: list[_Racer]) -> Flow[None]:
    """Let those end by themselves whose connections would be lost otherwise.

    Args:
        run: the request.
        losers: the attempts that aren't needed.
        outcome: the one that won, whose answer theirs will be like.
        racers: all of them; those that are let go are removed.
    """
    cuts = [racer for racer in losers if racer.admission.closes_if_cut]
    if not cuts or not is_cheap_to_read(body_size_of(outcome.response)):
        return
    background = run.policies.background
    yield from Detach([racer.child for racer in cuts], background, TIME_TO_END)
    for racer in cuts:
        racers.remove(racer)
        racer.admission.leave_run()


def _stop(run: Run, losers: list[_Racer], racers: list[_Racer]) -> Flow[None]:
    """Cancel what still runs, and discard the responses that aren't needed.

    Args:
        run: the request.
        losers: the attempts that aren't needed.
        racers: all of them; those that were stopped are removed.
    """
    if not losers:
        return
    interruptions = [(yield from _performed(Cancel([racer.child for racer in losers])))]
    for racer in losers:
        racers.remove(racer)
        outcome = racer.child.outcome
        if outcome is None:
            continue
        run.keep(outcome)
        if outcome.response is not None:
            interruptions.append((yield from _performed(Discard(outcome.response))))
        racer.admission.release()
    try:
        for interruption in interruptions:
            if interruption is not None:
                raise interruption
    finally:
        del interruptions, interruption  # they refer to this frame


def _performed(step: Step[None]) -> Flow[BaseException | None]:
    """Have a step performed, and return what interrupted it: the others must be performed first."""
    try:
        yield from step
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - raised later
        return error
    return None
