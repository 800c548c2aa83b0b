"""A bulkhead, driven at random and compared with a model that knows every attempt."""

import math
from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.gates import Permit, Rejected, RejectionReason, Waiter


class BulkheadMachine(RuleBasedStateMachine):
    """Plays the driver, which keeps the queue, and remembers who holds a permit."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.held: list[Permit] = []
        self.queue: deque[Waiter] = deque()

    @initialize(max_concurrent=st.integers(1, 4), max_waiting=st.none() | st.integers(0, 3))
    def create(self, max_concurrent: int, max_waiting: int | None) -> None:
        """Create the gate."""
        self.max_concurrent, self.max_waiting = max_concurrent, max_waiting
        self.gate = Bulkhead(max_concurrent=max_concurrent, max_waiting=max_waiting).start()

    @rule(seconds=st.floats(min_value=0, max_value=100))
    def wait(self, seconds: float) -> None:
        """Let time pass; those whose time is up give up."""
        self.now += seconds
        for waiter in list(self.queue):
            if waiter.until <= self.now:
                self.queue.remove(waiter)
                self.gate.leave(waiter)

    @rule(patience=st.just(math.inf) | st.floats(min_value=0, max_value=100))
    def arrive(self, patience: float) -> None:
        """A new attempt asks."""
        expected_wait = self.gate.estimate()
        deadline = self.now + patience
        answer = self.gate.admit(self.now, deadline)
        if len(self.held) < self.max_concurrent and not self.queue:
            assert isinstance(answer, Permit)
            self.held.append(answer)
        elif self.max_waiting is not None and len(self.queue) >= self.max_waiting:
            assert isinstance(answer, Rejected)
            assert answer.reason is RejectionReason.QUEUE_FULL
        elif deadline <= self.now or self.now + expected_wait > deadline:
            assert isinstance(answer, Rejected)
            assert answer.reason is RejectionReason.DEADLINE
        else:
            assert isinstance(answer, Waiter)
            self.queue.append(answer)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), repeated=st.booleans())
    def release(self, data: st.DataObject, *, repeated: bool) -> None:
        """An attempt ends; its driver may clean up twice, and serves the queue."""
        permit = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        for _ in range(1 + repeated):
            self.gate.release(permit, self.now)
        while self.queue and isinstance(
            granted := self.gate.grant(self.queue[0], self.now), Permit
        ):
            self.queue.popleft()
            self.held.append(granted)

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), repeated=st.booleans())
    def cancel(self, data: st.DataObject, *, repeated: bool) -> None:
        """A waiter is cancelled, wherever it stands."""
        waiter = self.queue[data.draw(st.integers(0, len(self.queue) - 1))]
        self.queue.remove(waiter)
        for _ in range(1 + repeated):
            self.gate.leave(waiter)

    @invariant()
    def counts_are_right(self) -> None:
        """The gate counts what the model holds, within its limits, and idles for nobody."""
        if not hasattr(self, "gate"):
            return
        assert self.gate.in_flight == len(self.held) <= self.max_concurrent
        assert self.gate.waiting == len(self.queue)
        assert not self.queue or len(self.held) == self.max_concurrent
        assert self.gate.estimate() >= 0


BulkheadMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestBulkhead = BulkheadMachine.TestCase
