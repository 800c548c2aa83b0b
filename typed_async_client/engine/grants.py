"""What the policies have granted to one attempt, how that is given back, and what they are told.

Whatever was granted is given back once, however the attempt ends.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from typed_async_client.attempts import Attempt
from typed_async_client.engine.fleet import FleetAdmission
from typed_async_client.engine.run import Run
from typed_async_client.outcome import Outcome
from typed_async_client.policies.circuit import Circuit
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.health import Health, health_of
from typed_async_client.policies.transitions import Ticket, Transition

if TYPE_CHECKING:
    from typed_async_client.engine.queues import GateQueue
    from typed_async_client.policies.gates import Permit

__all__ = ["Grants"]


class Grants:
    """What the policies have granted to one attempt.

    Args:
        run: the request.

    Attributes:
        fleet: what a store of shared state has granted; None without one.
        is_overtaken: whether the request has ended meanwhile, with the answer to a copy.
        is_unneeded: whether a copy was answered, so that it is let go or cancelled.
    """

    __slots__ = (
        "_adaptive",
        "_attempt",
        "_is_answered",
        "_is_held",
        "_permits",
        "_run",
        "_slot",
        "_ticket",
        "_withdrawal",
        "fleet",
        "is_overtaken",
        "is_unneeded",
    )

    def __init__(self, run: Run) -> None:
        self.fleet: FleetAdmission | None = FleetAdmission(run) if run.policies.shared else None
        self._adaptive: Permit | None = None
        self._attempt: Attempt | None = None  # once it was sent
        self._is_answered = False
        self._is_held = True
        self._permits: list[tuple[GateQueue[Any], Any]] = []
        self._run = run
        self._slot: Any = None
        self._ticket: Ticket | None = None
        self._withdrawal: Any = run.take_withdrawal()
        self.is_overtaken: bool = False
        self.is_unneeded: bool = False
        run.admissions.append(self)

    def begin(self, attempt: Attempt) -> None:
        """Record that the attempt is sent now, which uses up its turn and what it withdrew."""
        self._attempt = attempt
        self._slot = None
        if self.fleet is not None:
            self.fleet.begin()

    def refund(self) -> None:
        """Give what the attempt took from the budget back, because it succeeded or wasn't sent."""
        withdrawal, self._withdrawal = self._withdrawal, None
        self._run.refund(withdrawal)

    @property
    def closes_if_cut(self) -> bool:
        """Whether the attempt has lost its connection if it is cancelled now, and not otherwise."""
        attempt = self._attempt
        return attempt is not None and attempt.closes_if_cut and not self._is_answered

    @property
    def sent_at(self) -> float | None:
        """When the attempt was sent, in monotonic seconds; None if it still waits for its turn."""
        return None if self._attempt is None else self._attempt.started

    def end(self) -> None:
        """Record that the attempt was answered, or has failed: it can't be overtaken any more."""
        self._is_answered = True

    def leave_run(self) -> None:
        """Let the attempt give everything back itself, when it has ended: its request won't."""
        self.is_overtaken = True
        self._run.admissions.remove(self)

    def lose(self, now: float) -> None:
        """Record how long the attempt was in flight when a copy of it turned out to be faster.

        The next delay would be too short if only the attempts that were fast counted.
        """
        attempt, run = self._attempt, self._run
        if attempt is None or (self._is_answered and not self.is_overtaken):
            return  # it wasn't sent, or is on the record with its answer
        run.states["hedge"].record(now - attempt.started)
        facts = Facts(fault=None, sent=Sent.UNANSWERED, idempotent=True, local=True)
        ended = dataclasses.replace(attempt, phases=dict(attempt.phases or {}))  # it may go on
        overtaken = Outcome(facts, attempt=ended)
        overtaken.ended = now
        run.keep(overtaken)

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
        origin = outcome.answered_by
        is_asked = not origin or origin == run.record.origin
        others = states if is_asked else run.policies.states_at(origin, now)
        if "pushback" in states and outcome.facts.retry_after is not None:
            others["pushback"].report(outcome.facts, now)
        if self._adaptive is not None:
            said = health if is_asked else Health.UNKNOWN
            gate = states["adaptive"]
            if gate.gate.report(self._adaptive, said, duration=duration, now=now) is not None:
                gate.serve(now)  # it may have grown
        if "hedge" in states and (health is Health.OK or health is Health.OVERLOADED):
            states["hedge"].record(duration)
        if outcome.error is not None or not self._permits:  # nothing waits for the body
            self._give_back(now)
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return ()
        if is_asked:
            changed = self._report(states["circuit"], ticket, health, duration, now)
            return () if changed is None else (changed,)
        transitions = [self._report(states["circuit"], ticket, Health.OK, duration, now)]
        circuit = others["circuit"]
        admitted = circuit.admit(now)
        if isinstance(admitted, Ticket):
            transitions.append(self._report(circuit, admitted, health, duration, now))
        return tuple(each for each in transitions if each is not None)

    def release(self) -> None:
        """Give everything back, and report the attempt as unknown unless it was reported."""
        if not self._is_held:
            return
        run = self._run
        now = run.now()
        self._drop_ticket(now)
        self._give_back(now)
        if self._attempt is None:
            self.refund()

    def _give_back(self, now: float) -> None:
        """Give back the turn and the permits, after which nothing is left to release."""
        if self._is_held and not self.is_overtaken:
            self._run.admissions.remove(self)
        self._is_held = False
        self._drop_permits(now)

    def _drop_permits(self, now: float) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot[0].release(slot[1], now)
        permits, self._permits = self._permits, []
        for queue, permit in permits:
            queue.release(permit, now)

    def _drop_ticket(self, now: float) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._report(self._run.states["circuit"], ticket, Health.UNKNOWN, 0.0, now)

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
