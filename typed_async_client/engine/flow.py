"""The life of one request, as a generator of steps.

The only place where the order of things stands. It yields what it wants done and is sent what
happened; it never waits, sends, or looks at a clock or dice of its own: the drivers do.
"""

import dataclasses
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from typed_async_client.context import RequestContext
from typed_async_client.engine.state import RequestState
from typed_async_client.errors import ConnectError
from typed_async_client.events import AsyncEvent
from typed_async_client.facts import explain_connect_failure, request_of
from typed_async_client.outcome import Failed, Outcome, Succeeded
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.retry import RetryAfter

if TYPE_CHECKING:
    import httpx

__all__ = ["Attempt", "Begin", "Emit", "Flow", "Step", "Wait", "request_flow"]


@dataclasses.dataclass(frozen=True, slots=True)
class Begin:
    """Give way once; there is no answer. A cancellation before the first attempt is heard here."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """Send the request once; the answer is its ``Outcome``."""

    context: RequestContext


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Sleep for ``seconds``; there is no answer."""

    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Emit:
    """Publish ``event``; there is no answer."""

    event: AsyncEvent


Step = Begin | Attempt | Wait | Emit
Flow = Generator[Step, Any, "httpx.Response"]

_BEGIN = Begin()


def request_flow(state: RequestState) -> Flow:
    """Tell the life of one request, one step at a time.

    Whatever stops it, a cancellation thrown in at any step included, its last step is to emit
    the one terminal event.

    Returns:
        The response, when an attempt brought one.

    Raises:
        ConnectError: every allowed attempt to connect has failed.
        Exception: what the last attempt failed with.
    """
    try:
        yield _BEGIN
        outcome = yield from _attempts(state)
    except GeneratorExit:  # the flow is dropped: nobody is left to perform a step
        raise
    except Exception as error:
        yield Emit(state.ended(Failed(error, Fault.OTHER)))
        raise
    except BaseException as stop:
        yield Emit(state.cancelled(stop))
        raise
    yield Emit(state.ended(outcome))
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome.response


def _attempts(state: RequestState) -> Generator[Step, Any, Outcome]:
    """Make attempts until one succeeds or none may follow; return what came of the last."""
    while True:
        state.attempts += 1
        outcome: Outcome = yield Attempt(state.context)
        if isinstance(outcome, Succeeded):
            return outcome
        decision = state.judge(outcome)
        if isinstance(decision, RetryAfter):
            yield Emit(state.retried(outcome.error, decision.delay))
            yield Wait(decision.delay)
        elif decision.exhausted:
            return Failed(_never_connected(outcome.error, state), outcome.fault)
        else:
            return outcome


def _never_connected(last: Exception, state: RequestState) -> ConnectError:
    request = request_of(last) or state.request
    attempts = state.attempts
    error = ConnectError(explain_connect_failure(last, request), request=request)
    error.add_note(f"no connection after {attempts} attempt{'s' if attempts > 1 else ''}")
    error.__cause__ = last
    return error
