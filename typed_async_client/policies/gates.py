"""What a gate answers, and the gate that limits how many attempts run at the same time.

Pure: a gate only counts. Whoever asks it keeps those that wait in the order of their arrival, and
asks on behalf of the first of them after each release, so one gate serves tasks and threads alike.
"""

import dataclasses
import enum
import math
from typing import Final, Protocol, TypeVar

from typed_async_client.policies.checks import require_count, require_number
from typed_async_client.policies.hosts import Retention

__all__ = [
    "ConcurrencyGate",
    "Gate",
    "Permit",
    "QueueLimits",
    "Rejected",
    "RejectionReason",
    "Waiter",
]

_WEIGHT: Final = 1 / 8
"""Share of the latest interval in the average, as in TCP's round-trip time (RFC 6298)."""


class RejectionReason(enum.StrEnum):
    """Why an attempt is refused before anything is sent."""

    CIRCUIT_OPEN = enum.auto()  #: too many recent attempts failed or were slow
    CIRCUIT_ISOLATED = enum.auto()  #: the circuit was opened by hand
    QUEUE_FULL = enum.auto()  #: as many others wait already as may
    TOO_LONG = enum.auto()  #: the wait would be longer than ``max_wait``
    DEADLINE = enum.auto()  #: the wait would pass the deadline of the request


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The attempt may not be made.

    Attributes:
        reason: why.
        retry_after: seconds after which another attempt may be admitted; None if unknown.
    """

    reason: RejectionReason
    retry_after: float | None = None


class Permit:
    """The right to make one attempt; it is given back once, however often it is released."""

    __slots__ = ("in_flight", "is_held", "since")

    def __init__(self, in_flight: int, since: float) -> None:
        self.in_flight: int = in_flight
        """How many attempts were running when this one was admitted, itself included."""
        self.since: float = since
        """When it was given, in monotonic seconds."""
        self.is_held: bool = True
        """Whether it hasn't been given back."""


class Waiter:
    """A place in the queue of a gate."""

    __slots__ = ("estimate", "is_waiting", "until")

    def __init__(self, until: float, estimate: float) -> None:
        self.until: float = until
        """When to give up, in monotonic seconds; infinite for never."""
        self.estimate: float = estimate
        """How long the wait will probably be, in seconds; 0 if unknown."""
        self.is_waiting: bool = True
        """Whether it has neither been admitted nor given up."""


PermitT_co = TypeVar("PermitT_co", covariant=True)


