"""What a request ends with when no other attempt follows: its last outcome, or an error of ours.

The last response is returned as it is, unless the server asked for a longer wait than is allowed.
"""

from typing import TYPE_CHECKING, Any, cast

from typed_async_client.bad_status import FIRST_ERROR, status_error
from typed_async_client.described import explain_connect_failure
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Discard, Flow
from typed_async_client.errors import (
    BudgetExhaustedError,
    BulkheadFullError,
    CircuitOpenError,
    ConnectError,
    DeadlineExceededError,
    GaveUpError,
    RateLimitedLocallyError,
    RejectedError,
    RequestBodyConsumedError,
    RetryAfterTooLongError,
)
from typed_async_client.facts import request_of
from typed_async_client.outcome import Outcome
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.retry import GiveUp, GiveUpReason
from typed_async_client.sources.kinds import ADVICE, refused_again
from typed_async_client.wording import format_seconds, name_server

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "concluded",
    "decoded",
    "decoded_or_raised",
    "overrun",
    "raise_bad_status",
    "refused",
    "too_late",
]

_CONNECT_FAULTS = (Fault.CONNECT, Fault.CONNECT_LATER)

_REFUSALS: "dict[str, tuple[type[RejectedError], str]]" = {
    "pushback": (RateLimitedLocallyError, "{host} has asked its clients to wait"),
    "rate_limit": (RateLimitedLocallyError, "the rate limit for {host} is reached"),
    "circuit": (CircuitOpenError, "the circuit of {host} is open: most recent requests failed"),
    "bulkhead": (BulkheadFullError, "too many requests to {host} are running"),
    "adaptive": (BulkheadFullError, "{host} is as busy as it can be"),
}

_REASONS = {
    RejectionReason.QUEUE_FULL: "and as many are waiting as may",
    RejectionReason.TOO_LONG: "and its turn would come later than max_wait",
    RejectionReason.DEADLINE: "and its turn would come after its deadline",
}


def concluded(run: Run, outcome: Outcome, decision: GiveUp) -> Flow[Outcome]:
    """Return what a request ends with.

    Args:
        run: the request.
        outcome: the outcome of the last attempt.
        decision: why no other follows.
    """
    error = _error_for(run, outcome, decision)
    if error is None:
        return _noted(run, outcome, decision)
    if outcome.response is not None:
        yield from Discard(outcome.response)
    outcome.error, outcome.response = error, None
    return outcome


def _error_for(run: Run, outcome: Outcome, decision: GiveUp) -> Exception | None:
    """Return the error of ours that the request ends with; None if the outcome stays as it is."""
    if isinstance(outcome.error, RejectedError | DeadlineExceededError):
        outcome.error.history = outcome.error.history or run.history  # of a transport below
        return None
    reason, asked = decision.reason, decision.retry_after
    if reason is GiveUpReason.RETRIES and outcome.facts.fault in _CONNECT_FAULTS:
        return _connect_error(run, outcome)
    is_failure = outcome.error is not None
    if reason is GiveUpReason.RETRY_AFTER or (
        reason is GiveUpReason.DEADLINE and asked is not None
    ):
        limit = "allowed" if reason is GiveUpReason.RETRY_AFTER else "the deadline leaves"
        message = (
            f"{name_server(outcome.answered_by or run.record.origin)} asked to wait for "
            f"{format_seconds(asked or 0.0)}, which is longer than {limit}"
        )
        return _gave_up(RetryAfterTooLongError, message, run, outcome, asked)
    if reason is GiveUpReason.DEADLINE and is_failure:
        message = f"no time is left before the deadline to send it to {_host(run)} again"
        return _gave_up(DeadlineExceededError, message, run, outcome, asked)
    if reason is GiveUpReason.BUDGET and is_failure:
        message = f"not sent to {_host(run)} again, as too many recent requests were retries"
        return _gave_up(BudgetExhaustedError, message, run, outcome, asked)
    return None


def _gave_up(
    kind: "Callable[..., GaveUpError]",
    message: str,
    run: Run,
    outcome: Outcome,
    retry_after: float | None,
) -> GaveUpError:
    last, response = outcome.error, outcome.response
    error = kind(
        _said_of(run, message),
        request=_request_of(outcome),
        retry_after=retry_after,
        response=response,
        client=run.client,
    )
    error.history = run.history
    error.__cause__ = last
    return error


def _connect_error(run: Run, outcome: Outcome) -> ConnectError:
    last = cast("Exception", outcome.error)
    request = request_of(last) or outcome.request
    error = ConnectError(explain_connect_failure(last, request), request=request)
    error.add_note(f"no connection after {_count(run.attempts)}")
    error.history = run.history
    error.__cause__ = last
    return error


