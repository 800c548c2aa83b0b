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

__all__ = ["FleetAdmission", "settled", "waited", "withdrawn"]


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
        """Tell the circuit how the attempt has ended; return what that has changed.

        If a redirect led to another origin, the one that was asked has answered, and the circuit of
        the other is told how it ended; what that has changed is published here.
        """
        if self._admission is None:
            return None
        run, origin = self._run, outcome.answered_by
        health = health_of(outcome.facts)
        duration = outcome.ended - cast("Attempt", outcome.attempt).started
        if origin in {"", run.record.origin}:
            return (yield from self._report(health, duration))
        transition = yield from self._report(Health.OK, duration)
        elsewhere = yield from _reported_at(run, origin, health, duration)
        for each in elsewhere:
            yield from Publish(run.transition_event(each))
        return transition

    def _report(self, health: Health, duration: float) -> Flow[Transition | None]:
        admission, self._admission = self._admission, None
        if admission is None:
            return None
        return (yield from _report(self._run, admission, health, duration))

    def give_back(self) -> Flow[None]:
        """Give back what the attempt was granted and hasn't used."""
        reservation, self._reservation = self._reservation, None
        try:
            if reservation is not None:
                arguments: dict[str, Any] = {"reservation": reservation}
                yield from _ask(self._run, "cancel_slot", "rate_limit", "limit", **arguments)
        except GeneratorExit:  # no driver will perform another step
            raise
        except BaseException:  # cancelled again
            yield from self._report(Health.UNKNOWN, 0.0)
            raise
        yield from self._report(Health.UNKNOWN, 0.0)


def withdrawn(run: Run) -> Flow[bool]:
    """Take an extra request from the budget, when its wait starts; return whether it may be sent."""
    if "budget" not in run.policies.shared:
        return run.withdraw()
    yield from _deposited(run)
    yield from _refunded(run)
    run.withdrawal = yield from _ask(run, "withdraw", "budget", "budget")
    return run.withdrawal is not None


def waited(run: Run, seconds: float) -> Flow[None]:
    """Wait before an extra request; if that is interrupted, give back what it took."""
    try:
        yield from Sleep(seconds)
    except BaseException as interruption:
        run.refund(run.take_withdrawal())
        if not isinstance(interruption, GeneratorExit):  # else no driver will perform another step
            yield from settled(run)
        raise


def settled(run: Run) -> Flow[None]:
    """Count the request in the shared budget, and give back what it needn't have taken."""
    if "budget" not in run.policies.shared:
        return
    yield from _deposited(run)
    yield from _refunded(run)


def _refunded(run: Run) -> Flow[None]:
    while run.refundable:  # one by one: what is left if it is cancelled is given back later
        withdrawal, *others = run.refundable
        run.refundable = tuple(others)
        yield from _ask(run, "refund", "budget", "budget", withdrawal=withdrawal)


def _deposited(run: Run) -> Flow[None]:
    if not run.is_deposited:
        run.is_deposited = True
        yield from _ask(run, "deposit", "budget", "budget")


def _reported_at(
    run: Run, origin: str, health: Health, duration: float
) -> Flow[tuple[Transition, ...]]:
    """Tell the circuit of the origin that a redirect led to how it has answered."""
    answer = yield from _ask(run, "admit", "circuit", "breaker", origin)
    if isinstance(answer, Rejected):
        return ()
    changed = yield from _report(run, answer, health, duration, origin)
    return tuple(each for each in (answer.transition, changed) if each is not None)


def _report(
    run: Run, admission: Admission, health: Health, duration: float, origin: str | None = None
) -> Flow[Transition | None]:
    changed: Transition | None = yield from _ask(
        run,
        "report",
        "circuit",
        "breaker",
        origin,
        admission=admission,
        health=health,
        duration=duration,
        random=run.random(),
    )
    return changed


def _ask(
    run: Run, method: str, name: str, argument: str, origin: str | None = None, **arguments: Any
) -> Flow[Any]:
    """Ask the store for one decision.

    Args:
        run: the request.
        method: the method of the store.
        name: the policy, which names its state.
        argument: what the method calls the options of the policy.
        origin: the host that it is about; None for the one that was asked.
        **arguments: its other arguments.
    """
    policies = run.policies
    options = getattr(policies.options, name)
    scope = getattr(options, "scope", None) or options.per
    key = StateKey(name, str(scope_key(scope, origin or run.record.origin)))
    arguments[argument] = options
    call = functools.partial(getattr(policies.store, method), now=run.now(), **arguments)
    return (yield from Consult(call, key))