class Gate(Protocol[PermitT_co]):
    """What admits attempts, now or later.

    The caller owns the queue. It asks ``admit()`` for a new attempt. If the answer is a
    ``Waiter``, it appends that to the queue, asks ``grant()`` for the first of the queue whenever
    an attempt was reported or released, and when the seconds that ``grant()`` returned are over. A
    waiter that gives up, at ``until`` or because its task was cancelled, must ``leave()``.
    """

    def admit(self, now: float, deadline: float = ...) -> PermitT_co | Waiter | Rejected:
        """Ask for a new attempt.

        Args:
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.
        """

    def grant(self, waiter: Waiter, now: float) -> PermitT_co | float:
        """Ask again for the first in the queue.

        Returns:
            A permit, or the seconds after which to ask again; infinite: after the next release.
        """

    def leave(self, waiter: Waiter) -> None:
        """Give up a place in the queue; nothing happens if it was given up or admitted before."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How many may wait at a gate, and how long.

    Args:
        max_waiting: attempts that may wait, >= 0; None for no limit.
        max_wait: longest wait in seconds, >= 0; None for no limit.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    max_waiting: int | None = None
    max_wait: float | None = None

    def __post_init__(self) -> None:
        if self.max_waiting is not None:
            require_count("max_waiting", self.max_waiting)
        if self.max_wait is not None:
            require_number("max_wait", self.max_wait)

    def admit(
        self, *, waiting: int, estimate: float, now: float, deadline: float
    ) -> Waiter | Rejected:
        """Decide whether one more may wait.

        Args:
            waiting: how many wait already.
            estimate: how long the wait will probably be, in seconds.
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.
        """
        if self.max_waiting is not None and waiting >= self.max_waiting:
            return Rejected(reason=RejectionReason.QUEUE_FULL, retry_after=estimate or None)
        until = deadline if self.max_wait is None else min(deadline, now + self.max_wait)
        if now < until and now + estimate <= until:
            return Waiter(until, estimate)
        reason = RejectionReason.DEADLINE if until == deadline else RejectionReason.TOO_LONG
        return Rejected(reason=reason, retry_after=estimate or None)


class ConcurrencyGate:
    """Admits attempts while fewer than ``limit`` are running.

    Args:
        limit: how many may run at the same time, >= 1.
        queue: how many may wait, and how long.
    """

    __slots__ = ("_changed", "_interval", "_queue", "in_flight", "limit", "waiting")

    def __init__(self, limit: int, queue: QueueLimits) -> None:
        self._queue = queue
        self._interval = 0.0  # seconds between two releases while all permits are wanted
        self._changed = 0.0  # when the last permit was taken, or one was released since
        self.limit: int = limit
        """How many attempts may run at the same time."""
        self.in_flight: int = 0
        """How many are running."""
        self.waiting: int = 0
        """How many wait."""

    def admit(self, now: float, deadline: float = math.inf) -> Permit | Waiter | Rejected:
        """Admit an attempt, or let it wait behind those that arrived before it.

        It is rejected at once if too many wait already, or if its turn would probably come too
        late. The estimate is based on how fast permits were released while all of them were held.

        Args:
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.
        """
        if self.waiting == 0 and self.in_flight < self.limit:
            return self._take(now)
        answer = self._queue.admit(
            waiting=self.waiting, estimate=self.estimate(), now=now, deadline=deadline
        )
        if isinstance(answer, Waiter):
            self.waiting += 1
        return answer

    def grant(self, waiter: Waiter, now: float) -> Permit | float:
        """Admit the first in the queue if a permit is free.

        Args:
            waiter: the first in the queue.
            now: monotonic seconds.

        Returns:
            A permit, or infinity: ask again after the next release.
        """
        if self.in_flight >= self.limit or not waiter.is_waiting:
            return math.inf
        self.leave(waiter)
        return self._take(now)

    def leave(self, waiter: Waiter) -> None:
        """Give up a place in the queue; nothing happens if it was given up or admitted before."""
        if waiter.is_waiting:
            waiter.is_waiting = False
            self.waiting -= 1

    def release(self, permit: Permit, now: float) -> None:
        """Give a permit back; nothing happens if it was given back before.

        Args:
            permit: what admitted the attempt, which has ended, its response body included.
            now: monotonic seconds.
        """
        if not permit.is_held:
            return
        permit.is_held = False
        if self.in_flight + self.waiting >= self.limit:
            self._measure(now)
        self.in_flight -= 1

    def estimate(self) -> float:
        """Return how long an attempt that arrives now will probably wait, in seconds."""
        if self.waiting == 0 and self.in_flight < self.limit:
            return 0.0
        return (self.waiting + 1) * self._interval

    def retention(self, now: float) -> Retention:  # noqa: ARG002 - other states need the time
        """Return how much would be lost if the gate were forgotten."""
        return Retention.REQUIRED if self.in_flight or self.waiting else Retention.DISPOSABLE

    def _take(self, now: float) -> Permit:
        self.in_flight += 1
        if self.in_flight >= self.limit:
            self._changed = now
        return Permit(self.in_flight, now)

    def _measure(self, now: float) -> None:
        """Measure how long it took to release a permit while all of them were wanted."""
        interval = now - self._changed
        weight = _WEIGHT if self._interval else 1
        self._interval += (interval - self._interval) * weight
        self._changed = now
