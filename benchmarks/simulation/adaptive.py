"""A client with more work than its server can do, and the limit that it learns."""

import dataclasses
import math
from collections import deque
from functools import partial
from random import Random

from simulation.clock import Clock, Process, Reply, Wait
from simulation.retrying import answered
from simulation.server import Server
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.gates import Permit, Waiter
from typed_async_client.policies.health import health_of

__all__ = ["WORKERS", "Learning", "run_adaptive"]

WORKERS = 50
"""Requests that the server works on at the same time; more of them make nothing faster."""
TASKS = 250
"""Tasks of the client, each of which sends its next request as soon as it has a response."""
MEAN = 0.1
"""Of the exponential time that a request keeps a worker busy, in seconds."""
OK = 200


@dataclasses.dataclass(slots=True)
class Learning:
    """What happened.

    Attributes:
        limits: the limit at the end of each second.
        succeeded: responses with status 200.
        refused: responses with status 503.
        waited: seconds that the former took in all.
    """

    limits: list[int]
    succeeded: int = 0
    refused: int = 0
    waited: float = 0.0

    def settled_limit(self, begin: int) -> float:
        """Return the average limit from a second on."""
        limits = self.limits[begin:]
        return sum(limits) / len(limits)


class _Simulation:
    """The client, whose tasks wait at a gate, and its server."""

    def __init__(self, options: AdaptiveLimit, longest_queue: float, seed: int) -> None:
        self.clock = Clock()
        self.result = Learning([])
        self._random = Random(seed)
        self._server = Server(self.clock, WORKERS, longest_queue=longest_queue)
        self._gate = options.start()
        self._queue: deque[tuple[Waiter, Reply[Permit]]] = deque()

    def work(self) -> Process[None]:
        """Send one request after the other."""
        while True:
            permit = yield from self._admitted()
            begun = self.clock.now
            reply = self._server.send(-MEAN * math.log(1 - self._random.random()))
            yield Wait(reply=reply)
            status = reply.value or 0
            duration = self.clock.now - begun
            health = health_of(answered(status))
            self._gate.report(permit, health, duration=duration, now=self.clock.now)
            self._gate.release(permit, self.clock.now)
            self._grant()
            self._count(status, duration)

    def watch(self) -> Process[None]:
        """Note the limit each second."""
        while True:
            yield Wait(1.0)
            self.result.limits.append(self._gate.limit)

    def _admitted(self) -> Process[Permit]:
        """Wait for a permit; the queue has no limits."""
        answer = self._gate.admit(self.clock.now)
        granted: Reply[Permit] = Reply()
        if isinstance(answer, Waiter):
            self._queue.append((answer, granted))
            yield Wait(reply=granted)
            answer = granted.value or answer
        if isinstance(answer, Permit):
            return answer
        raise RuntimeError(f"no permit, but {answer!r}")

    def _grant(self) -> None:
        """Admit those that wait, first come, first served."""
        while self._queue:
            waiter, granted = self._queue[0]
            answer = self._gate.grant(waiter, self.clock.now)
            if not isinstance(answer, Permit):
                return
            self._queue.popleft()
            self.clock.at(self.clock.now, partial(granted.set, answer))

    def _count(self, status: int, duration: float) -> None:
        if status == OK:
            self.result.succeeded += 1
            self.result.waited += duration
        else:
            self.result.refused += 1


def run_adaptive(
    options: AdaptiveLimit | None,
    *,
    longest_queue: float = math.inf,
    seconds: float = 180.0,
    seed: int = 1,
) -> Learning:
    """Send as much as the limit allows to a server that refuses whatever would wait too long.

    Args:
        options: how the limit is learnt; None for all tasks at the same time.
        longest_queue: seconds of waiting above which the server answers 503.
        seconds: how long the client has work.
        seed: of the random numbers.
    """
    if options is None:
        options = AdaptiveLimit(initial=TASKS, min_limit=TASKS, max_limit=TASKS)
    simulation = _Simulation(options, longest_queue, seed)
    simulation.clock.start(simulation.watch())
    for _ in range(TASKS):
        simulation.clock.start(simulation.work())
    simulation.clock.run(seconds)
    return simulation.result
