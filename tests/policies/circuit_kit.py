"""Circuits, and attempts that end as a test says."""

from typing import Any, Final

from typed_async_client.policies.circuit import Circuit, CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.transitions import CircuitState, Ticket, Transition

OK: Final = Health.OK
BAD: Final = Health.FAILING
NOTHING: Final = Health.UNKNOWN


def circuit_with(**options: Any) -> Circuit:
    """Return a circuit that opens at the second failure, for ten seconds, unless told otherwise."""
    defaults = {"minimum_calls": 2, "reset_timeout": 10.0, "max_reset_timeout": 35.0}
    return CircuitBreaker(**{**defaults, **options}).start()


def admitted(circuit: Circuit, now: float = 0.0) -> Ticket:
    """Return the ticket of an attempt that must be admitted."""
    ticket = circuit.admit(now)
    assert isinstance(ticket, Ticket)
    return ticket


def rejected(circuit: Circuit, now: float) -> Rejected:
    """Return why an attempt is refused, which it must be."""
    answer = circuit.admit(now)
    assert isinstance(answer, Rejected)
    return answer


def report(
    circuit: Circuit,
    ticket: Ticket,
    health: Health,
    *,
    now: float = 0.0,
    duration: float = 0.1,
    random: float = 0.5,
) -> Transition | None:
    """Report an attempt, without jitter unless told otherwise."""
    return circuit.report(ticket, health, duration=duration, now=now, random=random)


def attempt(
    circuit: Circuit, *outcomes: Health, now: float = 0.0, **details: float
) -> list[Transition]:
    """Make attempts one after the other; return the transitions that their reports caused."""
    reports = [
        report(circuit, admitted(circuit, now), health, now=now, **details) for health in outcomes
    ]
    return [transition for transition in reports if transition is not None]


def opened(**options: Any) -> Circuit:
    """Return a circuit that opened at 0."""
    circuit = circuit_with(**options)
    attempt(circuit, BAD, BAD)
    assert circuit.state is CircuitState.OPEN
    return circuit
