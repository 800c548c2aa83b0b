"""Every gate can be served by the same driver."""

import math
from collections import deque
from typing import Any

import pytest

from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.policies.gates import ConcurrencyGate, Gate, Permit, Waiter
from typed_async_client.policies.rate_limit import RateLimit

HOLD = 2.0


def serve(gate: Gate[Any], arrivals: int, giving_up: set[int]) -> list[tuple[int, float]]:
    """Let attempts arrive at 0, and return when each of them began, on a clock that jumps.

    It is what a driver does: it owns the queue, asks for the first in it, and sleeps until a permit
    is released or the gate has said to ask again.
    """
    now = 0.0
    queue: deque[tuple[int, Waiter]] = deque()
    begun: list[tuple[int, float]] = []
    held: deque[tuple[float, Permit]] = deque()

    def begin(number: int, permit: object) -> None:
        begun.append((number, now))
        if isinstance(permit, Permit):
            held.append((now + HOLD, permit))

    for number in range(arrivals):
        answer = gate.admit(now)
        if isinstance(answer, Waiter):
            queue.append((number, answer))
        else:
            begin(number, answer)
    for number, waiter in list(queue):
        if number in giving_up:
            queue.remove((number, waiter))
            gate.leave(waiter)
    while queue:
        granted = gate.grant(queue[0][1], now)
        if not isinstance(granted, float):
            begin(queue.popleft()[0], granted)
            continue
        released = held[0][0] if held else math.inf
        now = min(now + granted, released)
        if now == released:
            permit = held.popleft()[1]
            assert isinstance(gate, ConcurrencyGate)
            gate.release(permit, now)
    return begun


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (Bulkhead(max_concurrent=2).start(), [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]),
        (AdaptiveLimit(initial=3).start(), [0.0, 0.0, 0.0, 2.0, 2.0, 2.0]),
        (RateLimit(rate=2, burst=2).start(), [0.0, 0.0, 0.5, 1.0, 1.5, 2.0]),
    ],
)
def test_one_driver_serves_every_gate(gate: Gate[Any], expected: list[float]) -> None:
    """In the order of arrival; whoever gives up makes those behind it begin earlier."""
    begun = serve(gate, arrivals=8, giving_up={4, 6})
    assert [number for number, _ in begun] == [0, 1, 2, 3, 5, 7]
    assert [at for _, at in begun] == expected
