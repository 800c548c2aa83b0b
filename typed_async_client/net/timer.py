"""How long a stream waits: one timer for all its waits in one direction.

To set a timer for each wait and to cancel it costs more than most waits themselves. This one is left
to run from wait to wait, and asks only when it rings whether somebody has waited long enough.
"""

import asyncio
from collections.abc import Callable

import httpcore

__all__ = ["WaitTimer"]


class WaitTimer:
    """Bounds waits, of which one runs at a time."""

    __slots__ = ("_due", "_expired", "_rings_at", "_timer", "_waiter")

    def __init__(self) -> None:
        self._due: float = 0.0
        self._expired: Callable[[str], Exception] = TimeoutError
        self._rings_at: float = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    def bound(
        self,
        waiter: "asyncio.Future[None]",
        timeout: float | None,
        expired: Callable[[str], httpcore.TimeoutException],
    ) -> "asyncio.Future[None]":
        """Give a future to await; what has come counts even when a stalled loop sees it late.

        Args:
            waiter: what to wait for.
            timeout: seconds; None is no limit.
            expired: makes the error of a wait that takes longer.
        """
        if timeout is not None:
            self._expired = expired
            self._watch(waiter, timeout)
        return waiter

    def stop(self) -> None:
        """Let the timer go, when nobody will wait any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, waiter: "asyncio.Future[None]", timeout: float) -> None:
        loop = waiter.get_loop()
        self._waiter = waiter
        self._due = loop.time() + timeout
        if self._timer is None or self._rings_at > self._due:
            self.stop()
            self._set(loop)

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self._rings_at = self._due
        self._timer = loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        waiter, self._timer = self._waiter, None
        if waiter is None or waiter.done():
            return
        loop = waiter.get_loop()
        if loop.time() < self._due:
            self._set(loop)
        else:
            waiter.set_exception(self._expired(""))
