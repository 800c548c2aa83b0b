"""One attempt behind the policies that admit it, and what its outcome tells them."""

from typing import Any

from typed_async_client.engine.admission import Admission
from typed_async_client.engine.ending import refused, too_late
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow, Publish, Send
from typed_async_client.events import EventType
from typed_async_client.outcome import Outcome

__all__ = ["guarded_attempt"]


def guarded_attempt(run: Run, copy: int = 0) -> Flow[Outcome]:
    """Make one attempt when every policy has admitted it, and report how it has ended.

    The permits of an attempt that was answered are held until ``run.release()``, since its body
    may not have been read yet.

    Args:
        run: the request.
        copy: 0, or the number of a hedged copy.
    """
    admission = Admission(run)
    details: dict[str, Any] = {}
    try:
        refusal = yield from admission.request()
        attempt = run.new_attempt(copy)
        if refusal is None and run.remaining() > 0:
            admission.begin()
            if EventType.STARTED in run.wanted:
                yield from Publish(run.event(EventType.STARTED))
            outcome = yield from Send(attempt)
            outcome.ended = run.now()
            yield from admission.report(outcome, outcome.ended - attempt.started)
        elif refusal is None:
            outcome = too_late(run)
            admission.release()
        else:
            outcome = refused(run, refusal, admission.refused_by)
            details["rejection"] = refusal.reason
            run.budget_refund()
    except BaseException:
        admission.release()
        raise
    outcome.attempt, outcome.release = attempt, admission.release
    outcome.ended = outcome.ended or attempt.started
    if admission.gate_wait:
        details["gate_wait"] = admission.gate_wait
    if admission.circuit is not None:
        details["circuit"] = admission.circuit
    outcome.details = details
    return outcome
