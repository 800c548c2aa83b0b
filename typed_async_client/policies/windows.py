"""Rolling counts of attempts, of their failures and of the slow ones.

Pure: the time is an argument. Recording and reading take constant time and memory.
"""

from typing import Final, Protocol

__all__ = ["BUCKETS", "CountWindow", "TimeWindow", "Window"]

BUCKETS: Final = 10
"""Parts that a window of time consists of; it moves on by one of them at a time."""

_FAILED: Final = 1
"""The bit of a failure in the ring; the next one is that of a slow attempt."""


class Window(Protocol):
    """What a circuit needs of a window."""

    calls: int
    failures: int
    slow: int

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count an attempt, and stop counting those that have left the window."""

    def advance(self, now: float) -> None:
        """Stop counting the attempts that have left the window."""


class CountWindow:
    """Counts over the last ``size`` attempts."""

    __slots__ = ("_next", "_ring", "calls", "failures", "slow")

    def __init__(self, size: int) -> None:
        self._ring = bytearray(size)
        self._next = 0
        self.calls: int = 0
        """How many attempts are counted."""
        self.failures: int = 0
        """How many of them failed."""
        self.slow: int = 0
        """How many of them were slow."""

    def record(self, now: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 - TimeWindow's needs the time
        """Count an attempt in the place of the oldest one."""
        ring, place = self._ring, self._next
        if self.calls == len(ring):
            oldest = ring[place]
            self.failures -= oldest & _FAILED
            self.slow -= oldest >> 1
        else:
            self.calls += 1
        ring[place] = failed | slow << 1
        self._next = (place + 1) % len(ring)
        self.failures += failed
        self.slow += slow

    def advance(self, now: float) -> None:
        """Do nothing: only later attempts push earlier ones out."""


class TimeWindow:
    """Counts over the last ``seconds``, in ``BUCKETS`` parts.

    An attempt is counted for at least nine tenths of the time, and at most for all of it.
    """

    __slots__ = ("_begin", "_buckets", "_current", "_step", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._step = seconds / BUCKETS
        self._begin = 0.0  # of the current bucket
        self._buckets = [[0, 0, 0] for _ in range(BUCKETS)]
        self._current = 0
        self.calls: int = 0
        """How many attempts are counted."""
        self.failures: int = 0
        """How many of them failed."""
        self.slow: int = 0
        """How many of them were slow."""

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count an attempt, and stop counting those that have left the window.

        A time before that of an earlier attempt counts as that one's.
        """
        self.advance(now)
        bucket = self._buckets[self._current]
        bucket[0] += 1
        self.calls += 1
        if failed:
            bucket[1] += 1
            self.failures += 1
        if slow:
            bucket[2] += 1
            self.slow += 1

    def advance(self, now: float) -> None:
        """Empty the parts that have left the window."""
        elapsed = now - self._begin
        if elapsed < self._step:
            return
        steps = int(elapsed // self._step)
        self._begin += steps * self._step
        for _ in range(min(steps, BUCKETS)):
            self._current = (self._current + 1) % BUCKETS
            bucket = self._buckets[self._current]
            self.calls -= bucket[0]
            self.failures -= bucket[1]
            self.slow -= bucket[2]
            bucket[:] = 0, 0, 0
