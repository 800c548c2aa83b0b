"""The flow between two connections of an event stream: it decides, asks the retry budget, and waits."""

import dataclasses
import math
from typing import Any

from typed_async_client.engine.fleet import settled, waited, withdrawn
from typed_async_client.engine.log import log_reconnection
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Flow
from typed_async_client.errors import (
    BudgetExhaustedError,
    DeadlineExceededError,
    EventStreamEndedError,
    GaveUpError,
    RetryAfterTooLongError,
)
from typed_async_client.facts import request_of
from typed_async_client.policies.reconnect import decide_reconnect
from typed_async_client.policies.retry import GiveUp, GiveUpReason, RetryAfter
from typed_async_client.wording import format_seconds, name_server

__all__ = ["StreamEnd", "reconnection_flow", "refund_flow"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """How a connection of an event stream has ended.

    Attributes:
        error: what broke it; None if the server has ended it.
        request: its request, of httpx or httpx2; None if unknown.
        failures: how many connections in a row, this one included, have brought no event.
        asked: the seconds that the server wants its clients to wait; None if it didn't say.
        deadline: when the stream must have ended, in monotonic seconds; infinite for never.
    """

    error: Exception | None
    request: Any
    failures: int
    asked: float | None = None
    deadline: float = math.inf


def reconnection_flow(run: Run, end: StreamEnd) -> Flow[Any]:
    """Yield the steps between two connections.

    Args:
        run: the request that has ended.
        end: how it has.

    Returns:
        What was taken from the budget, for ``refund_flow``; None for nothing. The budget isn't asked
        after a connection that the server has ended, since that is how streams normally end.

    Raises:
        EventStreamEndedError: too many connections in a row have brought no event.
        GaveUpError: a policy doesn't allow another connection.
        Exception: what broke the connection, if no other may follow.
    """
    try:
        delay = yield from _delay(run, end)
    finally:
        del end  # its error refers to this frame
    yield from waited(run, delay)
    return run.take_withdrawal()


def refund_flow(run: Run, withdrawal: Any) -> Flow[None]:
    """Give back what a connection took that has brought an event, or was never made."""
    if withdrawal is not None:
        run.refund(withdrawal)
        yield from settled(run)


def _delay(run: Run, end: StreamEnd) -> Flow[float]:
    """Return the seconds to wait, or raise what the stream ends with."""
    try:
        decision = _decided(run, end)
        if isinstance(decision, RetryAfter) and end.error is not None:
            run.is_deposited = True  # it was when it was sent
            run.enter_policies()
            if not (yield from withdrawn(run)):
                decision = GiveUp(GiveUpReason.BUDGET)
        if isinstance(decision, GiveUp):
            raise _error_for(run, end, decision)
        log_reconnection(run.record, decision.delay, end.error)
        return decision.delay
    finally:
        del end  # its error refers to this frame


def _decided(run: Run, end: StreamEnd) -> RetryAfter | GiveUp:
    context = run.context
    return decide_reconnect(
        run.policies.retry,
        failures=end.failures,
        max_retries=context.max_retries,
        backoff=context.backoff,
        random=run.random(),
        asked=end.asked,
        remaining=end.deadline - run.now(),
    )


def _error_for(run: Run, end: StreamEnd, decision: GiveUp) -> Exception:
    """Return the error that an event stream ends with."""
    host = name_server(run.record.origin)
    match decision.reason:
        case GiveUpReason.RETRIES:
            return _without_events(run, end)
        case GiveUpReason.RETRY_AFTER:
            asked = format_seconds(end.asked or 0.0)
            text = f"{host} asked to wait for {asked} before connecting again, which is longer than allowed"
            return _gave_up(RetryAfterTooLongError, text, run, end)
        case GiveUpReason.DEADLINE:
            text = f"no time is left before the deadline to connect to {host} again"
            return _gave_up(DeadlineExceededError, text, run, end)
        case _:
            text = f"no other connection to {host}, as too many recent requests were retries"
            return _gave_up(BudgetExhaustedError, text, run, end)


def _without_events(run: Run, end: StreamEnd) -> Exception:
    retries = run.context.max_retries
    said = f"gave up with max_retries={retries}: {end.failures} attempts in a row without an event"
    if end.error is None:
        return EventStreamEndedError(
            f"{run.record.method}: the event stream of {name_server(run.record.origin)} has ended; "
            f"{said}",
            request=end.request,
        )
    end.error.add_note(said)
    return end.error


def _gave_up(kind: type[GaveUpError], text: str, run: Run, end: StreamEnd) -> GaveUpError:
    error = kind(
        f"{run.record.method}: {text}",
        request=end.request or request_of(end.error),
        retry_after=end.asked,
        client=run.client,
    )
    error.history = run.history
    error.__cause__ = end.error
    return error
