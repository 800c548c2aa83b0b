"""What the policies of one attempt have granted: its turn, its ticket, its permits.

The order, outermost first: pushback, rate limit, circuit, bulkhead, adaptive limit. Whatever was
granted is given back, however the attempt ends; a cancellation can arrive at every step.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.engine.grants import Grants
from typed_async_client.engine.queues import GateQueue, Turn
from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Acquire, Flow, Publish, Sleep
from typed_async_client.events import EventType, ThrottleDetails
from typed_async_client.policies.circuit import Circuit
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.transitions import CircuitState, Ticket, Transition

if TYPE_CHECKING:
    from typed_async_client.engine.fleet import FleetAdmission

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


class Admission(Grants):
    """What the policies have granted to one attempt.

    Args:
        run: the request.

    Attributes:
        circuit: the state of the circuit when it was admitted; None without one.
        gate_wait: seconds that it has waited.
        refused_by: the policy that has refused it; empty if none has.
        rejection: why; None if none has.
        transitions: what its admission has changed, to be published.
    """

    __slots__ = ("_asked", "circuit", "gate_wait", "refused_by", "rejection", "transitions")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.circuit: CircuitState | None = None
        self.gate_wait: float = 0.0
        self.refused_by: str = ""
        self.rejection: RejectionReason | None = None
        self.transitions: tuple[Transition, ...] = _NO_TRANSITIONS
        self._asked = 0  # how many of the policies have admitted it

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
        if self._ticket is not None and self._is_outdated(self._ticket):
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
            if turn is None:
                yield from Sleep(waiting.seconds)
            else:
                yield from _turn_of(run, turn, queue)
        except BaseException:
            if turn is not None:
                queue.leave(turn, run.now())
            raise
        self.gate_wait += run.now() - began
        if turn is not None:
            if turn.permit is None:
                queue.leave(turn, run.now())
                return self._refuse_late(waiting.policy, turn)
            self._keep(waiting.policy, queue, turn.permit)
            self._asked += 1
        return (yield from self._ask_again())

    def refuse(self, refusal: Rejected) -> Flow[None]:
        """Record that a policy has refused the attempt, and give back what the others have granted."""
        self.rejection = refusal.reason
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
            if name == "circuit":
                self.circuit = CircuitState.OPEN
            return answer
        if isinstance(answer, float):
            self.gate_wait += answer
        else:
            self.circuit = CircuitState.HALF_OPEN if answer.is_probe else CircuitState.CLOSED
            if answer.transition is not None:
                self.transitions = (*self.transitions, answer.transition)
        self._asked += 1
        return (yield from self._ask_again())

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

    def _ask_again(self) -> Flow[Rejected | Waiting | None]:
        """Ask the other policies; if all admit it, ask whether the host wants peace meanwhile.

        If it does, the attempt starts over, and holds nothing while it waits.
        """
        answer, run = self.ask(), self._run
        if answer is not None or "pushback" not in run.states:
            return answer
        now = run.now()
        held = self._ask_pushback(run.states["pushback"], now)
        if isinstance(held, Waiting):
            self._drop_ticket(now)
            self._drop_permits(now)
            self._asked = 0
            if self.fleet is not None:
                yield from self.fleet.give_back()
        return held

    def _refuse_late(self, policy: str, turn: Turn[Any]) -> Rejected:
        self.refused_by = policy
        is_late = turn.until >= self._run.deadline
        return Rejected(reason=RejectionReason.DEADLINE if is_late else RejectionReason.TOO_LONG)

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
        self._drop_ticket(now)  # of a state of the circuit that has passed meanwhile
        answer = circuit.admit(now)
        self.circuit = circuit.state
        if isinstance(answer, Rejected):
            self.refused_by = "circuit"
            return answer
        self._ticket = answer
        if answer.transition is not None:
            self.transitions = (*self.transitions, answer.transition)
        return None

    def _is_outdated(self, ticket: Ticket) -> bool:
        """Whether the circuit has changed its state while the attempt waited for its permits."""
        changed: bool = ticket.epoch != self._run.states["circuit"].epoch
        return changed

    def _ask_gate(self, name: str, queue: Any, now: float) -> Rejected | Waiting | None:
        answer = queue.admit(now, self._run.deadline)
        if isinstance(answer, Turn):
            return Waiting(name, answer.waiter.estimate, answer, queue)
        if isinstance(answer, Rejected):
            self.refused_by = name
            return answer
        self._keep(name, queue, answer)
        return None


def _turn_of(run: Run, turn: Turn[Any], queue: GateQueue[Any]) -> Flow[None]:
    """Wait until a turn has its permit, or has waited too long."""
    while turn.permit is None:
        now = run.now()
        if now >= turn.until:
            return
        if now >= turn.ask_at:
            queue.serve(now)
        else:
            yield from Acquire(turn)
