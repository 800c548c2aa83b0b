"""Decisions about state that several processes share: each is a step, since a store must be asked.

Rate limits, circuits and budgets are shared if the client was given a store; the other policies
never are.
"""

import functools
from typing import TYPE_CHECKING, Any, cast

from typed_async_client.engine.run import Run
from typed_async_client.engine.steps import Consult, Flow, Publish, Sleep
from typed_async_client.events import EventType, ThrottleDetails
from typed_async_client.outcome import Outcome
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health, health_of
from typed_async_client.policies.hosts import scope_key
from typed_async_client.policies.transitions import Transition
from typed_async_client.stores.protocol import Admission, Reservation, StateKey

if TYPE_CHECKING:
    from typed_async_client.attempts import Attempt

__all__ = ["FleetAdmission", "settled", "withdrawn"]


class FleetAdmission:
    """What the store has granted to one attempt.

    Args:
        run: the request.
    """

    __slots__ = ("_admission", "_reservation", "_run")

    def __init__(self, run: Run) -> None:
        self._admission: Admission | None = None
        self._reservation: Reservation | None = None
        self._run = run

    def ask(self, name: str) -> Flow[Rejected | Admission | float]:
        """Ask for a turn under the rate limit, or for admission by the circuit.

        Returns:
            A refusal, the admission of the circuit, or the seconds waited for the turn.
        """
        run = self._run
        if name == "circuit":
            answer = yield from _ask(run, "admit", name, "breaker")
            if not isinstance(answer, Rejected):
                self._admission = answer
            admitted: Rejected | Admission = answer
            return admitted
        taken = yield from _ask(run, "take_slot", name, "limit", deadline=run.deadline)
        if isinstance(taken, Rejected):
            return taken
        self._reservation = taken
        if taken.wait:
            details = ThrottleDetails(taken.wait, name)
            yield from Publish(run.event(EventType.THROTTLED, details))
            yield from Sleep(taken.wait)
        wait: float = taken.wait
        return wait

    def begin(self) -> None:
        """Record that the attempt is sent now, which uses up its turn under the rate limit."""
        self._reservation = None

    def report(self, outcome: Outcome) -> Flow[Transition | None]:
        """Tell the circuit how the attempt has ended; return what that has changed."""
        attempt = cast("Attempt", outcome.attempt)
        is_asked = outcome.answered_by in {"", self._run.record.origin}
        health = health_of(outcome.facts) if is_asked else Health.OK
        return (yield from self._report(health, outcome.ended - attempt.started))

    def _report(self, health: Health, duration: float) -> Flow[Transition | None]:
        admission, self._admission = self._admission, None
        if admission is None:
            return None
        transition: Transition | None = yield from _ask(
            self._run,
            "report",
            "circuit",
            "breaker",
            admission=admission,
            health=health,
            duration=duration,
            random=self._run.random(),
        )
        return transition

    def give_back(self) -> Flow[None]:
        """Give back what the attempt was granted and hasn't used."""
        reservation, self._reservation = self._reservation, None
        if reservation is not None:
            yield from _ask(
                self._run, "cancel_slot", "rate_limit", "limit", reservation=reservation
            )
        yield from self._report(Health.UNKNOWN, 0.0)


def withdrawn(run: Run) -> Flow[bool]:
    """Take an extra request from the budget, when its wait starts; return whether it may be sent."""
    if "budget" not in run.policies.shared:
        return run.withdraw()
    yield from _deposited(run)
    run.withdrawal = yield from _ask(run, "withdraw", "budget", "budget")
    return run.withdrawal is not None


def settled(run: Run) -> Flow[None]:
    """Count the request in the shared budget, and give back what it needn't have taken."""
    if "budget" not in run.policies.shared:
        return
    yield from _deposited(run)
    withdrawals, run.refundable = run.refundable, ()
    for withdrawal in withdrawals:
        yield from _ask(run, "refund", "budget", "budget", withdrawal=withdrawal)


def _deposited(run: Run) -> Flow[None]:
    if not run.is_deposited:
        run.is_deposited = True
        yield from _ask(run, "deposit", "budget", "budget")


def _ask(run: Run, method: str, name: str, argument: str, **arguments: Any) -> Flow[Any]:
    """Ask the store for one decision.

    Args:
        run: the request.
        method: the method of the store.
        name: the policy, which names its state.
        argument: what the method calls the options of the policy.
        **arguments: its other arguments.
    """
    policies = run.policies
    options = getattr(policies.options, name)
    scope = getattr(options, "scope", None) or options.per
    key = StateKey(name, str(scope_key(scope, run.record.origin)))
    arguments[argument] = options
    call = functools.partial(getattr(policies.store, method), now=run.now(), **arguments)
    return (yield from Consult(call, key))
