"""Hedged requests: copies of the few that take long, and what they do for the slowest."""

import dataclasses
import math
from random import Random

from simulation.clock import Clock, Process, Reply, Wait
from simulation.server import Server
from typed_async_client.policies.hedge import Hedge

__all__ = ["Hedging", "run_hedging"]

RATE = 1000
"""Requests per second."""
REPLICAS, WORKERS = 10, 8
"""Any of the replicas can answer; together they are busy for about a third of the time."""
MEDIAN, SPREAD = 0.010, 0.4
"""Of the log-normal time that a request keeps a worker busy, in seconds."""
STALLED = 0.01
"""Share of the attempts that are held up: by a garbage collection, a cold cache, a lost packet."""
SHORTEST_STALL, LONGEST_STALL = 0.1, 1.0


@dataclasses.dataclass(slots=True)
class Hedging:
    """What happened.

    Attributes:
        durations: how long each request took in seconds, in order.
        sent: attempts, copies included.
        busy: seconds that the workers worked.
    """

    durations: list[float]
    sent: int = 0
    busy: float = 0.0

    def percentile(self, percent: float) -> float:
        """Return the shortest duration within which so many percent of the requests ended."""
        return self.durations[math.ceil(len(self.durations) * percent / 100) - 1]


def run_hedging(hedge: Hedge | None, *, requests: int = 20_000, seed: int = 1) -> Hedging:
    """Send requests to replicas, and copies of them as the policy decides."""
    clock, random, result = Clock(), Random(seed), Hedging([])
    replicas = [Server(clock, WORKERS) for _ in range(REPLICAS)]
    state = None if hedge is None else hedge.start()

    def attempt(answer: Reply[int]) -> Process[None]:
        """Send an attempt to one of the replicas, which answers it even if it comes too late."""
        result.sent += 1
        service = _service_time(random)
        result.busy += service
        reply = replicas[int(random.random() * REPLICAS)].send(service)
        yield Wait(reply=reply)
        answer.set(200)

    def request() -> Process[None]:
        answer: Reply[int] = Reply()
        clock.start(attempt(answer))
        sent = [clock.now]
        plan = None if state is None else state.plan(idempotent=True, replayable=True)
        due = None if plan is None else plan.next_copy(last_sent=clock.now, copies=0)
        while plan is not None and due is not None:
            yield Wait(due - clock.now, answer)
            if answer.value is not None or state is None or not state.spend():
                break
            clock.start(attempt(answer))
            sent.append(clock.now)
            due = plan.next_copy(last_sent=clock.now, copies=len(sent) - 1)
        yield Wait(reply=answer)
        result.durations.append(clock.now - sent[0])
        if state is not None:
            for each in sent:  # the attempts that are cancelled now took at least that long
                state.record(clock.now - each)

    now = 0.0
    for _ in range(requests):
        clock.start(request(), at=now)
        now -= math.log(1 - random.random()) / RATE
    clock.run()
    result.durations.sort()
    return result


def _service_time(random: Random) -> float:
    """Return a log-normal time, or a long one."""
    if random.random() < STALLED:
        return SHORTEST_STALL + (LONGEST_STALL - SHORTEST_STALL) * random.random()
    radius = math.sqrt(-2 * math.log(1 - random.random()))
    return MEDIAN * math.exp(SPREAD * radius * math.cos(2 * math.pi * random.random()))
