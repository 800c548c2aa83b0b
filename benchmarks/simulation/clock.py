"""A virtual clock that jumps from one event to the next, and the processes that wait for it.

A process is a generator that yields a ``Wait`` for each of its waits. Events that are due at the
same time run in the order in which they were scheduled, so every run of a simulation is the same.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Generator
from functools import partial
from typing import Generic, TypeVar

__all__ = ["Clock", "Process", "Reply", "Wait"]

T = TypeVar("T")


class Reply(Generic[T]):
    """A value that a process waits for. Only the first one counts."""

    __slots__ = ("value", "waiter")

    def __init__(self) -> None:
        self.value: T | None = None
        """None until there is one."""
        self.waiter: Callable[[], None] | None = None
        """Continues the process that waits."""

    def set(self, value: T) -> None:
        """Continue the process that waits for the value."""
        if self.value is None:
            self.value = value
            if self.waiter is not None:
                self.waiter()


class Wait:
    """What a process yields: continue after ``seconds``, or as soon as there is a reply."""

    __slots__ = ("reply", "seconds")

    def __init__(self, seconds: float = math.inf, reply: Reply[T] | None = None) -> None:
        self.seconds = seconds
        self.reply = reply


Process = Generator[Wait, None, T]
"""A generator that yields its waits, and returns a value of type ``T``."""


class Clock:
    """Runs events in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since the simulation began."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Schedule an event."""
        heapq.heappush(self._events, (time, next(self._order), event))

    def start(self, process: Process[None], *, at: float | None = None) -> None:
        """Schedule the beginning of a process, now or later."""
        running = _Running(self, process)
        self.at(self.now if at is None else at, partial(running.resume, 0))

    def run(self, until: float = math.inf) -> None:
        """Run the events that are due by then, or all of them."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()


class _Running:
    """A process that has begun."""

    __slots__ = ("_clock", "_process", "_waits")

    def __init__(self, clock: Clock, process: Process[None]) -> None:
        self._clock = clock
        self._process = process
        self._waits = 0

    def resume(self, number: int) -> None:
        """Continue after a wait, given its number, unless the process has already continued."""
        if number != self._waits:
            return
        self._waits += 1
        wait = next(self._process, None)
        while wait is not None and wait.reply is not None and wait.reply.value is not None:
            wait = next(self._process, None)  # it is there already
        if wait is None:
            return
        wake = partial(self.resume, self._waits)
        if wait.reply is not None:
            wait.reply.waiter = wake
        if wait.seconds < math.inf:
            self._clock.at(self._clock.now + wait.seconds, wake)
