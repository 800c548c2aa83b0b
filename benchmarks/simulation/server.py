"""A simulated server: workers that take requests from a queue, first come, first served."""

import heapq
import math
from collections.abc import Callable
from functools import partial

from simulation.clock import Clock, Reply

__all__ = ["Server"]


REFUSAL = 0.005
"""Seconds until a client knows that it was refused."""


class Server:
    """Answers 200, or 503 if its queue is too long, or nothing while it can't be reached.

    It doesn't notice that a client has stopped waiting: the work is done all the same.

    Args:
        clock: the virtual clock.
        workers: requests that it works on at the same time.
        longest_queue: seconds of waiting above which a request is refused.
        is_down: whether it can't be reached at a time.
    """

    def __init__(
        self,
        clock: Clock,
        workers: int,
        *,
        longest_queue: float = math.inf,
        is_down: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self._clock = clock
        self._free_at = [0.0] * workers
        self._longest_queue = longest_queue
        self._is_down = is_down

    def send(self, service: float) -> Reply[int]:
        """Receive a request that keeps a worker busy for so many seconds; reply with a status."""
        reply: Reply[int] = Reply()
        now = self._clock.now
        start = max(now, self._free_at[0])
        if self._is_down(now):
            return reply
        if start - now > self._longest_queue:
            self._clock.at(now + REFUSAL, partial(reply.set, 503))
        else:
            heapq.heapreplace(self._free_at, start + service)
            self._clock.at(start + service, partial(reply.set, 200))
        return reply
