"""Clients that update the same item at once, with each kind of jitter.

The experiment of M. Brooker's "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: each
client reads the item and writes it back, which fails if another has written it meanwhile.
"""

import dataclasses
import math
from random import Random

from simulation.clock import Clock, Process, Wait
from simulation.retrying import Client, answered
from typed_async_client.policies.facts import Facts
from typed_async_client.policies.jitter import JitterName
from typed_async_client.policies.retry import RetryPolicy

__all__ = ["Contention", "run_contention"]

MEAN, DEVIATION = 0.010, 0.002
"""Of the time that a message takes in one direction, in seconds."""
PRECONDITION_FAILED = 412


@dataclasses.dataclass(slots=True)
class Contention:
    """What it took.

    Attributes:
        calls: attempts in all, each of them a read and a write.
        seconds: when the last client was done.
    """

    calls: int = 0
    seconds: float = 0.0


def run_contention(jitter: JitterName, clients: int, seed: int = 1) -> Contention:
    """Let clients that start at the same time each write an item once."""
    clock, random, result = Clock(), Random(seed), Contention()
    version = 0
    policy = RetryPolicy(
        max_retries=10_000,
        base_delay=0.005,
        max_delay=2.0,
        jitter=jitter,
        statuses={PRECONDITION_FAILED},
    )

    def attempt() -> Process[Facts]:
        nonlocal version
        result.calls += 1
        yield Wait(_travel_time(random))
        seen = version
        yield Wait(_travel_time(random) + _travel_time(random))
        status = 200 if version == seen else PRECONDITION_FAILED
        version += version == seen
        yield Wait(_travel_time(random))
        return answered(status)

    def write() -> Process[None]:
        yield from Client(clock, random, attempt, policy).request()
        result.seconds = clock.now

    for _ in range(clients):
        clock.start(write())
    clock.run()
    return result


def _travel_time(random: Random) -> float:
    """Return a normally distributed time, by Box and Muller's formula."""
    radius = math.sqrt(-2 * math.log(1 - random.random()))
    return max(0.0, MEAN + DEVIATION * radius * math.cos(2 * math.pi * random.random()))
