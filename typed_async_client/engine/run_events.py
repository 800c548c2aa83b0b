"""The events of one request, in their order."""

from typing import TYPE_CHECKING, Any, Final

from typed_async_client.errors import RejectedError
from typed_async_client.events import CIRCUIT_EVENTS, AsyncEvent, EventType, RetryDetails
from typed_async_client.facts import fault_of
from typed_async_client.policies.classify import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from typed_async_client.attempts import AttemptRecord
    from typed_async_client.context import RequestContext
    from typed_async_client.outcome import Outcome
    from typed_async_client.policies.retry import RetryAfter
    from typed_async_client.policies.transitions import Transition
    from typed_async_client.record import RequestRecord

__all__ = ["RunEvents"]

_SUCCESS: Final = EventType.SUCCESS  # for every request: looking a member up takes time


class RunEvents:
    """The part of a request's state that creates its events."""

    __slots__ = ("_seq",)

    if TYPE_CHECKING:
        attempts: int
        context: RequestContext
        history: tuple[AttemptRecord, ...]
        now: Callable[[], float]
        record: RequestRecord
        started: float
        _seq: int

    def retry_event(self, outcome: "Outcome", decision: "RetryAfter") -> AsyncEvent:
        """Create the event that announces a retry."""
        details = RetryDetails(
            self.attempts, decision.delay, decision.source, outcome.error, outcome.facts.status
        )
        return self.event(EventType.RETRY, details, outcome.error)

    def end_event(self, outcome: "Outcome") -> AsyncEvent:
        """Create the terminal event of a request that wasn't interrupted."""
        if outcome.interruption is not None:
            return self.cancelled_event(outcome.interruption)
        if outcome.error is None:
            return self.event(_SUCCESS, outcome.response)
        return self.failed_event(outcome.error)

    def transition_event(self, transition: "Transition") -> AsyncEvent:
        """Create the event of a circuit that has changed its state because of the request."""
        return self.event(CIRCUIT_EVENTS[transition.state], transition)

    def failed_event(self, error: BaseException) -> AsyncEvent:
        """Create the terminal event of a request that ends with an error, or a cancellation."""
        if not isinstance(error, Exception):
            return self.cancelled_event(error)
        if isinstance(error, RejectedError):
            return self.event(EventType.REJECTED, error=error)
        kind = EventType.TIMEOUT if fault_of(error) is Fault.TIMEOUT else EventType.ERROR
        return self.event(kind, error=error)

    def cancelled_event(self, interruption: BaseException) -> AsyncEvent:
        """Create the terminal event of a request that was cancelled or interrupted."""
        return self.event(EventType.CANCELLED, error=interruption)

    def event(
        self, kind: EventType, data: Any = None, error: BaseException | None = None
    ) -> AsyncEvent:
        """Create the next event of the request."""
        seq = self._seq
        self._seq = seq + 1
        elapsed = self.now() - self.started
        return AsyncEvent.adopt(
            kind, self.context, data, error, seq, self.attempts, elapsed, self.record, self.history
        )
