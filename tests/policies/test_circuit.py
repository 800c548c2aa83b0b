"""When a circuit opens, probes and closes."""

import math
from typing import Any

import pytest
from circuit_kit import BAD, NOTHING, OK, admitted, attempt, circuit_with, opened, rejected, report

from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.health import Health
from typed_async_client.policies.transitions import CircuitState, Transition, TransitionReason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failure_rate": 0}, "failure_rate must be a finite number > 0 and <= 1, got 0"),
        ({"failure_rate": 50}, "failure_rate must be a finite number > 0 and <= 1, got 50"),
        ({"slow_rate": 1.1}, "slow_rate must be a finite number > 0 and <= 1, got 1.1"),
        ({"window": 0.0}, "window must be a finite number >= 0.001, got 0.0"),
        ({"reset_timeout": 0}, "reset_timeout must be a finite number > 0, got 0"),
        ({"reset_factor": 0.5}, "reset_factor must be a finite number >= 1, got 0.5"),
        ({"reset_timeout": 600}, "max_reset_timeout must be a finite number >= 600, got 300.0"),
        ({"minimum_calls": 0}, "minimum_calls must be an integer >= 1, got 0"),
        ({"probes": 0}, "probes must be an integer >= 1, got 0"),
        ({"window_calls": 0}, "window_calls must be an integer >= 1, got 0"),
        ({"slow_duration": math.nan}, "slow_duration must be a finite number >= 0, got nan"),
        ({"per": "url"}, "per must be one of client, host, got 'url'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        CircuitBreaker(**options)


@pytest.mark.parametrize(
    ("outcomes", "failure_rate", "opens_at"),
    [
        ([BAD] * 3, 0.5, 2),
        ([BAD, OK, OK, OK], 0.5, 2),
        ([OK, BAD], 0.5, 2),
        ([OK, OK, BAD, OK], 0.5, None),
        ([OK, OK, BAD, BAD], 0.5, 4),
        ([OK] * 7 + [BAD] * 3, 0.3, 10),
        ([OK, OK, BAD], 0.34, None),
        ([BAD] * 9 + [OK], 1.0, 2),
        ([Health.OVERLOADED] * 2, 0.5, 2),
        ([Health.THROTTLED] * 5, 0.01, None),
        ([BAD] + [NOTHING] * 9, 0.5, None),
        ([NOTHING] * 9 + [BAD, BAD], 0.5, 11),
    ],
)
def test_the_share_of_failures_opens_a_circuit(
    outcomes: list[Health], failure_rate: float, opens_at: int | None
) -> None:
    """As soon as it is reached among enough attempts; local trouble is none of them."""
    circuit = circuit_with(failure_rate=failure_rate)
    for number, health in enumerate(outcomes, start=1):
        transitions = attempt(circuit, health)
        if number == opens_at:
            assert [transition.state for transition in transitions] == [CircuitState.OPEN]
            return
        assert transitions == []
    assert opens_at is None


def test_the_transition_says_why_a_circuit_opened() -> None:
    """With the figures that decided it, and for how long."""
    circuit = circuit_with(minimum_calls=4, slow_duration=1.0)
    assert attempt(circuit, OK, BAD) == []
    assert attempt(circuit, OK, BAD, duration=2.0) == [
        Transition(
            state=CircuitState.OPEN,
            previous=CircuitState.CLOSED,
            reason=TransitionReason.FAILURE_RATE,
            calls=4,
            failure_rate=0.5,
            slow_rate=0.5,
            retry_after=10.0,
        )
    ]


def test_slow_attempts_open_a_circuit() -> None:
    """Those that took longer than the limit, whether they failed or not."""
    circuit = circuit_with(slow_duration=1.0, slow_rate=0.5, failure_rate=1.0)
    assert attempt(circuit, OK, OK, OK, duration=1.0) == []
    assert attempt(circuit, OK, BAD, duration=1.1) == []
    (transition,) = attempt(circuit, OK, duration=1.1)
    assert transition.reason is TransitionReason.SLOW_RATE
    assert (transition.calls, transition.slow_rate) == (6, 0.5)


def test_no_attempt_is_slow_unless_a_limit_is_set() -> None:
    """Whatever the share that opens the circuit."""
    circuit = circuit_with(slow_rate=0.01, probes=2)
    assert attempt(circuit, OK, OK, OK, duration=1e9) == []


def test_failures_are_forgotten_when_they_leave_the_window() -> None:
    """By default a window of time."""
    circuit = circuit_with(window=10.0)
    attempt(circuit, BAD, now=0.0)
    assert attempt(circuit, BAD, now=10.0) == []
    assert attempt(circuit, BAD, now=19.9) != []


def test_a_window_of_attempts_needs_no_more_than_it_holds() -> None:
    """Although the minimum is higher."""
    circuit = circuit_with(window_calls=3, minimum_calls=20)
    attempt(circuit, BAD, now=0.0)
    attempt(circuit, BAD, now=1e6)
    assert attempt(circuit, BAD, now=2e6) != []


def test_an_open_circuit_refuses_until_its_break_is_over() -> None:
    """The answer says how long that will be."""
    circuit = opened()
    assert rejected(circuit, now=0.0) == Rejected(
        reason=RejectionReason.CIRCUIT_OPEN, retry_after=10.0
    )
    assert rejected(circuit, now=7.5).retry_after == 2.5
    assert circuit.in_flight == 0
    ticket = admitted(circuit, now=10.0)
    assert ticket.is_probe
    assert ticket.transition == Transition(
        state=CircuitState.HALF_OPEN,
        previous=CircuitState.OPEN,
        reason=TransitionReason.BREAK_OVER,
        calls=2,
        failure_rate=1.0,
        slow_rate=0.0,
    )


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    """Meanwhile all others are refused; the failures of the past are forgotten."""
    circuit = opened()
    probe = admitted(circuit, now=10.0)
    assert rejected(circuit, now=12.0).retry_after == 8.0
    transition = report(circuit, probe, OK, now=12.0)
    assert transition == Transition(
        state=CircuitState.CLOSED,
        previous=CircuitState.HALF_OPEN,
        reason=TransitionReason.PROBES_PASSED,
        calls=1,
        failure_rate=0.0,
        slow_rate=0.0,
    )
    assert attempt(circuit, BAD, now=12.0) == []
    assert not admitted(circuit, now=12.0).is_probe


def test_the_break_grows_while_probes_fail() -> None:
    """Up to its maximum; it is short again after the circuit was closed."""
    circuit = opened()
    now, breaks = 0.0, [10.0]
    for _ in range(3):
        now += breaks[-1]
        (transition,) = attempt(circuit, BAD, now=now)
        assert transition.previous is CircuitState.HALF_OPEN
        assert transition.retry_after is not None
        breaks.append(transition.retry_after)
    assert breaks == [10.0, 20.0, 35.0, 35.0]
    assert circuit.trips == 4
    attempt(circuit, OK, now=now + 35.0)
    (transition,) = attempt(circuit, BAD, BAD, now=now + 35.0)
    assert (transition.retry_after, circuit.trips) == (10.0, 1)


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 8.0), (0.5, 10.0), (0.75, 11.0)])
def test_breaks_vary_so_that_clients_do_not_probe_together(random: float, seconds: float) -> None:
    """By up to 20 percent, as with a backoff."""
    (transition,) = attempt(circuit_with(), BAD, BAD, random=random)
    assert transition.retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([OK, OK], CircuitState.HALF_OPEN),
        ([OK, OK, OK], CircuitState.CLOSED),
        ([BAD, OK, OK], CircuitState.HALF_OPEN),
        ([BAD, OK, OK, OK], CircuitState.CLOSED),
        ([BAD, BAD], CircuitState.OPEN),
        ([OK, BAD, OK, BAD], CircuitState.OPEN),
        ([NOTHING, NOTHING, OK, OK], CircuitState.HALF_OPEN),
    ],
)
def test_several_probes_are_judged_by_the_same_rate(
    outcomes: list[Health], state: CircuitState
) -> None:
    """Of four probes two failures are too many; the result is known before the last has ended."""
    circuit = opened(probes=4)
    attempt(circuit, *outcomes, now=10.0)
    assert circuit.state is state


def test_slow_probes_open_the_circuit_again() -> None:
    """Although they succeed."""
    circuit = opened(probes=2, slow_duration=1.0)
    attempt(circuit, OK, now=10.0, duration=1.5)
    assert circuit.state is CircuitState.HALF_OPEN
    (transition,) = attempt(circuit, OK, now=11.0, duration=1.5)
    assert transition.reason is TransitionReason.SLOW_RATE
    assert transition.state is CircuitState.OPEN


def test_one_fast_probe_is_enough_if_only_slow_ones_would_open_the_circuit() -> None:
    """The share of slow probes can't reach all of them any more."""
    circuit = opened(probes=2, slow_duration=1.0, failure_rate=1.0)
    (transition,) = attempt(circuit, OK, now=10.0)
    assert transition.state is CircuitState.CLOSED
