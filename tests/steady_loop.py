"""The event loop of the tests: its clock doesn't count the time when the process isn't running.

A busy machine may suspend the tests for longer than the timeout that a test is about. On this loop
such a pause lasts 20 ms, so a timeout expires only after the loop had the time to do
what it had to. Threads and other processes keep real time.
"""

import asyncio
import selectors
import time

__all__ = ["SteadyLoop", "advance"]

_LONGEST_STEP = 0.02
"""The most seconds that the clock counts between two looks at it."""


class _BriefSelector(selectors.DefaultSelector):
    """Returns often enough for the clock to count all the time that is spent waiting."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else min(timeout, _LONGEST_STEP))


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop for tests with real sockets."""

    def __init__(self) -> None:
        self._seen = self._now = time.monotonic()
        super().__init__(_BriefSelector())

    def time(self) -> float:
        """Return the seconds during which the process has been running."""
        seen = time.monotonic()
        self._now += min(seen - self._seen, _LONGEST_STEP)
        self._seen = seen
        return self._now

    def advance(self, seconds: float) -> None:
        """Set the clock forward, as if the loop had been held up for so long."""
        self._now += seconds


def advance(seconds: float) -> None:
    """Set the clock of the running loop forward, so that timeouts expire without any waiting."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteadyLoop)
    loop.advance(seconds)
