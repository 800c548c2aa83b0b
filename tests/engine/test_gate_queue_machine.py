"""A queue before any gate, in any order of arrivals, releases, departures and waits."""

import math
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.engine.queues import GateQueue, Turn
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import Retention
from typed_async_client.policies.rate_limit import RateLimit

GATES = [
    Bulkhead(max_concurrent=2, max_waiting=4),
    Bulkhead(max_concurrent=3, max_wait=5.0),
    RateLimit(rate=1, burst=2, max_waiting=4),
    AdaptiveLimit(initial=2, max_limit=4, minimum_samples=1, window=0.5),
]


class QueueMachine(RuleBasedStateMachine):
    """Permits and turns are as those in a plain list would be."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []
        self.now = 100.0
        self.turns: list[Turn[Any]] = []
        self.granted: list[float] = []

    @initialize(options=st.sampled_from(GATES))
    def start(self, options: Any) -> None:
        """Choose the gate."""
        self.options = options
        self.queue: Any = GateQueue(options.start())

    @property
    def is_rate(self) -> bool:
        """Whether permits are used up, not given back."""
        return isinstance(self.options, RateLimit)

    @rule()
    def arrive(self) -> None:
        """Ask for a permit."""
        answer = self.queue.admit(self.now, math.inf)
        if isinstance(answer, Turn):
            self.turns.append(answer)
        elif not isinstance(answer, Rejected):
            assert not self.turns, "nobody may overtake those that wait"
            self.take(answer)
        self.collect()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Give a permit back, perhaps twice."""
        permit = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if not self.is_rate:
            self.queue.release(permit, self.now)
            self.queue.release(permit, self.now)
        self.collect()

    @precondition(lambda self: self.turns)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Give up a place."""
        self.queue.leave(self.turns.pop(data.draw(st.integers(0, len(self.turns) - 1))), self.now)
        self.collect()

    @precondition(lambda self: self.held and isinstance(self.options, AdaptiveLimit))
    @rule(health=st.sampled_from([Health.OK, Health.OVERLOADED, Health.UNKNOWN]))
    def report(self, health: Health) -> None:
        """Let the limit grow or shrink."""
        if self.queue.gate.report(self.held[0], health, duration=0.1, now=self.now) is not None:
            self.queue.serve(self.now)
        self.collect()

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, and serve the first whenever it asks for that, as a driver does."""
        end = self.now + seconds
        while self.turns and self.turns[0].ask_at <= end:
            self.now = max(self.now, self.turns[0].ask_at)
            self.queue.serve(self.now)
            self.collect()
        self.now = end

    def take(self, permit: Any) -> None:
        """Hold a permit."""
        self.held.append(permit)
        self.granted.append(self.now)

    def collect(self) -> None:
        """Take the permits of those whose turn has come: the first in the queue, in their order."""
        while self.turns and self.turns[0].permit is not None:
            self.take(self.turns.pop(0).permit)
        assert all(turn.permit is None for turn in self.turns)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """Whoever waits has a reason to, and somebody will ask again."""
        if not hasattr(self, "queue"):
            return
        gate = self.queue.gate
        assert gate.waiting == len(self.turns)
        if self.turns and self.is_rate:
            assert self.now < self.turns[0].ask_at < math.inf
        elif self.turns:
            assert gate.in_flight >= gate.limit
        is_needed = bool(self.turns or (self.held and not self.is_rate))
        assert (self.queue.retention(self.now) is Retention.REQUIRED) is is_needed

    @invariant()
    def no_limit_is_passed(self) -> None:
        """Neither of those in flight nor of those that begin in any time."""
        if not hasattr(self, "queue"):
            return
        if not self.is_rate:
            assert self.queue.gate.in_flight == len(self.held)
            assert len(self.held) <= getattr(self.options, "max_concurrent", 4)
            return
        for index, first in enumerate(self.granted):
            for count, last in enumerate(self.granted[index:], start=1):
                assert count <= 2 + (last - first) + 1e-5


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
