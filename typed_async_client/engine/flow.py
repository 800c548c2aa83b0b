"""The flow of one request, as a generator of steps.

The flow yields the step to perform and receives its result. It never sends, waits, or reads a clock
or random numbers itself; the drivers do, so one flow serves both kinds of client.
"""

import dataclasses
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from typed_async_client.context import RequestContext
from typed_async_client.described import explain_connect_failure, with_message, without_userinfo
from typed_async_client.engine.state import RequestState
from typed_async_client.errors import ConnectError
from typed_async_client.events import AsyncEvent
from typed_async_client.facts import request_of
from typed_async_client.outcome import Failed, Outcome, Succeeded
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.retry import RetryAfter
from typed_async_client.sent import current_log

if TYPE_CHECKING:
    import httpx

__all__ = ["Attempt", "Emit", "Flow", "Step", "Wait", "request_flow"]


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """Send the request once; the result is an ``Outcome``."""

    context: RequestContext


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Sleep for ``seconds``."""

    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Emit:
    """Publish ``event``."""

    event: AsyncEvent


Step = Attempt | Wait | Emit
Flow = Generator[Step, Any, "httpx.Response"]


def request_flow(state: RequestState) -> Flow:
    """Yield the steps of one request.

    The last step always emits the terminal event, even if a cancellation is thrown in at any other.

    Returns:
        The response, if an attempt succeeded.

    Raises:
        ConnectError: every allowed attempt to connect has failed.
        Exception: the error of the last attempt.
    """
    try:
        outcome = yield from _attempts(state)
    except GeneratorExit:  # the flow was closed: no driver will perform another step
        raise
    except Exception as error:
        yield Emit(state.end_event(Failed(error, Fault.OTHER)))
        raise
    except BaseException as interruption:
        yield Emit(state.cancelled_event(interruption))
        raise
    yield Emit(state.end_event(outcome))
    if isinstance(outcome, Failed):
        try:
            raise outcome.error
        finally:
            del outcome  # the error refers to this frame
    return outcome.response


def _attempts(state: RequestState) -> Generator[Step, Any, Outcome]:
    """Make attempts until one succeeds or no other may follow; return the last outcome."""
    while True:
        state.attempts += 1
        outcome: Outcome = yield Attempt(state.context)
        if isinstance(outcome, Succeeded):
            return outcome
        outcome = _described(outcome, state)
        decision = state.handle_failure(outcome)
        if isinstance(decision, RetryAfter):
            yield Emit(state.retry_event(outcome.error, decision.delay))
            yield Wait(decision.delay)
        elif decision.exhausted:
            return Failed(_connect_error(outcome.error, state), outcome.fault)
        else:
            return outcome


def _described(failed: Failed, state: RequestState) -> Failed:
    """Return the same failure, with an error that has a message, and no password in it."""
    error, log = without_userinfo(failed.error, state.record.url), current_log()
    request = request_of(error) or state.request or log.request
    return Failed(with_message(error, request, in_body=log.in_body), failed.fault)


def _connect_error(last: Exception, state: RequestState) -> ConnectError:
    request = request_of(last) or state.request
    attempts = state.attempts
    error = ConnectError(explain_connect_failure(last, request), request=request)
    error.add_note(f"no connection after {attempts} attempt{'s' if attempts > 1 else ''}")
    error.__cause__ = last
    return error
