"""Runs attempts at an adaptive gate."""

from typing import Any

from typed_async_client.policies.adaptive import AdaptiveGate, AdaptiveLimit
from typed_async_client.policies.gates import Permit
from typed_async_client.policies.health import Health

__all__ = ["admitted", "gate_with", "run_window"]


def gate_with(**options: Any) -> AdaptiveGate:
    """Return a gate whose windows end at the first response, unless told otherwise."""
    return AdaptiveLimit(**{"initial": 10, "window": 1.0, "minimum_samples": 1, **options}).start()


def admitted(gate: AdaptiveGate, number: int, now: float) -> list[Permit]:
    """Return the permits of attempts that must be admitted."""
    permits = [gate.admit(now) for _ in range(number)]
    assert all(isinstance(permit, Permit) for permit in permits)
    return [permit for permit in permits if isinstance(permit, Permit)]


def run_window(gate: AdaptiveGate, number: int, *, begin: float, duration: float = 0.1) -> None:
    """Run attempts at the same time; their responses come when the window begins and ends."""
    permits = admitted(gate, number, begin)
    for permit in permits:
        gate.report(permit, Health.OK, duration=duration, now=begin)
    gate.report(permits[0], Health.OK, duration=duration, now=begin + 1.0)
    for permit in permits:
        gate.release(permit, begin + 1.0)
