"""How many attempts run at the same time, and who waits."""

import math
from typing import Any

import pytest

from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.gates import (
    ConcurrencyGate,
    Permit,
    Rejected,
    RejectionReason,
    Waiter,
)
from typed_async_client.policies.hosts import Hosts, Retention


def gate_with(*, max_concurrent: int = 1, **options: Any) -> ConcurrencyGate:
    """Return the gate of a bulkhead."""
    return Bulkhead(max_concurrent=max_concurrent, **options).start()


def admitted(gate: ConcurrencyGate, now: float = 0.0) -> Permit:
    """Return the permit of an attempt that must be admitted."""
    permit = gate.admit(now)
    assert isinstance(permit, Permit)
    return permit


def queued(gate: ConcurrencyGate, now: float = 0.0, deadline: float = math.inf) -> Waiter:
    """Return the place of an attempt that must wait."""
    waiter = gate.admit(now, deadline)
    assert isinstance(waiter, Waiter)
    return waiter


def rejected(gate: ConcurrencyGate, now: float = 0.0, deadline: float = math.inf) -> Rejected:
    """Return why an attempt is rejected, which it must be."""
    answer = gate.admit(now, deadline)
    assert isinstance(answer, Rejected)
    return answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_concurrent": 0}, "max_concurrent must be an integer >= 1, got 0"),
        ({"max_concurrent": 2.0}, "max_concurrent must be an integer >= 1, got 2.0"),
        ({"max_waiting": -1}, "max_waiting must be an integer >= 0, got -1"),
        ({"max_wait": -0.5}, "max_wait must be a finite number >= 0, got -0.5"),
        ({"max_wait": math.nan}, "max_wait must be a finite number >= 0, got nan"),
        ({"per": "origin"}, "per must be one of client, host, got 'origin'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        Bulkhead(**{"max_concurrent": 1, **options})


def test_permits_are_counted() -> None:
    """A permit says how many attempts were running when it was given."""
    gate = gate_with(max_concurrent=2)
    first, second = admitted(gate), admitted(gate)
    assert (first.in_flight, second.in_flight, gate.in_flight) == (1, 2, 2)
    gate.release(first, now=1.0)
    assert gate.in_flight == 1
    assert isinstance(gate.admit(1.0), Permit)


def test_a_permit_is_given_back_once() -> None:
    """Cleaning up twice doesn't admit one attempt too many."""
    gate = gate_with(max_concurrent=2)
    first, _second = admitted(gate), admitted(gate)
    gate.release(first, now=1.0)
    gate.release(first, now=2.0)
    assert gate.in_flight == 1


def test_those_that_wait_are_admitted_when_a_permit_is_free() -> None:
    """Until then the answer is to ask again after a release."""
    gate = gate_with()
    permit = admitted(gate)
    waiter = queued(gate)
    assert gate.grant(waiter, now=1.0) == math.inf
    gate.release(permit, now=2.0)
    assert isinstance(gate.grant(waiter, now=2.0), Permit)
    assert (gate.in_flight, gate.waiting) == (1, 0)


def test_nobody_overtakes_those_that_wait() -> None:
    """A newcomer waits behind them, even if a permit is free at that instant."""
    gate = gate_with()
    permit = admitted(gate)
    first = queued(gate)
    gate.release(permit, now=1.0)
    second = queued(gate, now=1.0)
    assert isinstance(gate.grant(first, now=1.0), Permit)
    assert gate.grant(second, now=1.0) == math.inf


def test_a_place_is_given_up_once() -> None:
    """By leaving, or by being admitted; a waiter that has left isn't admitted."""
    gate = gate_with()
    permit = admitted(gate)
    leaving, staying = queued(gate), queued(gate)
    gate.leave(leaving)
    gate.leave(leaving)
    assert gate.waiting == 1
    gate.release(permit, now=1.0)
    assert gate.grant(leaving, now=1.0) == math.inf
    assert isinstance(gate.grant(staying, now=1.0), Permit)
    gate.leave(staying)
    assert (gate.in_flight, gate.waiting) == (1, 0)


@pytest.mark.parametrize("max_waiting", [0, 2])
def test_a_full_queue_rejects_at_once(max_waiting: int) -> None:
    """How long to wait is unknown before the first release."""
    gate = gate_with(max_waiting=max_waiting)
    admitted(gate)
    for _ in range(max_waiting):
        queued(gate)
    assert rejected(gate) == Rejected(reason=RejectionReason.QUEUE_FULL, retry_after=None)
    assert gate.waiting == max_waiting


def test_a_wait_ends_at_the_deadline_or_after_the_longest_wait() -> None:
    """Whichever comes first; without both it may last for ever."""
    unlimited, limited = gate_with(), gate_with(max_wait=5.0)
    admitted(unlimited)
    admitted(limited)
    assert queued(unlimited, now=10.0).until == math.inf
    assert queued(unlimited, now=10.0, deadline=12.0).until == 12.0
    assert queued(limited, now=10.0).until == 15.0
    assert queued(limited, now=10.0, deadline=12.0).until == 12.0


def busy_gate(**options: Any) -> ConcurrencyGate:
    """Return a gate that is full at 40, and has released a permit every 10 seconds until then."""
    gate = gate_with(**options)
    for begin in (0.0, 10.0, 20.0, 30.0):
        gate.release(admitted(gate, now=begin), now=begin + 10.0)
    admitted(gate, now=40.0)
    return gate


def test_a_wait_that_would_pass_the_deadline_fails_now() -> None:
    """With a release every ten seconds, the second in the queue waits for twenty."""
    gate = busy_gate()
    assert queued(gate, now=40.0, deadline=50.0).estimate == 10.0
    assert rejected(gate, now=40.0, deadline=59.9) == Rejected(
        reason=RejectionReason.DEADLINE, retry_after=20.0
    )
    assert gate.waiting == 1
    assert queued(gate, now=40.0, deadline=60.0).estimate == 20.0


def test_a_wait_that_would_be_too_long_fails_now() -> None:
    """A deadline that is further away isn't the reason."""
    gate = busy_gate(max_wait=15.0)
    queued(gate, now=40.0, deadline=100.0)
    assert rejected(gate, now=40.0, deadline=100.0) == Rejected(
        reason=RejectionReason.TOO_LONG, retry_after=20.0
    )


def test_a_deadline_that_has_passed_allows_no_wait() -> None:
    """Even if nothing is known about how long it would be."""
    gate = gate_with()
    admitted(gate)
    assert rejected(gate, now=5.0, deadline=5.0).reason is RejectionReason.DEADLINE


def test_no_wait_is_expected_while_permits_are_free() -> None:
    """And a permit that is given back then says nothing about the queue."""
    gate = gate_with(max_concurrent=2)
    gate.release(admitted(gate, now=0.0), now=1000.0)
    assert gate.estimate() == 0.0
    admitted(gate, now=1000.0)
    admitted(gate, now=1000.0)
    assert gate.estimate() == 0.0


def test_a_long_attempt_does_not_spoil_the_estimate() -> None:
    """One of two permits is held for an hour; the other is released every second."""
    gate = gate_with(max_concurrent=2)
    download = admitted(gate, now=0.0)
    for second in range(3600):
        gate.release(admitted(gate, now=second), now=second + 1.0)
    admitted(gate, now=3600.0)
    assert gate.estimate() == pytest.approx(1.0)
    gate.release(download, now=3600.5)
    admitted(gate, now=3600.5)
    assert gate.estimate() == pytest.approx(1.0, rel=0.1)


def test_the_estimate_follows_the_rate_of_releases() -> None:
    """Four permits that are released together every eight seconds are one every two seconds."""
    gate = gate_with(max_concurrent=4)
    permits = [admitted(gate) for _ in range(4)]
    for end in range(8, 800, 8):
        waiters = [queued(gate, now=end - 1.0) for _ in range(4)]
        for permit in permits:
            gate.release(permit, now=end)
        granted = [gate.grant(waiter, now=end) for waiter in waiters]
        permits = [permit for permit in granted if isinstance(permit, Permit)]
    assert gate.estimate() == pytest.approx(2.0, rel=0.25)


def test_a_gate_in_use_is_not_forgotten() -> None:
    """Neither while a permit is held, nor while somebody waits."""
    gate = gate_with()
    assert gate.retention(now=0.0) is Retention.DISPOSABLE
    permit = admitted(gate)
    waiter = queued(gate)
    assert gate.retention(now=0.0) is Retention.REQUIRED
    gate.release(permit, now=1.0)
    assert gate.retention(now=1.0) is Retention.REQUIRED
    gate.leave(waiter)
    assert gate.retention(now=1.0) is Retention.DISPOSABLE


def test_each_host_has_its_own_gate() -> None:
    """One that is full doesn't affect another."""
    gates = Hosts(Bulkhead(max_concurrent=1, max_waiting=0).start)
    admitted(gates.at("a", now=0.0))
    assert rejected(gates.at("a", now=0.0)).reason is RejectionReason.QUEUE_FULL
    assert isinstance(gates.at("b", now=0.0).admit(0.0), Permit)
