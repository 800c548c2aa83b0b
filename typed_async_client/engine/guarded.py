"""One attempt behind the policies that admit it, and what its outcome tells them."""

from typed_async_client.attempts import Attempt
from typed_async_client.engine.admission import Admission
from typed_async_client.engine.ending import refused, too_late
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow, Publish, Send
from typed_async_client.events import EventType
from typed_async_client.outcome import Outcome
from typed_async_client.policies.gates import Rejected

__all__ = ["guarded_attempt"]


def guarded_attempt(  # noqa: C901 - called for every attempt
    run: Run, copy: int = 0, sent: list[Attempt] | None = None
) -> Flow[Outcome]:
    """Make one attempt when every policy has admitted it, and report how it has ended.

    The permits of an attempt that was answered are held until ``run.release()``, since its body
    may not have been read yet.

    Args:
        run: the request.
        copy: 0, or the number of a hedged copy.
        sent: receives the attempt when it is sent; None if nobody needs to know.
    """
    admission = Admission(run)
    try:
        answer = admission.ask()
        while answer is not None and not isinstance(answer, Rejected):
            answer = yield from admission.wait(answer)
        for transition in admission.transitions:
            yield Publish(run.transition_event(transition))
        attempt = run.new_attempt(copy)
        if answer is not None:
            outcome = refused(run, answer, admission.refused_by)
            run.attempts -= copy == 0  # it isn't made
            yield from admission.refuse(answer)
        elif attempt.started >= run.deadline:
            outcome = too_late(run)
            run.attempts -= copy == 0
            yield from admission.leave()
        else:
            admission.begin()
            if sent is not None:
                sent.append(attempt)
            if EventType.STARTED in run.wanted:
                yield Publish(run.event(EventType.STARTED))
            outcome = yield Send(attempt)
            outcome.attempt, outcome.ended = attempt, (now := run.now())
            transitions = admission.report(outcome, now - attempt.started, now)
            if admission.fleet is not None:
                changed = yield from admission.fleet.report(outcome)
                transitions += () if changed is None else (changed,)
            for transition in transitions:
                yield Publish(run.transition_event(transition))
    except GeneratorExit:
        admission.release()
        raise
    except BaseException:
        yield from admission.leave()
        raise
    outcome.attempt, outcome.admission = attempt, admission
    outcome.ended = outcome.ended or attempt.started
    return outcome
