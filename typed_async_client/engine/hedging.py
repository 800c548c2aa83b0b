"""Copies of an attempt that is slow to be answered: the first answer wins."""

import dataclasses
from typing import cast

from typed_async_client.attempts import Attempt
from typed_async_client.engine.fleet import withdrawn
from typed_async_client.engine.guarded import guarded_attempt
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Cancel, Child, Discard, Flow, Join, Publish, Spawn
from typed_async_client.events import EventType, HedgeDetails
from typed_async_client.outcome import Outcome
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.hedge import HedgePlan, HedgeState

__all__ = ["hedged_attempt"]


def hedged_attempt(run: Run) -> Flow[Outcome]:
    """Make an attempt, and copies of it for as long as none is answered.

    The copies pass all policies of an attempt. If all of them fail, the outcome is the first one's.
    """
    plan = _state(run).plan(idempotent=run.idempotent, replayable=run.may_copy)
    if plan is None:
        return (yield from guarded_attempt(run))
    copies: list[_Copy] = []
    try:
        winner = yield from _race(run, plan, copies)
    except GeneratorExit:
        raise
    except BaseException:
        yield from _stop(run, copies)
        raise
    losers = [copy for copy in copies if copy is not winner]
    yield from _stop(run, losers)
    for copy in losers:
        _keep_cancelled(run, copy)
    return cast("Outcome", winner.child.outcome)


@dataclasses.dataclass(slots=True, eq=False)
class _Copy:
    """An attempt that runs beside others.

    Attributes:
        child: its flow.
        sent: the attempt, once it has been sent; empty before.
    """

    child: Child
    sent: list[Attempt]


def _race(run: Run, plan: HedgePlan, copies: list[_Copy]) -> Flow[_Copy]:
    """Send copies as planned until one attempt is answered, or all have failed."""
    failed: list[Child] = []
    yield from _spawn(run, copies)
    due = plan.next_copy(last_sent=run.now(), copies=0)
    while True:
        running = [copy.child for copy in copies if copy.child not in failed]
        until = run.deadline if due is None else min(due, run.deadline)
        ended = yield from Join(running, until)
        if ended is None and due is not None and run.now() >= due:
            due = yield from _send_copy(run, plan, copies)
        elif ended is not None and _is_answer(run, ended):
            return next(copy for copy in copies if copy.child is ended)
        elif ended is not None:
            failed.append(ended)
            if len(failed) == len(copies):
                return copies[0]


def _send_copy(run: Run, plan: HedgePlan, copies: list[_Copy]) -> Flow[float | None]:
    """Send a copy, if the budgets allow it; return when the next one is due."""
    if not (yield from withdrawn(run)):
        return None
    if not _state(run).spend():
        run.refund()
        return None
    number = len(copies)
    yield from Publish(run.event(EventType.HEDGED, HedgeDetails(run.attempts, number, plan.delay)))
    yield from _spawn(run, copies)
    return plan.next_copy(last_sent=run.now(), copies=number)


def _spawn(run: Run, copies: list[_Copy]) -> Flow[None]:
    """Start one more attempt beside those that run."""
    sent: list[Attempt] = []
    child = yield from Spawn(guarded_attempt(run, len(copies), sent))
    copies.append(_Copy(child, sent))


def _state(run: Run) -> HedgeState:
    state: HedgeState = run.states["hedge"]
    return state


def _is_answer(run: Run, child: Child) -> bool:
    """Whether an attempt was answered with something that isn't worth another attempt."""
    outcome = cast("Outcome", child.outcome)
    return outcome.error is None and run.policies.retry.is_content_with(outcome.facts)


def _stop(run: Run, losers: list[_Copy]) -> Flow[None]:
    """Cancel what still runs, and discard the responses that aren't needed."""
    if not losers:
        return
    for outcome in (yield from Cancel([copy.child for copy in losers])):
        if outcome.response is not None:
            yield from Discard(outcome.response)
        outcome.admission.release()
        run.keep(outcome)


def _keep_cancelled(run: Run, copy: _Copy) -> None:
    """Record an attempt that was cancelled because another was faster, with the time it has taken.

    The next delay would be too short if only the attempts that were fast counted.
    """
    if copy.child.outcome is not None or not copy.sent:
        return
    (attempt,), now = copy.sent, run.now()
    _state(run).record(now - attempt.started)
    facts = Facts(fault=None, sent=Sent.UNANSWERED, idempotent=True, local=True)
    run.keep(Outcome(facts, attempt=attempt, ended=now))
