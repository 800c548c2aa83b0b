"""The event loop of the tests, whose clock doesn't count time when the process isn't running.

A busy machine may suspend the tests for longer than the timeout that a test is about. On this loop
such a pause lasts 20 ms, so a timeout expires only after the loop had time to do its work.
Threads and other processes run in real time.
"""

import asyncio
import selectors
import time

__all__ = ["SteadyLoop", "advance", "pass_time"]

_LONGEST_STEP = 0.02
"""The clock advances by at most this many seconds between two readings."""


class _BriefSelector(selectors.DefaultSelector):
    """Returns often enough for the clock to count all the time spent waiting."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else min(timeout, _LONGEST_STEP))


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop for tests with real sockets."""

    def __init__(self) -> None:
        self._last_reading = self._now = time.monotonic()
        super().__init__(_BriefSelector())

    def time(self) -> float:
        """Return the seconds during which the process has been running."""
        reading = time.monotonic()
        self._now += min(reading - self._last_reading, _LONGEST_STEP)
        self._last_reading = reading
        return self._now

    def advance(self, seconds: float) -> None:
        """Set the clock forward, as if the loop had been blocked for that long."""
        self._now += seconds


def advance(seconds: float) -> None:
    """Set the clock of the running loop forward, so that timeouts expire without any waiting."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteadyLoop)
    loop.advance(seconds)


async def pass_time(seconds: float) -> None:
    """Let time pass while the loop runs: timeouts expire, which a loop that is blocked extends."""
    for _ in range(2):
        advance(seconds)
        for _ in range(10):
            await asyncio.sleep(0)
