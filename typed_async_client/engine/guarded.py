"""One attempt behind the policies that admit it, and what its outcome tells them."""

import dataclasses
from typing import Final

from typed_async_client.attempts import Attempt
from typed_async_client.engine.admission import Admission
from typed_async_client.engine.ending import refused, too_late
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Consult, Discard, Flow, Publish, Send
from typed_async_client.events import EventType
from typed_async_client.outcome import Outcome
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.transitions import Transition

__all__ = ["guarded_attempt", "judged"]

_STARTED: Final = EventType.STARTED  # for every attempt: looking a member up takes time


def guarded_attempt(run: Run, copy: int = 0, admission: Admission | None = None) -> Flow[Outcome]:
    """Make one attempt when every policy has admitted it, and report how it has ended.

    The permits of an attempt that was answered are held until ``run.release()``, since its body
    may not have been read yet. What was taken from the budget for it is its own from now on, even
    if the flow never starts.

    Args:
        run: the request.
        copy: 0, or the number of a hedged copy.
        admission: what the policies will grant to it; None for a new one.
    """
    return _attempted(run, copy, admission or Admission(run))


def _attempted(run: Run, copy: int, admission: Admission) -> Flow[Outcome]:
    try:
        answer = admission.ask()
        while answer is not None and not isinstance(answer, Rejected):
            answer = yield from admission.wait(answer)
        for transition in admission.transitions:
            yield Publish(run.transition_event(transition))
        attempt = run.new_attempt(copy)
        if answer is not None:
            outcome = refused(run, answer, admission.refused_by)
            run.count_attempt(-(copy == 0))  # it isn't made
            yield from admission.refuse(answer)
        elif attempt.started >= run.deadline:
            outcome = too_late(run)
            run.count_attempt(-(copy == 0))
            yield from admission.leave()
        else:
            outcome = yield from _sent(run, attempt, admission)
    except GeneratorExit:
        admission.release()
        raise
    except BaseException:
        yield from admission.leave()
        raise
    outcome.attempt, outcome.admission = attempt, admission
    outcome.ended = outcome.ended or attempt.started
    return outcome


def _sent(run: Run, attempt: Attempt, admission: Admission) -> Flow[Outcome]:
    """Send an attempt that was admitted, and report how it has ended."""
    if _STARTED in run.wanted:
        yield Publish(run.event(_STARTED))
    admission.begin(attempt)
    try:
        outcome: Outcome = yield Send(attempt)
    except GeneratorExit:
        raise
    except BaseException as interruption:
        if not admission.is_unneeded:  # if it is, it is recorded as overtaken
            run.keep_interrupted(attempt, interruption)
        raise
    admission.end()
    if admission.is_overtaken:
        return (yield from _dropped(outcome, admission))
    try:
        outcome.attempt, outcome.ended = attempt, (now := run.now())
        transitions = admission.report(outcome, now - attempt.started, now)
        if transitions or admission.fleet is not None:
            yield from _told(run, outcome, admission, transitions)
    except GeneratorExit:
        raise
    except BaseException as interruption:
        outcome.admission, outcome.interruption = admission, interruption
        run.keep(outcome)
        if outcome.response is not None:
            yield from Discard(outcome.response)
        raise
    return outcome


def _told(
    run: Run, outcome: Outcome, admission: Admission, transitions: tuple[Transition, ...]
) -> Flow[None]:
    """Tell the store how an attempt has ended, and publish what has changed."""
    if admission.fleet is not None:
        changed = yield from admission.fleet.report(outcome)
        transitions += () if changed is None else (changed,)
    for transition in transitions:
        yield from Publish(run.transition_event(transition))


def _dropped(outcome: Outcome, admission: Admission) -> Flow[Outcome]:
    """Get rid of an answer that nobody waits for: the one to a copy came earlier."""
    if outcome.response is not None:
        yield from Discard(outcome.response)
    yield from admission.leave()
    return outcome


def judged(run: Run, outcome: Outcome) -> Flow[None]:
    """Ask the caller's own functions about an outcome, once, and add what they say to its facts."""
    policy = run.policies.retry
    if outcome.is_judged:
        return
    outcome.is_judged = True
    if outcome.response is not None and policy.when is not None:
        wanted = yield from Consult(policy.when, outcome.response, run.deadline)
        if wanted is not None:
            outcome.facts = dataclasses.replace(outcome.facts, wanted=bool(wanted))
    elif outcome.error is not None and policy.on:
        matches = policy.matches(outcome.error)
        outcome.facts = dataclasses.replace(outcome.facts, matches=matches)
