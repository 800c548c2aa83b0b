"""A retry storm: what keeps a server down after the outage that made its clients retry."""

import dataclasses
from collections import Counter
from random import Random

from simulation.clock import Clock, Process, Wait
from simulation.retrying import Client, answered
from simulation.server import Server
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry import RetryPolicy

__all__ = ["Storm", "run_storm"]

RATE = 100
"""Requests per second, which is also what the server can do."""
SERVICE = 1 / RATE
TIMEOUT = 1.0
"""Seconds that a client waits for a response."""
LONGEST_QUEUE = 5.0
"""Seconds of waiting above which the server refuses requests."""
OUTAGE_BEGINS = 20.0


@dataclasses.dataclass(slots=True)
class Storm:
    """What happened, by second.

    Attributes:
        outage_ends: in seconds.
        ends: when the simulation ended, in seconds.
        sent: attempts that arrived at the server, by second of their arrival.
        succeeded: requests that succeeded, by second of their first attempt.
        last_failure: when the last request that failed was given up, in seconds.
    """

    outage_ends: float
    ends: float
    sent: Counter[int] = dataclasses.field(default_factory=Counter)
    succeeded: Counter[int] = dataclasses.field(default_factory=Counter)
    last_failure: float = 0.0


def run_storm(
    policy: RetryPolicy,
    budget: RetryBudget | None = None,
    *,
    outage: float = 10.0,
    ends: float = 60.0,
    seed: int = 1,
) -> Storm:
    """Send as many requests as the server can answer, before, during and after an outage."""
    clock, random = Clock(), Random(seed)
    storm = Storm(OUTAGE_BEGINS + outage, ends)
    server = Server(
        clock,
        workers=1,
        longest_queue=LONGEST_QUEUE,
        is_down=lambda now: OUTAGE_BEGINS <= now < storm.outage_ends,
    )

    def attempt() -> Process[Facts]:
        storm.sent[int(clock.now)] += 1
        reply = server.send(SERVICE)
        yield Wait(TIMEOUT, reply)
        if reply.value is None:
            return Facts(fault=Fault.TIMEOUT, sent=Sent.UNANSWERED, idempotent=True)
        return answered(reply.value)

    state = None if budget is None else budget.start()
    client = Client(clock, random, attempt, policy, state)

    def request() -> Process[None]:
        begun = int(clock.now)
        if (yield from client.request()):
            storm.succeeded[begun] += 1
        else:
            storm.last_failure = clock.now

    for number in range(round(ends * RATE)):
        clock.start(request(), at=number / RATE)
    clock.run(ends)
    return storm
