"""The slots of a rate limit for attempts that keep no queue together, such as several processes'.

Pure: the time is an argument. The arithmetic is that of ``rate_limit.py``. Each attempt is told its
turn at once, so nobody is served earlier if another gives up, and nobody has to ask again.
"""

import math

from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.rate_limit import RateGate

__all__ = ["ReservedSlot", "SlotBook"]


class ReservedSlot:
    """The right to begin one attempt, now or later."""

    __slots__ = ("after", "before", "is_cancelled", "wait")

    def __init__(self, *, wait: float, before: int, after: int) -> None:
        self.wait: float = wait
        """Seconds until the attempt may begin; 0 for now."""
        self.before: int = before
        """When the burst would be full again without it, in ticks of the gate."""
        self.after: int = after
        """When the burst is full again, in ticks of the gate."""
        self.is_cancelled: bool = False
        """Whether it was given back."""


class SlotBook(RateGate):
    """A gate whose slots are reserved; it is only asked to ``reserve()``, never to ``admit()``.

    Args:
        options: what it obeys; ``max_waiting`` counts the slots that haven't begun.

    Example:
        >>> book = SlotBook(RateLimit(rate=4))
        >>> [book.reserve(now=1.0).wait for _ in range(3)]
        [0.0, 0.25, 0.5]
    """

    __slots__ = ()

    def reserve(self, now: float, deadline: float = math.inf) -> ReservedSlot | Rejected:
        """Take the next slot, even if it begins later.

        Args:
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.

        Returns:
            The slot, whose ``wait`` must pass before the attempt begins; or why the attempt may not
            be made, which uses nothing up.
        """
        ticks = self._ticks(now)
        early = self._early(ticks, ahead=0)
        wait = self._seconds(early)
        if wait:
            waiting = -(-(early - self._tolerance) // self._interval) - 1
            answer = self._queue.admit(waiting=waiting, estimate=wait, now=now, deadline=deadline)
            if isinstance(answer, Rejected):
                return answer
        before = self._full_at
        self._take(ticks)
        return ReservedSlot(wait=wait, before=before, after=self._full_at)

    def give_back(self, slot: ReservedSlot) -> bool:
        """Give back a slot that isn't used.

        Only the latest can be given back: those after it were promised to others. Any other is
        lost, so that fewer attempts begin, never more.

        Returns:
            Whether it was given back; if not, or if it was before, nothing happens.
        """
        if slot.is_cancelled or self._full_at != slot.after:
            return False
        slot.is_cancelled = True
        self._full_at = slot.before
        return True
