"""Copies of an attempt that is slow to be answered: the first answer wins."""

from typing import cast

from typed_async_client.engine.fleet import withdrawn
from typed_async_client.engine.guarded import guarded_attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Cancel, Child, Discard, Flow, Join, Publish, Spawn
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
    except GeneratorExit:
        raise
    except BaseException:
        yield from _stop(run, children)
        raise
    yield from _stop(run, [child for child in children if child is not winner])
    return cast("Outcome", winner.outcome)


def _race(run: Run, plan: HedgePlan, children: list[Child]) -> Flow[Child]:
    """Send copies as planned until one attempt is answered, or all have failed."""
    failed: list[Child] = []
    children.append((yield from Spawn(guarded_attempt(run))))
    due = plan.next_copy(last_sent=run.now(), copies=0)
    while True:
        running = [child for child in children if child not in failed]
        until = run.deadline if due is None else min(due, run.deadline)
        ended = yield from Join(running, until)
        if ended is None and due is not None and run.now() >= due:
            due = yield from _send_copy(run, plan, children)
        elif ended is not None and _is_answer(run, ended):
            return ended
        elif ended is not None:
            failed.append(ended)
            if len(failed) == len(children):
                return children[0]


def _send_copy(run: Run, plan: HedgePlan, children: list[Child]) -> Flow[float | None]:
    """Send a copy, if the budgets allow it; return when the next one is due."""
    if not (yield from withdrawn(run)):
        return None
    if not _state(run).spend():
        run.refund()
        return None
    copy = len(children)
    yield from Publish(run.event(EventType.HEDGED, HedgeDetails(run.attempts, copy, plan.delay)))
    children.append((yield from Spawn(guarded_attempt(run, copy))))
    return plan.next_copy(last_sent=run.now(), copies=copy)


def _state(run: Run) -> HedgeState:
    state: HedgeState = run.states["hedge"]
    return state


def _is_answer(run: Run, child: Child) -> bool:
    """Whether an attempt was answered with something that isn't worth another attempt."""
    outcome = cast("Outcome", child.outcome)
    return outcome.error is None and run.policies.retry.is_content_with(outcome.facts)


def _stop(run: Run, losers: list[Child]) -> Flow[None]:
    """Cancel what still runs, and discard the responses that aren't needed."""
    if not losers:
        return
    for outcome in (yield from Cancel(losers)):
        if outcome.response is not None:
            yield from Discard(outcome.response)
        outcome.admission.release()
        run.keep(outcome)
