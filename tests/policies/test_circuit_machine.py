"""A circuit, driven at random and compared with a model that follows the definition."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import Retention
from typed_async_client.policies.transitions import CircuitState, Ticket, Transition

Outcome = tuple[bool, bool]
"""Whether an attempt failed, and whether it was slow."""

PERFECT, WORST = (False, False), (True, True)
BREAKS = (10.0, 20.0, 30.0)
"""The first break, the second, and all later ones."""


class CircuitMachine(RuleBasedStateMachine):
    """Keeps the outcomes that count, and decides from all of them each time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.state = CircuitState.CLOSED
        self.until = 0.0
        self.trips = 0
        self.outcomes: list[Outcome] = []
        self.current: list[Ticket] = []
        self.late: list[Ticket] = []

    @initialize(
        failure_rate=st.sampled_from([0.25, 0.5, 1.0]),
        slow_rate=st.sampled_from([0.5, 1.0]),
        minimum_calls=st.integers(1, 4),
        window_calls=st.integers(1, 6),
        probes=st.integers(1, 4),
        judges_speed=st.booleans(),
    )
    def create(
        self,
        failure_rate: float,
        slow_rate: float,
        minimum_calls: int,
        window_calls: int,
        probes: int,
        *,
        judges_speed: bool,
    ) -> None:
        """Create a circuit whose breaks have no jitter, as long as reports don't."""
        self.options = CircuitBreaker(
            failure_rate=failure_rate,
            slow_rate=slow_rate,
            slow_duration=1.0 if judges_speed else None,
            minimum_calls=minimum_calls,
            window_calls=window_calls,
            probes=probes,
            reset_timeout=BREAKS[0],
            max_reset_timeout=BREAKS[-1],
        )
        self.circuit = self.options.start()

    @rule(seconds=st.sampled_from([0.0, 1.0, 30.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule()
    def admit(self) -> None:
        """A new attempt asks."""
        is_new_round = self.now >= self.until and (
            self.state is CircuitState.OPEN
            or (self.state is CircuitState.HALF_OPEN and not self.probes_left())
        )
        opening = self.state is CircuitState.OPEN and is_new_round
        if is_new_round:
            self.enter(CircuitState.HALF_OPEN)
            self.until = self.now + BREAKS[0]
        answer = self.circuit.admit(self.now)
        if self.state is CircuitState.CLOSED or (
            self.state is CircuitState.HALF_OPEN and self.probes_left()
        ):
            assert isinstance(answer, Ticket)
            assert answer.is_probe is (self.state is CircuitState.HALF_OPEN)
            assert (answer.transition is not None) is opening
            self.current.append(answer)
        else:
            assert not isinstance(answer, Ticket)
            isolated = self.state is CircuitState.ISOLATED
            assert answer.retry_after == (None if isolated else self.until - self.now)

    @precondition(lambda self: self.current)
    @rule(data=st.data(), health=st.sampled_from(Health), duration=st.sampled_from([0.5, 1.5]))
    def report(self, data: st.DataObject, health: Health, duration: float) -> None:
        """An attempt ends that was admitted in the present state."""
        ticket = self.current.pop(data.draw(st.integers(0, len(self.current) - 1)))
        self.end(ticket, health, duration)

    def end(self, ticket: Ticket, health: Health, duration: float) -> None:
        """Report an attempt, and compare what follows."""
        transition = self.send_report(ticket, health, duration)
        expected = None
        if health is not Health.UNKNOWN:
            failed = health in {Health.FAILING, Health.OVERLOADED}
            slow = self.options.slow_duration is not None and duration > 1.0
            self.outcomes.append((failed, slow))
            expected = self.expected_state()
        assert (transition.state if transition else None) is expected
        if expected is CircuitState.OPEN:
            self.trips += 1
            seconds = BREAKS[min(self.trips, len(BREAKS)) - 1]
            self.until = self.now + seconds
            assert transition is not None
            assert transition.retry_after == seconds
        if expected is not None:
            self.enter(expected)

    @rule()
    def fail(self) -> None:
        """An attempt is admitted and fails at once, so that circuits open often."""
        self.admit()
        if self.current:
            self.end(self.current.pop(), Health.FAILING, duration=0.5)

    @precondition(lambda self: self.state in {CircuitState.OPEN, CircuitState.HALF_OPEN})
    @rule()
    def wait_for_the_end(self) -> None:
        """Let the break end, or the time of the probes."""
        self.now = max(self.now, self.until)

    @precondition(lambda self: self.late)
    @rule(data=st.data(), health=st.sampled_from(Health))
    def report_late(self, data: st.DataObject, health: Health) -> None:
        """An attempt ends that was admitted before the last transition, or was reported before."""
        ticket = data.draw(st.sampled_from(self.late))
        self.late.remove(ticket)
        for _ in range(2):
            assert self.send_report(ticket, health, duration=1.5) is None

    @rule(action=st.sampled_from(["nothing", "nothing", "nothing", "close", "isolate"]))
    def intervene(self, action: str) -> None:
        """A person may open or close the circuit."""
        if action == "isolate":
            transition = self.circuit.isolate()
            assert (transition is None) is (self.state is CircuitState.ISOLATED)
            self.enter(CircuitState.ISOLATED)
        if action == "close":
            transition = self.circuit.close()
            assert (transition is None) is (self.state is CircuitState.CLOSED)
            self.enter(CircuitState.CLOSED)

    @invariant()
    def agrees(self) -> None:
        """The circuit is in the state of the model, and forgets no ticket."""
        if hasattr(self, "circuit"):
            assert self.circuit.state is self.state
            assert self.circuit.trips == self.trips
            assert self.circuit.in_flight == len(self.current) + len(self.late)
            is_required = self.circuit.retention(self.now) is Retention.REQUIRED
            in_use = bool(self.current or self.late) or self.state is CircuitState.ISOLATED
            assert is_required is in_use

    def send_report(self, ticket: Ticket, health: Health, duration: float) -> Transition | None:
        """Report an attempt without jitter."""
        return self.circuit.report(ticket, health, duration=duration, now=self.now, random=0.5)

    def probes_left(self) -> int:
        """Return how many probes may still be sent."""
        return self.options.probes - len(self.outcomes) - len(self.current)

    def enter(self, state: CircuitState) -> None:
        """Change the state, in which nothing has been counted yet."""
        self.state = state
        self.outcomes = []
        self.late += self.current
        self.current = []
        if state is CircuitState.CLOSED:
            self.trips = 0

    def expected_state(self) -> CircuitState | None:
        """Return the state that the outcomes lead to; None to stay."""
        if self.state is CircuitState.CLOSED:
            assert self.options.window_calls is not None
            window = self.outcomes[-self.options.window_calls :]
            is_enough = len(window) >= min(self.options.minimum_calls, self.options.window_calls)
            return CircuitState.OPEN if is_enough and self.is_bad(window) else None
        endings = itertools.product(
            [PERFECT, WORST if self.options.slow_duration else (True, False)],
            repeat=self.options.probes - len(self.outcomes),
        )
        verdicts = {self.is_bad([*self.outcomes, *ending]) for ending in endings}
        if len(verdicts) == 2:
            return None
        return CircuitState.OPEN if verdicts == {True} else CircuitState.CLOSED

    def is_bad(self, outcomes: list[Outcome]) -> bool:
        """Whether a limit is reached."""
        failed = sum(failed for failed, _ in outcomes) / len(outcomes)
        slow = sum(slow for _, slow in outcomes) / len(outcomes)
        return failed >= self.options.failure_rate or slow >= self.options.slow_rate


CircuitMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestCircuit = CircuitMachine.TestCase
