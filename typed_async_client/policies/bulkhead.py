"""How many attempts may run at the same time, and how many may wait for their turn."""

import dataclasses

from typed_async_client.policies.checks import require_count, require_one_of
from typed_async_client.policies.gates import ConcurrencyGate, QueueLimits
from typed_async_client.policies.hosts import Scope

__all__ = ["Bulkhead"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bulkhead:
    """Limit concurrent attempts, so that one slow host can't use up what all hosts share.

    An attempt holds its permit until the body of its response has been read or closed. Those that
    wait are served in the order of their arrival. One is rejected at once, and nothing is sent, if
    the queue is full or its turn would probably come after its deadline.

    Args:
        max_concurrent: attempts that may run at the same time, >= 1.
        max_waiting: attempts that may wait, >= 0; None for no limit.
        max_wait: longest wait in seconds, >= 0; None for no limit but the deadline.
        per: ``"host"`` to count each host by itself, ``"client"`` to count all of them together.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> gate = Bulkhead(max_concurrent=1, max_waiting=0).start()
        >>> permit = gate.admit(now=0.0)
        >>> gate.admit(now=0.5).reason
        <RejectionReason.QUEUE_FULL: 'queue_full'>
    """

    max_concurrent: int
    max_waiting: int | None = None
    max_wait: float | None = None
    per: Scope = "host"

    def __post_init__(self) -> None:
        require_count("max_concurrent", self.max_concurrent, at_least=1)
        QueueLimits(max_waiting=self.max_waiting, max_wait=self.max_wait)
        require_one_of("per", self.per, ("client", "host"))

    def start(self) -> ConcurrencyGate:
        """Return the gate of a host, or of the whole client."""
        queue = QueueLimits(max_waiting=self.max_waiting, max_wait=self.max_wait)
        return ConcurrencyGate(self.max_concurrent, queue)
