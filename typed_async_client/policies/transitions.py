"""The states of a circuit, the changes between them, and the tickets of admitted attempts."""

import dataclasses
import enum

__all__ = ["CircuitState", "Ticket", "Transition", "TransitionReason"]


class CircuitState(enum.StrEnum):
    """Whether attempts are admitted."""

    CLOSED = enum.auto()  #: all of them
    OPEN = enum.auto()  #: none, until the break is over
    HALF_OPEN = enum.auto()  #: a few, whose outcomes decide what follows
    ISOLATED = enum.auto()  #: none, until the circuit is closed by hand


class TransitionReason(enum.StrEnum):
    """Why a circuit changed its state."""

    FAILURE_RATE = enum.auto()  #: too many attempts, or probes, failed
    SLOW_RATE = enum.auto()  #: too many of them were slow
    BREAK_OVER = enum.auto()  #: the break is over, so probes are sent
    PROBES_PASSED = enum.auto()  #: enough probes succeeded in time
    MANUAL = enum.auto()  #: ``isolate()`` or ``close()`` was called


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of a circuit's state.

    Attributes:
        state: the new state.
        previous: the state before.
        reason: why it changed.
        calls: how many attempts, or probes, were counted in the state before.
        failure_rate: the share of them that failed.
        slow_rate: the share of them that were slow.
        retry_after: seconds for which the circuit stays open; None if that isn't known, or it isn't
            open.
    """

    state: CircuitState
    previous: CircuitState
    reason: TransitionReason
    calls: int
    failure_rate: float
    slow_rate: float
    retry_after: float | None = None


class Ticket:
    """The admission of one attempt, to be reported once; further reports do nothing."""

    __slots__ = ("epoch", "is_probe", "is_reported", "transition")

    def __init__(
        self, epoch: int, *, is_probe: bool = False, transition: Transition | None = None
    ) -> None:
        self.epoch: int = epoch
        """Number of the circuit's state; a report about an earlier state doesn't count."""
        self.is_probe: bool = is_probe
        """Whether the outcome decides if the circuit closes; such an attempt needs no copies."""
        self.transition: Transition | None = transition
        """The transition that the admission caused, to be published; None if it caused none."""
        self.is_reported: bool = False
        """Whether the attempt has been reported."""
