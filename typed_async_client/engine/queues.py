"""The queue in front of a gate. The gate only counts; here stand those that wait, in their order.

Nothing here waits. Drivers do, and are woken by ``Turn.wake``.
"""

import math
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from typed_async_client.policies.gates import Rejected, Waiter
from typed_async_client.policies.hosts import Retention

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GateQueue", "QueuedGate", "Turn"]

PermitT = TypeVar("PermitT")


class QueuedGate(Protocol[PermitT]):
    """What a queue needs of its gate: see ``policies/gates.py``."""

    def admit(self, now: float, deadline: float = ...) -> PermitT | Waiter | Rejected:
        """Ask for a new attempt."""

    def grant(self, waiter: Waiter, now: float) -> PermitT | float:
        """Ask again for the first in the queue."""

    def leave(self, waiter: Waiter) -> None:
        """Give up a place in the queue."""

    def release(self, permit: PermitT, now: float) -> object:
        """Give a permit back."""

    def retention(self, now: float) -> Retention:
        """Return how much would be lost if the gate were forgotten."""


class Turn(Generic[PermitT]):
    """A place in the queue.

    Attributes:
        permit: what admits the attempt; None until it is its turn.
        until: when to give up, in monotonic seconds.
        ask_at: when to ask the queue again, in monotonic seconds; infinite for every other turn
            than the first, and if only a release can help.
        wake: called when ``permit`` or ``ask_at`` has changed.
    """

    __slots__ = ("ask_at", "permit", "until", "waiter", "wake")

    def __init__(self, waiter: Waiter) -> None:
        self.ask_at: float = math.inf
        self.permit: PermitT | None = None
        self.until: float = waiter.until
        self.waiter: Waiter = waiter
        self.wake: Callable[[], None] = _do_nothing


class GateQueue(Generic[PermitT]):
    """A gate with its queue, first in, first out.

    Args:
        gate: admits attempts.
    """

    __slots__ = ("_turns", "gate")

    def __init__(self, gate: QueuedGate[PermitT]) -> None:
        self.gate: QueuedGate[PermitT] = gate
        self._turns: deque[Turn[PermitT]] = deque()

    def admit(self, now: float, deadline: float) -> PermitT | Turn[PermitT] | Rejected:
        """Admit an attempt, refuse it, or give it a place in the queue.

        Args:
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.
        """
        answer = self.gate.admit(now, deadline)
        if not isinstance(answer, Waiter):
            return answer
        turn: Turn[PermitT] = Turn(answer)
        self._turns.append(turn)
        self.serve(now)
        return turn

    def serve(self, now: float) -> None:
        """Admit those whose turn it is, and tell the first of the others when to ask again."""
        while self._turns:
            first = self._turns[0]
            answer = self.gate.grant(first.waiter, now)
            if isinstance(answer, float):
                first.ask_at = now + answer
                if answer != math.inf:
                    first.wake()
                return
            self._turns.popleft()
            first.permit = answer
            first.wake()

    def leave(self, turn: Turn[PermitT], now: float) -> None:
        """Give up a place in the queue, or the permit if it was given in the meantime."""
        if turn.permit is not None:
            self.release(turn.permit, now)
            return
        self.gate.leave(turn.waiter)
        self._turns.remove(turn)
        self.serve(now)

    def release(self, permit: PermitT, now: float) -> None:
        """Give a permit back, and serve those that wait."""
        self.gate.release(permit, now)
        if self._turns:
            self.serve(now)

    def retention(self, now: float) -> Retention:
        """Return how much would be lost if the gate were forgotten."""
        return self.gate.retention(now)


def _do_nothing() -> None:
    """Wake nobody: the turn came before anybody waited for it."""