def _noted(run: Run, outcome: Outcome, decision: GiveUp) -> Outcome:
    """Return the outcome as it is, with a note on its error that says why no attempt follows."""
    error = outcome.error
    if error is None:
        return outcome
    if decision.exhausted and run.attempts > 1:
        error.add_note(f"gave up after {_count(run.attempts)}")
    if decision.reason is GiveUpReason.NOT_REPLAYABLE:
        _note_body(error, outcome.facts)
    if isinstance(error, RequestBodyConsumedError) and len(run.history) > 1:
        before = run.history[-2]
        ended = before.error or f"status {before.status}"
        error.add_note(f"it was to be sent again because an earlier attempt ended with {ended}")
    return outcome


def _note_body(error: Exception, facts: Facts) -> None:
    """Note that the body can't be sent again, unless a transport below has noted it."""
    helps = facts.idempotent or not facts.may_have_been_processed
    note = f"not sent again: {refused_again(facts.body or 'a source')}"
    notes: list[str] = getattr(error, "__notes__", [])
    if not any(each.startswith(note) for each in notes):
        error.add_note(f"{note}; {ADVICE}" if helps else note)


def raise_bad_status(run: Run, outcome: Outcome) -> None:
    """Let a request end with an error if its last status is 400 or above; its body has been read."""
    response = outcome.response
    if response is None or (outcome.facts.status or 0) < FIRST_ERROR:
        return
    error = status_error(response, run.record)
    if run.attempts > 1:
        error.add_note(f"after {_count(run.attempts)}")
    decision = run.history[-1].decision
    if isinstance(decision, GiveUp) and decision.reason is GiveUpReason.NOT_REPLAYABLE:
        _note_body(error, outcome.facts)
    error.history = run.history
    outcome.error, outcome.response = error, None


def decoded(run: Run, outcome: Outcome, decode: "Callable[[Any], tuple[Any, Any]]") -> Any:
    """Return what the last response is decoded as; let the request end with an error if it can't be."""
    value, error = (None, None) if outcome.response is None else decode(outcome.response)
    if error is not None:
        error.history = run.history
        outcome.error, outcome.response = error, None
    del error, outcome  # the traceback of its cause refers to this frame
    return value


def decoded_or_raised(run: Run, response: Any, decode: "Callable[[Any], tuple[Any, Any]]") -> Any:
    """Return what the response of a middleware is decoded as.

    Raises:
        StatusError: its status is 400 or above, and the request isn't content with that.
        DecodeError: it can't be decoded.
    """
    if run.raise_on_status and response.status_code >= FIRST_ERROR:
        value, error = None, status_error(response, run.record)
    else:
        value, error = decode(response)
    if error is None:
        return value
    error.history = run.history
    try:
        raise error
    finally:
        del error  # it refers to this frame


def refused(run: Run, refusal: Rejected, policy: str) -> Outcome:
    """Return the outcome of an attempt that a policy has refused before it was sent."""
    kind, words = _REFUSALS[policy]
    if refusal.reason is RejectionReason.CIRCUIT_ISOLATED:
        words = "the circuit of {host} was opened by hand"
    why = _REASONS.get(refusal.reason, "")
    wait = refusal.retry_after
    retry = "" if wait is None else f"; try again in {format_seconds(round(wait, 3))}"
    text = f"{', '.join(filter(None, (words.format(host=_host(run)), why)))}{retry}"
    error = kind(_said_of(run, text), retry_after=wait, client=run.client)
    return Outcome(_local_facts(run, Fault.OTHER), None, error)


def too_late(run: Run) -> Outcome:
    """Return the outcome of an attempt whose deadline passed before it could be sent."""
    text = f"its deadline passed before it could be sent to {_host(run)}"
    error = DeadlineExceededError(_said_of(run, text), client=run.client)
    return Outcome(_local_facts(run, Fault.TIMEOUT), None, error)


def overrun(run: Run) -> DeadlineExceededError:
    """Return the error of a request whose middleware was still running at its deadline."""
    text = f"the deadline of the request to {_host(run)} passed while its middleware was running"
    return DeadlineExceededError(_said_of(run, text))


def _local_facts(run: Run, fault: Fault) -> Facts:
    return Facts(fault=fault, sent=Sent.NOTHING, idempotent=run.idempotent, local=True)


def _request_of(outcome: Outcome) -> Any:
    if outcome.error is not None:
        return request_of(outcome.error) or outcome.request
    return outcome.request or request_of(outcome.response)


def _said_of(run: Run, text: str) -> str:
    """Return the message of an error: the method, and a text that names the host."""
    return f"{run.record.method}: {text}"


def _host(run: Run) -> str:
    return name_server(run.record.origin)


def _count(attempts: int) -> str:
    return f"{attempts} attempt{'s' if attempts > 1 else ''}"
