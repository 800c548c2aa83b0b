"""The events of one request: which kind tells what has happened, and with which details."""

import abc
from typing import Any

from typed_async_client.errors import RejectedError
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.facts import fault_of
from typed_async_client.outcome import Outcome
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.retry import RetryAfter
from typed_async_client.policies.transitions import CircuitState, Transition

__all__ = ["CIRCUIT_EVENTS", "Announcing"]

CIRCUIT_EVENTS = {
    CircuitState.OPEN: EventType.CIRCUIT_OPENED,
    CircuitState.HALF_OPEN: EventType.CIRCUIT_HALF_OPEN,
    CircuitState.CLOSED: EventType.CIRCUIT_CLOSED,
    CircuitState.ISOLATED: EventType.CIRCUIT_OPENED,
}
"""What the event of a circuit that has changed its state is called, by its new state."""


class Announcing(abc.ABC):
    """The part of the state of a request that creates its events.

    Attributes:
        attempts: attempts started so far.
    """

    __slots__ = ()

    attempts: int

    @abc.abstractmethod
    def event(
        self, kind: EventType, data: Any = None, error: BaseException | None = None
    ) -> AsyncEvent:
        """Create the next event of the request."""

    def retry_event(self, outcome: Outcome, decision: RetryAfter) -> AsyncEvent:
        """Create the event that announces a retry."""
        details = RetryDetails(
            self.attempts, decision.delay, decision.source, outcome.error, outcome.facts.status
        )
        return self.event(EventType.RETRY, details, outcome.error)

    def end_event(self, outcome: Outcome) -> AsyncEvent:
        """Create the terminal event of a request that wasn't interrupted."""
        if outcome.interruption is not None:
            return self.cancelled_event(outcome.interruption)
        if outcome.error is None:
            return self.event(EventType.SUCCESS, outcome.response)
        return self.failed_event(outcome.error)

    def transition_event(self, transition: Transition) -> AsyncEvent:
        """Create the event of a circuit that has changed its state because of the request."""
        return self.event(CIRCUIT_EVENTS[transition.state], transition)

    def failed_event(self, error: Exception) -> AsyncEvent:
        """Create the terminal event of a request that ends with an error."""
        if isinstance(error, RejectedError):
            return self.event(EventType.REJECTED, error=error)
        kind = EventType.TIMEOUT if fault_of(error) is Fault.TIMEOUT else EventType.ERROR
        return self.event(kind, error=error)

    def interrupted_event(self, error: BaseException) -> AsyncEvent:
        """Create the terminal event of a request that ends with an exception."""
        if isinstance(error, Exception):
            return self.failed_event(error)
        return self.cancelled_event(error)

    def cancelled_event(self, interruption: BaseException) -> AsyncEvent:
        """Create the terminal event of a request that was cancelled or interrupted."""
        return self.event(EventType.CANCELLED, error=interruption)
