"""A rate limit, driven at random and compared with a token bucket that uses fractions."""

from collections import deque
from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.policies.gates import Rejected, Waiter
from typed_async_client.policies.rate_limit import RateLimit, Slot

MICROSECOND = Fraction(1, 1_000_000)


class RateLimitMachine(RuleBasedStateMachine):
    """Plays the driver, which keeps the queue, and fills a bucket of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Fraction(0)
        self.tokens = Fraction(0)
        self.queue: deque[Waiter] = deque()
        self.begun: list[Fraction] = []

    @initialize(rate=st.integers(1, 9), per=st.integers(1, 7), burst=st.integers(1, 4))
    def create(self, rate: int, per: int, burst: int) -> None:
        """Create the gate; the bucket is full."""
        self.rate, self.burst = Fraction(rate, per), burst
        self.tokens = Fraction(burst)
        self.gate = RateLimit(rate=rate, per=per, burst=burst).start()

    @rule(eighths=st.integers(0, 20))
    def wait(self, eighths: int) -> None:
        """Let time pass, which fills the bucket, and serve the queue."""
        self.now += Fraction(eighths, 8)
        self.tokens = min(Fraction(self.burst), self.tokens + self.rate * eighths / 8)
        while self.queue:
            answer = self.gate.grant(self.queue[0], float(self.now))
            if not isinstance(answer, Slot):
                assert self.is_close(answer)
                return
            self.queue.popleft()
            self.begin()

    @rule(patience=st.integers(0, 20))
    def arrive(self, patience: int) -> None:
        """A new attempt asks."""
        wait = max((len(self.queue) + 1 - self.tokens) / self.rate, Fraction(0))
        answer = self.gate.admit(float(self.now), float(self.now + patience))
        if isinstance(answer, Slot):
            assert not self.queue
            self.begin()
        elif isinstance(answer, Waiter):
            assert wait <= patience + MICROSECOND
            assert abs(Fraction(answer.estimate) - wait) <= 2 * MICROSECOND
            self.queue.append(answer)
        else:
            assert isinstance(answer, Rejected)
            assert wait >= patience - 2 * MICROSECOND

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A waiter leaves, wherever it stands."""
        waiter = self.queue[data.draw(st.integers(0, len(self.queue) - 1))]
        self.queue.remove(waiter)
        self.gate.leave(waiter)

    @precondition(lambda self: not self.queue and self.tokens >= 1)
    @rule(number=st.integers(1, 4))
    def admit_and_cancel(self, number: int) -> None:
        """Attempts are admitted that another policy refuses at once: nothing is used up."""
        slots = [self.gate.admit(float(self.now)) for _ in range(min(number, int(self.tokens)))]
        for slot in reversed(slots):
            assert isinstance(slot, Slot)
            assert self.gate.release(slot, now=0.0)

    def begin(self) -> None:
        """An attempt begins, which takes a token; a microsecond's worth may be missing."""
        assert self.tokens >= 1 - self.rate * MICROSECOND
        self.tokens -= 1
        self.begun.append(self.now)

    def is_close(self, seconds: float) -> bool:
        """Whether the wait for the next token is this long, to the microsecond."""
        return abs(Fraction(seconds) - (1 - self.tokens) / self.rate) <= 2 * MICROSECOND

    @invariant()
    def the_rate_is_kept(self) -> None:
        """In every span of time that ends with the latest attempt."""
        for index, first in enumerate(self.begun):
            allowed = self.burst + self.rate * (self.begun[-1] - first + MICROSECOND)
            assert len(self.begun) - index <= allowed

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        """The gate counts those that wait, and they do only while the bucket is empty."""
        if hasattr(self, "gate"):
            assert self.gate.waiting == len(self.queue)
            assert not self.queue or self.tokens < 1


RateLimitMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestRateLimit = RateLimitMachine.TestCase
