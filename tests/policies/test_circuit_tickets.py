"""Which reports a circuit counts, and what only a person decides."""

import pytest
from circuit_kit import BAD, NOTHING, OK, admitted, attempt, circuit_with, opened, rejected, report

from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import Hosts, Retention
from typed_async_client.policies.transitions import CircuitState, TransitionReason


def test_an_attempt_is_reported_once() -> None:
    """Cleaning up in ``finally`` changes nothing."""
    circuit = circuit_with()
    ticket = admitted(circuit)
    for health in (BAD, BAD, NOTHING):
        assert report(circuit, ticket, health) is None
    assert circuit.in_flight == 0
    assert circuit.state is CircuitState.CLOSED


def test_attempts_of_an_earlier_state_do_not_count() -> None:
    """They neither keep an open circuit open for longer nor decide in place of a probe."""
    circuit = circuit_with()
    late = [admitted(circuit) for _ in range(6)]
    attempt(circuit, BAD, BAD)
    assert report(circuit, late[0], BAD, now=5.0) is None
    assert rejected(circuit, now=5.0).retry_after == 5.0
    probe = admitted(circuit, now=10.0)
    assert report(circuit, late[1], OK, now=10.0) is None
    assert report(circuit, late[2], BAD, now=10.0) is None
    closing = report(circuit, probe, OK, now=11.0)
    assert closing is not None
    assert closing.previous is CircuitState.HALF_OPEN
    for ticket in late[3:]:
        assert report(circuit, ticket, BAD, now=11.0) is None
    assert circuit.state is CircuitState.CLOSED
    assert circuit.in_flight == 0


def test_a_probe_that_shows_nothing_is_replaced() -> None:
    """It was cancelled, for example, so the next attempt takes its place."""
    circuit = opened()
    probe = admitted(circuit, now=10.0)
    rejected(circuit, now=10.0)
    assert report(circuit, probe, NOTHING, now=11.0) is None
    (transition,) = attempt(circuit, OK, now=11.0)
    assert transition.state is CircuitState.CLOSED


def test_a_probe_that_never_ends_is_replaced() -> None:
    """After the time that the circuit was open at first; its report then doesn't count."""
    circuit = opened()
    lost = admitted(circuit, now=10.0)
    assert rejected(circuit, now=19.0).retry_after == 1.0
    probe = admitted(circuit, now=20.0)
    assert (probe.is_probe, probe.transition) == (True, None)
    assert report(circuit, lost, BAD, now=20.0) is None
    closing = report(circuit, probe, OK, now=20.0)
    assert closing is not None
    assert closing.previous is CircuitState.HALF_OPEN


def test_probes_that_are_left_are_admitted_at_any_time() -> None:
    """Those that have ended still count."""
    circuit = opened(probes=2, failure_rate=1.0)
    attempt(circuit, BAD, now=10.0)
    attempt(circuit, BAD, now=1000.0)
    assert circuit.state is CircuitState.OPEN


@pytest.mark.parametrize("before", list(CircuitState))
def test_an_isolated_circuit_refuses_until_it_is_closed(before: CircuitState) -> None:
    """Whatever its state was; no time is long enough, and no probe is sent."""
    circuit = opened() if before is CircuitState.OPEN else circuit_with()
    if before is CircuitState.HALF_OPEN:
        circuit = opened()
        admitted(circuit, now=10.0)
    if before is CircuitState.ISOLATED:
        circuit.isolate()
    transition = circuit.isolate()
    assert (transition is None) is (before is CircuitState.ISOLATED)
    assert transition is None or transition.reason is TransitionReason.MANUAL
    assert rejected(circuit, now=1e9) == Rejected(reason=RejectionReason.CIRCUIT_ISOLATED)
    closing = circuit.close()
    assert closing is not None
    assert (closing.previous, closing.state) == (CircuitState.ISOLATED, CircuitState.CLOSED)
    assert not admitted(circuit, now=1e9).is_probe


def test_attempts_in_flight_do_not_count_after_a_circuit_is_closed_by_hand() -> None:
    """Nor do those that were counted before."""
    circuit = circuit_with()
    attempt(circuit, BAD)
    late = admitted(circuit)
    assert circuit.close() is None
    assert report(circuit, late, BAD) is None
    assert attempt(circuit, BAD) == []
    attempt(circuit, BAD)
    closing = circuit.close()
    assert closing is not None
    assert closing.previous is CircuitState.OPEN
    assert circuit.trips == 0


def test_what_matters_of_a_circuit_is_kept() -> None:
    """Tickets and a person's decision always, what was learnt as long as there is room."""
    circuit = circuit_with(window=10.0)
    assert circuit.retention(now=0.0) is Retention.DISPOSABLE
    ticket = admitted(circuit)
    assert circuit.retention(now=0.0) is Retention.REQUIRED
    report(circuit, ticket, BAD)
    assert circuit.retention(now=9.0) is Retention.USEFUL
    assert circuit.retention(now=10.0) is Retention.DISPOSABLE
    attempt(circuit, BAD, BAD, now=20.0)
    assert circuit.retention(now=1e6) is Retention.USEFUL
    circuit.isolate()
    assert circuit.retention(now=1e6) is Retention.REQUIRED


def test_each_host_has_its_own_circuit() -> None:
    """One that fails doesn't affect another."""
    circuits = Hosts(CircuitBreaker(minimum_calls=1).start)
    attempt(circuits.at("a", now=0.0), BAD)
    assert circuits.at("a", now=0.0).state is CircuitState.OPEN
    assert circuits.at("b", now=0.0).state is CircuitState.CLOSED


def test_a_throttled_probe_closes_the_circuit() -> None:
    """The server works again; how much it wants to be sent is for others to limit."""
    circuit = opened()
    attempt(circuit, Health.THROTTLED, now=10.0)
    assert circuit.state is CircuitState.CLOSED
