"""How many attempts may begin per second.

Pure: the time is an argument. The algorithm is GCRA, ITU-T I.371: a token bucket that needs no timer
and stores one instant. Its arithmetic is exact, so no rate drifts, however long a client runs.
"""

import dataclasses
import math
from fractions import Fraction
from typing import Final

from typed_async_client.policies.checks import require_count, require_number, require_one_of
from typed_async_client.policies.gates import QueueLimits, Rejected, Waiter
from typed_async_client.policies.hosts import Retention, Scope

__all__ = ["RateGate", "RateLimit", "Slot"]

_NANOSECONDS: Final = 1_000_000_000
_TOLERANCE: Final = 1_000
"""Nanoseconds that an attempt may begin early, since timers and floats are no more precise.

They are no gain: the next attempt still begins a whole interval after the exact instant.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class RateLimit:
    """Limit how many attempts begin in a period of time.

    In any ``t`` seconds at most ``burst + t * rate / per`` attempts begin. With a ``burst`` of 1
    they are evenly spaced. Those that wait are served in the order of their arrival. One is
    rejected at once, and nothing is sent, if its turn would come after its deadline.

    Args:
        rate: attempts per period, from 1e-9 to 1e9.
        per: length of the period in seconds, from 1e-9 to 1e9.
        burst: attempts that may begin at once after a time without any, >= 1.
        max_waiting: attempts that may wait, >= 0; None for no limit.
        max_wait: longest wait in seconds, >= 0; None for no limit but the deadline.
        scope: ``"host"`` to limit each host by itself, ``"client"`` to limit all of them together.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> gate = RateLimit(rate=600, per=60).start()
        >>> slot = gate.admit(now=5.0)
        >>> gate.admit(now=5.0).estimate
        0.1
    """

    rate: float
    _: dataclasses.KW_ONLY
    per: float = 1.0
    burst: int = 1
    max_waiting: int | None = None
    max_wait: float | None = None
    scope: Scope = "host"

    def __post_init__(self) -> None:
        require_number("rate", self.rate, at_least=1e-9, at_most=1e9)
        require_number("per", self.per, at_least=1e-9, at_most=1e9)
        require_count("burst", self.burst, at_least=1)
        QueueLimits(max_waiting=self.max_waiting, max_wait=self.max_wait)
        require_one_of("scope", self.scope, ("client", "host"))

    def start(self) -> "RateGate":
        """Return the gate of a host, or of the whole client."""
        return RateGate(self)


class Slot:
    """The right to begin one attempt now."""

    __slots__ = ("after", "before", "is_released")

    def __init__(self, before: int, after: int) -> None:
        self.before: int = before
        """When the burst would be full again without it, in ticks of the gate."""
        self.after: int = after
        """When the burst is full again, in ticks of the gate."""
        self.is_released: bool = False
        """Whether it was given back."""


class RateGate:
    """Admits attempts at a rate. It is a ``Gate``, except that only unused slots are released.

    Args:
        options: what the gate obeys.
    """

    __slots__ = ("_allowance", "_full_at", "_interval", "_queue", "_scale", "_tolerance", "waiting")

    def __init__(self, options: RateLimit) -> None:
        # A tick is the fraction of a nanosecond that makes the interval a whole number of them.
        interval = _exact(options.per) / _exact(options.rate) * _NANOSECONDS
        self._interval, self._scale = interval.as_integer_ratio()
        self._tolerance = _TOLERANCE * self._scale
        self._allowance = (options.burst - 1) * self._interval
        self._queue = QueueLimits(max_waiting=options.max_waiting, max_wait=options.max_wait)
        self._full_at = 0  # the tick at which the burst is full again
        self.waiting: int = 0
        """How many attempts wait."""

    def admit(self, now: float, deadline: float = math.inf) -> Slot | Waiter | Rejected:
        """Admit an attempt, or let it wait behind those that arrived before it.

        Args:
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.

        Returns:
            A slot, which is used up unless it is released; a waiter, which must ``leave()`` if it
            gives up; or why the attempt may not be made, which uses nothing up.
        """
        ticks = self._ticks(now)
        early = self._early(ticks, ahead=self.waiting)
        if early <= self._tolerance and self.waiting == 0:
            return self._take(ticks)
        answer = self._queue.admit(
            waiting=self.waiting, estimate=self._seconds(early), now=now, deadline=deadline
        )
        if isinstance(answer, Waiter):
            self.waiting += 1
        return answer

    def grant(self, waiter: Waiter, now: float) -> Slot | float:
        """Admit the first in the queue if it is its turn.

        Args:
            waiter: the first in the queue.
            now: monotonic seconds.

        Returns:
            A slot, or the seconds after which to ask again; infinite if it doesn't wait any more.
        """
        if not waiter.is_waiting:
            return math.inf
        ticks = self._ticks(now)
        early = self._early(ticks, ahead=0)
        if early > self._tolerance:
            return self._seconds(early)
        self.leave(waiter)
        return self._take(ticks)

    def leave(self, waiter: Waiter) -> None:
        """Give up a place in the queue, so that those behind it are served earlier.

        Nothing happens if it was given up or admitted before.
        """
        if waiter.is_waiting:
            waiter.is_waiting = False
            self.waiting -= 1

    def release(self, slot: Slot, now: float) -> bool:  # noqa: ARG002 - other gates need the time
        """Give back a slot that wasn't used, because another policy refused the attempt.

        Only the latest slot can be given back: how many may begin at a later time depends on those
        before. Give it back, therefore, before anybody else is admitted.

        Returns:
            Whether it was given back; if not, or if it was before, nothing happens.
        """
        if slot.is_released or self._full_at != slot.after:
            return False
        slot.is_released = True
        self._full_at = slot.before
        return True

    def estimate(self, now: float) -> float:
        """Return how long an attempt that arrives at ``now`` waits if nobody gives up, in seconds."""
        return self._seconds(self._early(self._ticks(now), ahead=self.waiting))

    def retention(self, now: float) -> Retention:
        """Return how much would be lost if the gate were forgotten."""
        if self.waiting:
            return Retention.REQUIRED
        is_like_new = self._full_at <= self._ticks(now)
        return Retention.DISPOSABLE if is_like_new else Retention.USEFUL

    def _early(self, ticks: int, *, ahead: int) -> int:
        """Return the ticks until an attempt may begin that has others ahead of it."""
        full_at = max(self._full_at, ticks)
        return full_at + ahead * self._interval - self._allowance - ticks

    def _take(self, ticks: int) -> Slot:
        before = self._full_at
        self._full_at = max(before, ticks) + self._interval
        return Slot(before, self._full_at)

    def _seconds(self, ticks: int) -> float:
        return ticks / (self._scale * _NANOSECONDS) if ticks > self._tolerance else 0.0

    def _ticks(self, now: float) -> int:
        return round(now * _NANOSECONDS) * self._scale


def _exact(value: float) -> Fraction:
    """Return the number that the caller wrote: 0.1 is a tenth, not the nearest binary fraction."""
    return Fraction(str(value))
