"""What the policies of one attempt have granted: its turn, its ticket, its permits.

The order, outermost first: pushback, rate limit, circuit, bulkhead, adaptive limit. Whatever was
granted is given back, however the attempt ends; a cancellation can arrive at every step.
"""

import dataclasses
from typing import Any, cast

from typed_async_client.engine.fleet import FleetAdmission
from typed_async_client.engine.queues import GateQueue, Turn
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Acquire, Flow, Publish, Sleep
from typed_async_client.events import EventType, ThrottleDetails
from typed_async_client.outcome import Outcome
from typed_async_client.policies.circuit import Circuit
from typed_async_client.policies.gates import Permit, Rejected, RejectionReason
from typed_async_client.policies.health import Health, health_of
from typed_async_client.policies.transitions import CircuitState, Ticket, Transition

__all__ = ["Admission", "Waiting"]

_NO_TRANSITIONS: tuple[Transition, ...] = ()


@dataclasses.dataclass(slots=True, eq=False)
class Waiting:
    """An attempt has to wait: for its turn at a gate, or until a hold is over.

    Attributes:
        policy: the policy that lets it wait.
        seconds: how long, as far as is known.
        turn: its place in the queue; None for a hold.
        queue: the queue.
        is_shared: whether the store of shared state is to be asked instead.
    """

    policy: str
    seconds: float
    turn: Turn[Any] | None = None
    queue: Any = None
    is_shared: bool = False


