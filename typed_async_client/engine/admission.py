"""What the policies of one attempt have granted: its turn, its ticket, its permits.

The order, outermost first: pushback, rate limit, circuit, bulkhead, adaptive limit. Whatever was
granted is given back, however the attempt ends; a cancellation can arrive at every step.
"""

from typing import TYPE_CHECKING, Any, cast

from typed_async_client.engine.queues import GateQueue, Turn
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Acquire, Flow, Publish, Sleep
from typed_async_client.events import EventType, ThrottleDetails
from typed_async_client.outcome import Outcome
from typed_async_client.policies.gates import Permit, Rejected, RejectionReason
from typed_async_client.policies.health import Health, health_of
from typed_async_client.policies.transitions import CircuitState, Ticket, Transition

if TYPE_CHECKING:
    from typed_async_client.engine.shared import Scoped
    from typed_async_client.policies.circuit import Circuit
    from typed_async_client.policies.rate_limit import Slot

__all__ = ["Admission"]

_EVENTS = {
    CircuitState.OPEN: EventType.CIRCUIT_OPENED,
    CircuitState.HALF_OPEN: EventType.CIRCUIT_HALF_OPEN,
    CircuitState.CLOSED: EventType.CIRCUIT_CLOSED,
}


class Admission:
    """What the policies have granted to one attempt.

    Args:
        run: the request.

    Attributes:
        circuit: the state of the circuit when it was admitted; None without one.
        gate_wait: seconds that it has waited.
        origin: the origin that is asked.
        refused_by: the policy that has refused it; empty if none has.
    """

    __slots__ = (
        "_adaptive",
        "_circuit",
        "_permits",
        "_run",
        "_slot",
        "_ticket",
        "circuit",
        "gate_wait",
        "origin",
        "refused_by",
    )

    def __init__(self, run: Run) -> None:
        self.circuit: CircuitState | None = None
        self.gate_wait: float = 0.0
        self.origin: str = run.record.origin
        self.refused_by: str = ""
        self._adaptive: Permit | None = None
        self._circuit: Circuit | None = None
        self._permits: list[tuple[GateQueue[Any], Any]] = []
        self._run = run
        self._slot: tuple[GateQueue[Slot], Slot] | None = None
        self._ticket: Ticket | None = None
        run.admissions.append(self)

    def request(self) -> Flow[Rejected | None]:
        """Ask every policy; return the refusal of the first that refuses."""
        policies = self._run.policies
        refusal = yield from self._turn()
        if refusal is None and policies.circuit is not None:
            refusal = yield from self._pass_circuit()
        for name in ("bulkhead", "adaptive"):
            if refusal is None and getattr(policies, name) is not None:
                refusal = yield from self._take_permit(name)
        if refusal is None and self._is_outdated():
            refusal = yield from self._pass_circuit()
        if refusal is not None:
            self.release()
        return refusal

    def begin(self) -> None:
        """Record that the attempt is sent now, which uses up its turn under the rate limit."""
        self._slot = None

    def report(self, outcome: Outcome, duration: float) -> Flow[None]:
        """Tell the policies how the attempt has ended.

        Args:
            outcome: what it ended with.
            duration: seconds until the response began, or until it failed.
        """
        run, policies, now = self._run, self._run.policies, self._run.now()
        health = health_of(outcome.facts)
        answered_by = outcome.origin or self.origin
        is_asked = answered_by == self.origin
        if policies.pushback is not None:
            policies.pushback.at(answered_by, now).report(outcome.facts, now)
        if self._adaptive is not None and policies.adaptive is not None:
            gate: Any = policies.adaptive.at(self.origin, now).gate
            gate.report(
                self._adaptive, health if is_asked else Health.UNKNOWN, duration=duration, now=now
            )
        if policies.hedge is not None and _tells_latency(health):
            policies.hedge.at(self.origin, now).record(duration)
        if policies.circuit is None:
            return
        yield from self._report(health if is_asked else Health.OK, duration)
        if not is_asked:  # a redirect led there; its circuit wasn't asked
            other = policies.circuit.at(answered_by, now)
            ticket = other.admit(now)
            if isinstance(ticket, Ticket):
                self._circuit, self._ticket = other, ticket
                yield from self._report(health, duration)
        if run.admissions and outcome.error is not None:
            self.release()

    def release(self) -> None:
        """Give the permits back, and report the attempt as unknown unless it was reported."""
        run = self._run
        if self not in run.admissions:
            return
        run.admissions.remove(self)
        now = run.now()
        if self._circuit is not None and self._ticket is not None:
            self._circuit.report(self._ticket, Health.UNKNOWN, duration=0.0, now=now, random=0.5)
        if self._slot is not None:
            self._slot[0].release(self._slot[1], now)
        for queue, permit in self._permits:
            queue.release(permit, now)

    def _turn(self) -> Flow[Rejected | None]:
        """Wait while the host is held back, and for a turn under the rate limit."""
        run, policies = self._run, self._run.policies
        if policies.pushback is not None:
            state = policies.pushback.at(self.origin, run.now())
            while True:
                hold = state.admit(run.now(), random=run.random(), deadline=run.deadline)
                if isinstance(hold, Rejected):
                    self.refused_by = "pushback"
                    return hold
                if hold == 0:
                    break
                yield from self._throttled("pushback", hold)
                began = run.now()
                yield from Sleep(hold)
                self.gate_wait += run.now() - began
        if policies.rate_limit is not None:
            return (
                yield from self._enter("rate_limit", policies.rate_limit.at(self.origin, run.now()))
            )
        return None

    def _pass_circuit(self) -> Flow[Rejected | None]:
        run = self._run
        circuits = cast("Scoped[Circuit]", run.policies.circuit)
        now = run.now()
        if self._circuit is not None and self._ticket is not None:  # of a state that has passed
            self._circuit.report(self._ticket, Health.UNKNOWN, duration=0.0, now=now, random=0.5)
            self._ticket = None
        circuit = circuits.at(self.origin, now)
        answer = circuit.admit(now)
        self.circuit = circuit.state
        if isinstance(answer, Rejected):
            self.refused_by = "circuit"
            return answer
        self._circuit, self._ticket = circuit, answer
        if answer.transition is not None:
            yield from self._publish(answer.transition)
        return None

    def _is_outdated(self) -> bool:
        """Whether the circuit has changed its state while the attempt waited for its permits."""
        ticket, circuit = self._ticket, self._circuit
        return ticket is not None and circuit is not None and ticket.epoch != circuit.epoch

    def _take_permit(self, name: str) -> Flow[Rejected | None]:
        queue = getattr(self._run.policies, name).at(self.origin, self._run.now())
        return (yield from self._enter(name, queue))

    def _enter(self, name: str, queue: GateQueue[Any]) -> Flow[Rejected | None]:
        run = self._run
        answer = queue.admit(run.now(), run.deadline)
        if isinstance(answer, Turn):
            if name == "rate_limit":
                yield from self._throttled_turn(queue, answer)
            turn, began = answer, run.now()
            answer = yield from Acquire(queue, turn)
            self.gate_wait += run.now() - began
            if answer is None:
                is_late = turn.until >= run.deadline
                reason = RejectionReason.DEADLINE if is_late else RejectionReason.TOO_LONG
                answer = Rejected(reason=reason)
        if isinstance(answer, Rejected):
            self.refused_by = name
            return answer
        if name == "rate_limit":
            self._slot = (queue, answer)
            return None
        self._permits.append((queue, answer))
        if name == "adaptive":
            self._adaptive = answer
        return None

    def _throttled_turn(self, queue: GateQueue[Any], turn: Turn[Any]) -> Flow[None]:
        """Say that an attempt waits for its turn; a cancellation meanwhile gives the turn up."""
        try:
            yield from self._throttled("rate_limit", turn.waiter.estimate)
        except BaseException:
            queue.leave(turn, self._run.now())
            raise

    def _throttled(self, reason: str, delay: float) -> Flow[None]:
        details = ThrottleDetails(delay, reason)
        yield from Publish(self._run.event(EventType.THROTTLED, details))

    def _report(self, health: Health, duration: float) -> Flow[None]:
        if self._circuit is None or self._ticket is None:
            return
        run = self._run
        transition = self._circuit.report(
            self._ticket, health, duration=duration, now=run.now(), random=run.random()
        )
        if transition is not None:
            yield from self._publish(transition)

    def _publish(self, transition: Transition) -> Flow[None]:
        kind = _EVENTS.get(transition.state)
        if kind is not None:
            yield from Publish(self._run.event(kind, transition))


def _tells_latency(health: Health) -> bool:
    """Whether an attempt took as long as the server needs; failures that came fast don't tell."""
    return health is Health.OK or health is Health.OVERLOADED
