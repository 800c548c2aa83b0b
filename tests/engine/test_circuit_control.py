"""Circuits that are opened and closed by hand."""

import threading

import pytest

from typed_async_client import AsyncEvent, EventType, Resilience
from typed_async_client.engine.circuits import circuit_control
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.transitions import CircuitState
from typed_async_client.stores.local import SyncLocalStore

GUARDED = Resilience(circuit=CircuitBreaker())


@pytest.mark.parametrize("lock", [None, threading.RLock()], ids=["async", "threads"])
def test_a_circuit_is_opened_and_closed_by_hand(lock: "threading.RLock | None") -> None:
    """Each change is one event, without a request; what changes nothing is none."""
    shared, events = SharedPolicies(), list[AsyncEvent]()
    policies = shared.of(GUARDED)
    control = circuit_control(policies, "https://a.test/x?y", 1.0, events.append, lock)
    assert (control.origin, control.state) == ("https://a.test", CircuitState.CLOSED)
    control.isolate()
    control.isolate()
    assert policies.states_at("https://a.test", 1.0)["circuit"].state is CircuitState.ISOLATED
    assert repr(control) == "<CircuitControl https://a.test isolated>"
    control.close()
    control.close()
    kinds = [event.event_type for event in events]
    assert kinds == [EventType.CIRCUIT_OPENED, EventType.CIRCUIT_CLOSED]
    assert [event.origin for event in events] == ["https://a.test"] * 2
    assert [event.data.reason for event in events] == ["manual"] * 2


def test_there_is_nothing_to_control_without_a_circuit_of_ones_own() -> None:
    """Neither without a circuit breaker nor if a store keeps the state."""
    stored = SharedPolicies(SyncLocalStore()).of(GUARDED)
    events: list[AsyncEvent] = []
    for policies, message in (
        (SharedPolicies().of(Resilience()), "there is no circuit: pass resilience="),
        (stored, "a store keeps the circuits"),
    ):
        with pytest.raises(ValueError, match=message):
            circuit_control(policies, "http://a.test", 1.0, events.append)
