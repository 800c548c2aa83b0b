"""Copies of an attempt that is slow to be answered: the first answer wins."""

import math
from typing import cast

from typed_async_client.engine.fleet import withdrawn
from typed_async_client.engine.guarded import guarded_attempt, judged
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Cancel, Child, Discard, Flow, Join, Publish, Spawn, Step
from typed_async_client.events import EventType, HedgeDetails
from typed_async_client.outcome import Outcome
from typed_async_client.policies.hedge import HedgePlan, HedgeState

__all__ = ["hedged_attempt"]


def hedged_attempt(run: Run) -> Flow[Outcome]:
    """Make an attempt, and copies of it for as long as none is answered.

    The copies pass all policies of an attempt. If all of them fail, the outcome is the first one's.
    """
    plan = _state(run).plan(idempotent=run.idempotent, replayable=run.may_copy)
    if plan is None:
        return (yield from guarded_attempt(run))
    children: list[Child] = []
    try:
        winner = yield from _race(run, plan, children)
        outcome, answered = cast("Outcome", winner.outcome), run.now()
        losing = [each for each in run.admissions if each is not outcome.admission]
        yield from _stop(run, [child for child in children if child is not winner], children)
        for admission in losing:  # those that have ended all the same are on the record already
            admission.lose(answered)
    except GeneratorExit:
        raise
    except BaseException:
        yield from _stop(run, [*children], children)
        raise
    return outcome


def _race(run: Run, plan: HedgePlan, children: list[Child]) -> Flow[Child]:
    """Send copies as planned until one attempt is answered, or all have failed."""
    failed: list[Child] = []
    children.append((yield from Spawn(guarded_attempt(run))))
    due = plan.next_copy(last_sent=run.now(), copies=0)
    while True:
        running = [child for child in children if child not in failed]
        until = math.inf if due is None or due >= run.deadline else due
        ended = yield from Join(running, until)
        if ended is None:
            if run.now() >= until:
                due = yield from _send_copy(run, plan, children)
        elif (yield from _is_answer(run, ended)):
            return ended
        else:
            failed.append(ended)
            if len(failed) == len(children):
                return children[0]


def _send_copy(run: Run, plan: HedgePlan, children: list[Child]) -> Flow[float | None]:
    """Send a copy, if the budgets allow it; return when the next one is due."""
    if not (yield from withdrawn(run)):
        return None
    if not _state(run).spend():
        run.refund(run.take_withdrawal())
        return None
    copy = len(children)
    yield from Publish(run.event(EventType.HEDGED, HedgeDetails(run.attempts, copy, plan.delay)))
    children.append((yield from Spawn(guarded_attempt(run, copy))))
    return plan.next_copy(last_sent=run.now(), copies=copy)


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


def _stop(run: Run, losers: list[Child], children: list[Child]) -> Flow[None]:
    """Cancel what still runs, and discard the responses that aren't needed.

    Args:
        run: the request.
        losers: the attempts that aren't needed.
        children: all of them; those that were stopped are removed.
    """
    if not losers:
        return
    interruptions = [(yield from _performed(Cancel(losers)))]
    for child in losers:
        children.remove(child)
        outcome = child.outcome
        if outcome is None:
            continue
        run.keep(outcome)
        if outcome.response is not None:
            interruptions.append((yield from _performed(Discard(outcome.response))))
        outcome.admission.release()
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