class Admission:
    """What the policies have granted to one attempt.

    Args:
        run: the request.

    Attributes:
        circuit: the state of the circuit when it was admitted; None without one.
        fleet: what a store of shared state has granted; None without one.
        gate_wait: seconds that it has waited.
        refused_by: the policy that has refused it; empty if none has.
        rejection: why; None if none has.
        transitions: what its admission has changed, to be published.
    """

    __slots__ = (
        "_adaptive",
        "_asked",
        "_permits",
        "_run",
        "_slot",
        "_ticket",
        "circuit",
        "fleet",
        "gate_wait",
        "refused_by",
        "rejection",
        "transitions",
    )

    def __init__(self, run: Run) -> None:
        self.circuit: CircuitState | None = None
        self.fleet: FleetAdmission | None = FleetAdmission(run) if run.policies.shared else None
        self.gate_wait: float = 0.0
        self.refused_by: str = ""
        self.rejection: RejectionReason | None = None
        self.transitions: tuple[Transition, ...] = _NO_TRANSITIONS
        self._adaptive: Permit | None = None
        self._asked = 0  # how many of the policies have admitted it
        self._permits: list[tuple[GateQueue[Any], Any]] = []
        self._run = run
        self._slot: Any = None
        self._ticket: Ticket | None = None
        run.admissions.append(self)

    def ask(self) -> Rejected | Waiting | None:
        """Ask the policies that haven't admitted the attempt yet, in their order.

        Returns:
            None if all of them have, the refusal of the first that refuses, or what to wait for.
        """
        run = self._run
        names = run.policies.gates
        now = run.now()
        while self._asked < len(names):
            name = names[self._asked]
            if name in run.policies.shared:
                return Waiting(name, 0.0, is_shared=True)
            state = run.states[name]
            answer: Rejected | Waiting | None
            if name == "circuit":
                answer = self._ask_circuit(state, now)
            elif name == "pushback":
                answer = self._ask_pushback(state, now)
            else:
                answer = self._ask_gate(name, state, now)
            if answer is not None:
                return answer
            self._asked += 1
        if self._is_outdated():
            return self._ask_circuit(run.states["circuit"], now)
        return None

    def wait(self, waiting: Waiting) -> Flow[Rejected | Waiting | None]:
        """Wait, and ask again."""
        if waiting.is_shared:
            return (yield from self._ask_fleet(waiting.policy))
        run, began = self._run, self._run.now()
        turn, queue = waiting.turn, waiting.queue
        try:
            if waiting.policy in {"pushback", "rate_limit"}:
                details = ThrottleDetails(waiting.seconds, waiting.policy)
                yield Publish(run.event(EventType.THROTTLED, details))
        except BaseException:
            if turn is not None:
                queue.leave(turn, run.now())
            raise
        if turn is None:
            yield from Sleep(waiting.seconds)
        else:
            permit = yield from Acquire(queue, turn)
            if permit is None:
                is_late = turn.until >= run.deadline
                self.refused_by = waiting.policy
                reason = RejectionReason.DEADLINE if is_late else RejectionReason.TOO_LONG
                return Rejected(reason=reason)
            self._keep(waiting.policy, queue, permit)
            self._asked += 1
        self.gate_wait += run.now() - began
        return self.ask()

    def begin(self) -> None:
        """Record that the attempt is sent now, which uses up its turn under the rate limit."""
        self._slot = None
        if self.fleet is not None:
            self.fleet.begin()

    def refuse(self, refusal: Rejected) -> Flow[None]:
        """Record that a policy has refused the attempt, and give back what the others have granted."""
        self.rejection = refusal.reason
        self._run.refund()
        yield from self.leave()

    def leave(self) -> Flow[None]:
        """Give everything back, also to the store of shared state."""
        self.release()
        if self.fleet is not None:
            yield from self.fleet.give_back()

    def _ask_fleet(self, name: str) -> Flow[Rejected | Waiting | None]:
        answer = yield from cast("FleetAdmission", self.fleet).ask(name)
        if isinstance(answer, Rejected):
            self.refused_by = name
            return answer
        if isinstance(answer, float):
            self.gate_wait += answer
        else:
            self.circuit = CircuitState.HALF_OPEN if answer.is_probe else CircuitState.CLOSED
            if answer.transition is not None:
                self.transitions = (*self.transitions, answer.transition)
        self._asked += 1
        return self.ask()

    def report(self, outcome: Outcome, duration: float, now: float) -> tuple[Transition, ...]:
        """Tell the policies how the attempt has ended; return what that has changed.

        The attempt was admitted by the origin that was asked. If a redirect led to another, the
        one that was asked has answered, and the other is told how it ended.

        Args:
            outcome: what it ended with.
            duration: seconds until the response began, or until it failed.
            now: monotonic seconds.
        """
        run, states = self._run, self._run.states
        health = health_of(outcome.facts)
        origin = outcome.origin
        is_asked = not origin or origin == run.record.origin
        others = states if is_asked else run.policies.states_at(origin, now)
        if "pushback" in states and outcome.facts.retry_after is not None:
            others["pushback"].report(outcome.facts, now)
        if self._adaptive is not None:
            said = health if is_asked else Health.UNKNOWN
            states["adaptive"].gate.report(self._adaptive, said, duration=duration, now=now)
        if "hedge" in states and (health is Health.OK or health is Health.OVERLOADED):
            states["hedge"].record(duration)
        if outcome.error is not None:  # there is no body to wait for
            self._give_back(now)
        if self._ticket is None:
            return _NO_TRANSITIONS
        said = health if is_asked else Health.OK
        transitions = [self._report(states["circuit"], self._ticket, said, duration, now)]
        if not is_asked:
            circuit = others["circuit"]
            ticket = circuit.admit(now)
            if isinstance(ticket, Ticket):
                transitions.append(self._report(circuit, ticket, health, duration, now))
        return tuple(each for each in transitions if each is not None)

    def release(self) -> None:
        """Give everything back, and report the attempt as unknown unless it was reported."""
        run = self._run
        if self not in run.admissions:
            return
        now = run.now()
        ticket = self._ticket
        if ticket is not None and not ticket.is_reported:
            self._report(run.states["circuit"], ticket, Health.UNKNOWN, 0.0, now)
        self._give_back(now)

    def details(self) -> dict[str, Any]:
        """Return what the record of the attempt tells about its admission."""
        told: dict[str, Any] = {}
        if self.circuit is not None:
            told["circuit"] = self.circuit
        if self.gate_wait:
            told["gate_wait"] = self.gate_wait
        if self.rejection is not None:
            told["rejection"] = self.rejection
        return told

    def _give_back(self, now: float) -> None:
        self._run.admissions.remove(self)
        if self._slot is not None:
            self._slot[0].release(self._slot[1], now)
        for queue, permit in self._permits:
            queue.release(permit, now)

    def _ask_pushback(self, state: Any, now: float) -> Rejected | Waiting | None:
        run = self._run
        hold = state.admit(now, random=run.random(), deadline=run.deadline)
        if hold == 0:
            return None
        if isinstance(hold, Rejected):
            self.refused_by = "pushback"
            return hold
        return Waiting("pushback", hold)

    def _ask_circuit(self, circuit: Circuit, now: float) -> Rejected | None:
        if self._ticket is not None:  # of a state of the circuit that has passed meanwhile
            self._report(circuit, self._ticket, Health.UNKNOWN, 0.0, now)
            self._ticket = None
        answer = circuit.admit(now)
        self.circuit = circuit.state
        if isinstance(answer, Rejected):
            self.refused_by = "circuit"
            return answer
        self._ticket = answer
        if answer.transition is not None:
            self.transitions = (*self.transitions, answer.transition)
        return None

    def _is_outdated(self) -> bool:
        """Whether the circuit has changed its state while the attempt waited for its permits."""
        ticket = self._ticket
        return ticket is not None and ticket.epoch != self._run.states["circuit"].epoch

    def _ask_gate(self, name: str, queue: Any, now: float) -> Rejected | Waiting | None:
        answer = queue.admit(now, self._run.deadline)
        if isinstance(answer, Turn):
            return Waiting(name, answer.waiter.estimate, answer, queue)
        if isinstance(answer, Rejected):
            self.refused_by = name
            return answer
        self._keep(name, queue, answer)
        return None

    def _keep(self, name: str, queue: Any, permit: Any) -> None:
        if name == "rate_limit":
            self._slot = (queue, permit)
            return
        self._permits.append((queue, permit))
        if name == "adaptive":
            self._adaptive = permit

    def _report(
        self, circuit: Circuit, ticket: Ticket, health: Health, duration: float, now: float
    ) -> Transition | None:
        random = self._run.random()
        return circuit.report(ticket, health, duration=duration, now=now, random=random)
