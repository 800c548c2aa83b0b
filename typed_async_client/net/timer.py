"""Bounds the waits of a stream, with one timer for all waits in one direction.

Setting a timer for each wait, and cancelling it afterwards, costs more than most waits themselves.
This timer is left running from one wait to the next. Only when it fires does it check whether the
current wait has exceeded its timeout.
"""

import asyncio
from collections.abc import Callable

import httpcore

from typed_async_client.net.deadline import TURNS
from typed_async_client.wording import describe_timeout

__all__ = ["TimerReserve", "WaitTimer"]


class WaitTimer:
    """Applies a timeout to each of many waits, one at a time."""

    __slots__ = (
        "_deadline",
        "_fires_at",
        "_is_extended",
        "_make_error",
        "_timeout",
        "_timer",
        "_waiter",
    )

    def __init__(self) -> None:
        self._deadline: float = 0.0
        self._fires_at: float = 0.0
        self._is_extended: bool = False
        self._make_error: Callable[[str], Exception] = TimeoutError
        self._timeout: float = 0.0
        self._timer: asyncio.Handle | None = None
        self._waiter: asyncio.Future[None] | None = None

    def limit(
        self,
        waiter: "asyncio.Future[None]",
        timeout: float | None,
        make_error: Callable[[str], httpcore.TimeoutException],
    ) -> "asyncio.Future[None]":
        """Return the future to await.

        If the event loop is blocked past the timeout, data that arrived meanwhile still counts, and
        the timeout is extended as by ``Deadline``.

        Args:
            waiter: the future that the caller waits for.
            timeout: seconds; None is no limit.
            make_error: makes the exception that is raised when the timeout expires.
        """
        if timeout is not None:
            self._make_error = make_error
            self._watch(waiter, timeout)
        return waiter

    def stop(self) -> None:
        """Cancel the timer, once no more waits follow."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiter = None  # its error may refer back to the stream

    def rest(self) -> None:
        """Forget the last wait; the timer is left running for later ones."""
        self._make_error = TimeoutError
        self._waiter = None

    def _watch(self, waiter: "asyncio.Future[None]", timeout: float) -> None:
        loop = waiter.get_loop()
        self._deadline = loop.time() + timeout
        self._timeout = timeout
        self._is_extended = False
        if self._timer is None or self._fires_at > self._deadline:
            self.stop()
            self._schedule(loop)
        self._waiter = waiter

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._fires_at = self._deadline
        self._timer = loop.call_at(self._deadline, self._fire)

    def _fire(self, turns: int = TURNS) -> None:
        waiter, self._timer = self._waiter, None
        if waiter is None or waiter.done():
            return
        loop = waiter.get_loop()
        late = loop.time() - self._deadline
        if late < 0:  # it was set for an earlier wait
            self._schedule(loop)
        elif not self._is_extended:
            self._is_extended = True
            self._deadline += late + min(late, self._timeout)
            self._schedule(loop)
        elif turns:
            self._timer = loop.call_soon(self._fire, turns - 1)
        else:
            self._waiter = None
            waiter.set_exception(self._make_error(describe_timeout(self._timeout)))


class TimerReserve:
    """Keeps timers running between the waits of many exchanges, of which some wait at the same time."""

    def __init__(self) -> None:
        self._is_stopped = False
        self._timers: list[WaitTimer] = []

    def take(self) -> WaitTimer:
        """Return a timer that nobody uses."""
        return self._timers.pop() if self._timers else WaitTimer()

    def give_back(self, timer: WaitTimer) -> None:
        """Keep a timer that isn't used any more."""
        if self._is_stopped:
            timer.stop()
        else:
            timer.rest()
            self._timers.append(timer)

    def stop(self) -> None:
        """Cancel the timers, now and as they are given back, once no more waits follow."""
        self._is_stopped = True
        for timer in self._timers:
            timer.stop()
        self._timers.clear()
