"""An adaptive limit, driven at random and compared with a model of AIMD."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.gates import Permit, Rejected, Waiter
from typed_async_client.policies.health import Health

WINDOW = 4.0
SAMPLES = 2


class AdaptiveMachine(RuleBasedStateMachine):
    """Plays the driver, which keeps the queue, and remembers every response of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.0
        self.shrunk_at = 0.0
        self.running: list[tuple[Permit, float]] = []
        self.ended: list[Permit] = []
        self.queue: deque[Waiter] = deque()
        self.samples: list[tuple[float, int]] = []

    @initialize(initial=st.integers(1, 8), max_waiting=st.none() | st.integers(0, 3))
    def create(self, initial: int, max_waiting: int | None) -> None:
        """Create the gate."""
        self.limit, self.max_waiting = initial, max_waiting
        self.gate = AdaptiveLimit(
            initial=initial,
            min_limit=1,
            max_limit=8,
            shrink_factor=0.5,
            window=WINDOW,
            minimum_samples=SAMPLES,
            max_waiting=max_waiting,
        ).start()

    @rule(seconds=st.integers(0, 5))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(number=st.integers(1, 4))
    def arrive(self, number: int) -> None:
        """New attempts ask."""
        for _ in range(number):
            has_room = self.in_flight() < self.limit and not self.queue
            answer = self.gate.admit(self.now)
            if has_room:
                assert isinstance(answer, Permit)
                self.running.append((answer, self.now))
            elif self.max_waiting is not None and len(self.queue) >= self.max_waiting:
                assert isinstance(answer, Rejected)
            else:
                assert isinstance(answer, Waiter)
                self.queue.append(answer)

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        health=st.sampled_from([*Health, Health.OK, Health.OK, Health.OK]),
        is_read=st.booleans(),
    )
    def report(self, data: st.DataObject, health: Health, *, is_read: bool) -> None:
        """A response begins, whose body is read at once, or later."""
        permit, since = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        before = self.limit
        if health in {Health.THROTTLED, Health.OVERLOADED} and since > self.shrunk_at:
            self.limit = max(1, self.limit // 2)
            self.shrunk_at = self.now
            self.samples = []
        elif health is Health.OK:
            self.samples.append((self.now, max(permit.in_flight, self.in_flight() + 1)))
            if len(self.samples) >= SAMPLES and self.now >= self.samples[0][0] + WINDOW:
                seen = max(number for _, number in self.samples)
                self.grow_if(seen * 2 >= self.limit)
        answer = self.gate.report(permit, health, duration=0.1, now=self.now)
        assert answer == (None if self.limit == before else self.limit)
        self.ended.append(permit)
        if is_read:
            self.release(data)
        self.serve()

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A body has been read; its driver may clean up twice."""
        permit = self.ended.pop(data.draw(st.integers(0, len(self.ended) - 1)))
        self.gate.release(permit, self.now)
        self.gate.release(permit, self.now)
        self.serve()

    @precondition(lambda self: self.queue)
    @rule()
    def give_up(self) -> None:
        """The last in the queue is cancelled."""
        self.gate.leave(self.queue.pop())

    def serve(self) -> None:
        """Grant whom the gate admits, in the order of arrival."""
        while self.queue:
            granted = self.gate.grant(self.queue[0], self.now)
            if not isinstance(granted, Permit):
                return
            self.queue.popleft()
            self.running.append((granted, self.now))

    def grow_if(self, is_used: bool) -> None:  # noqa: FBT001 - the condition is its subject
        """End the window."""
        self.samples = []
        self.limit = min(8, self.limit + is_used)

    def in_flight(self) -> int:
        """Return how many permits are held."""
        return len(self.running) + len(self.ended)

    @invariant()
    def agrees(self) -> None:
        """The gate counts what the model holds, and idles for nobody."""
        if hasattr(self, "gate"):
            assert self.gate.limit == self.limit
            assert self.gate.in_flight == self.in_flight()
            assert self.gate.waiting == len(self.queue)
            assert not self.queue or self.in_flight() >= self.limit


AdaptiveMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAdaptive = AdaptiveMachine.TestCase
