"""Circuits in the hands of a person: their state, and opening and closing them by hand."""

import contextlib
from collections.abc import Callable
from typing import Any

from typed_async_client.context import RequestContext
from typed_async_client.engine.shared import Policies, SharedPolicies
from typed_async_client.events import CIRCUIT_EVENTS, AsyncEvent
from typed_async_client.policies.circuit import Circuit, CircuitBreaker
from typed_async_client.policies.transitions import CircuitState, Transition
from typed_async_client.record import RequestRecord

__all__ = ["CircuitControl", "circuit_control", "open_circuits"]

_ALL_ORIGINS = "*"


class CircuitControl:
    """The circuit of one host.

    Args:
        circuit: the circuit.
        origin: the host's scheme, name and port.
        publish: publishes what changes.
        lock: is held while the circuit is changed.

    Example:
        >>> client = AsyncResilientClient(resilience=Resilience.standard())
        >>> client.circuit("https://api.example.org").state
        <CircuitState.CLOSED: 'closed'>
    """

    def __init__(
        self,
        circuit: Circuit,
        origin: str,
        publish: Callable[[AsyncEvent], None],
        lock: contextlib.AbstractContextManager[Any],
    ) -> None:
        self._circuit = circuit
        self._lock = lock
        self._publish = publish
        self.origin: str = origin

    def __repr__(self) -> str:
        return f"<CircuitControl {self.origin} {self.state}>"

    @property
    def state(self) -> CircuitState:
        """Whether requests are admitted."""
        return self._circuit.state

    def isolate(self) -> None:
        """Refuse all requests to the host until ``close()`` is called."""
        with self._lock:
            transition = self._circuit.isolate()
        self._announce(transition)

    def close(self) -> None:
        """Admit requests to the host again, and forget how earlier ones ended."""
        with self._lock:
            transition = self._circuit.close()
        self._announce(transition)

    def _announce(self, transition: Transition | None) -> None:
        if transition is None:
            return
        kind = CIRCUIT_EVENTS[transition.state]
        record, context = RequestRecord("", self.origin), RequestContext()
        self._publish(AsyncEvent.adopt(kind, context, transition, None, 0, 0, 0.0, record, ()))


def circuit_control(
    policies: Policies,
    origin: str,
    now: float,
    publish: Callable[[AsyncEvent], None],
    lock: contextlib.AbstractContextManager[Any] | None = None,
) -> CircuitControl:
    """Return the circuit of a host.

    Args:
        policies: the policies that it belongs to.
        origin: a URL of the host; only scheme, name and port count.
        now: monotonic seconds.
        publish: publishes what changes.
        lock: is held while the circuit is changed.

    Raises:
        ValueError: the policies have no circuit breaker, or a store keeps its state.
    """
    if policies.options.circuit is None:
        raise ValueError(
            "there is no circuit: pass resilience=Resilience(circuit=CircuitBreaker())"
        )
    if "circuit" in policies.shared:
        raise ValueError(
            "a store keeps the circuits, which other clients use too: one client can neither look "
            "at them nor open and close them by hand"
        )
    name = RequestRecord("GET", origin).origin
    states = policies.states_at(name, now)
    return CircuitControl(states["circuit"], name, publish, lock or contextlib.nullcontext())


def open_circuits(policies: SharedPolicies) -> dict[str, CircuitState] | None:
    """Return the state of each circuit that isn't closed, by its origin, or ``"*"`` for all.

    Requests may bring their own circuit breakers; if two circuits of an origin aren't closed, the
    one that was used last counts.

    Returns:
        None if there is no circuit breaker, or a store keeps all circuits.
    """
    breakers = policies.states_with(CircuitBreaker)
    if not breakers:
        return None
    return {
        str(origin) or _ALL_ORIGINS: circuit.state
        for circuits in breakers
        for origin, circuit in circuits
        if circuit.state is not CircuitState.CLOSED
    }
