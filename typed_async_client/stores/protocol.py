"""What a store of shared state answers, and the protocols that stores implement.

A store keeps the state of rate limits, circuits and retry budgets for several clients, perhaps in
several processes. One call is one decision: it reads the state and changes it in a single step, so
that two clients never decide on the same state.
"""

import dataclasses
from typing import NamedTuple, Protocol

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import Transition

__all__ = [
    "Admission",
    "Reservation",
    "StateKey",
    "StateStore",
    "SyncStateStore",
    "Withdrawal",
]


class StateKey(NamedTuple):
    """Which state a decision is about.

    Clients that pass the same key and the same options share the state. Each kind of policy has
    states of its own.
    """

    name: str  #: tells apart the policies of a kind, such as two rate limits of a client
    host: str = ""  #: the origin that the state belongs to; empty if it is for all of them


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The right to begin one attempt, now or later.

    Attributes:
        wait: seconds until it may begin; 0 for now.
        receipt: what the store needs to cancel it; its type is the store's affair.
    """

    wait: float
    receipt: object = dataclasses.field(repr=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A circuit lets one attempt pass, which must be reported.

    Attributes:
        is_probe: whether the outcome decides if the circuit closes; such an attempt needs no copies.
        transition: the transition that it caused, to be published; None if it caused none.
        receipt: what the store needs to accept the report; its type is the store's affair.
    """

    is_probe: bool = False
    transition: Transition | None = None
    receipt: object = dataclasses.field(repr=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """One extra request, taken out of a retry budget.

    Attributes:
        receipt: what the store needs to refund it; its type is the store's affair.
    """

    receipt: object = dataclasses.field(repr=False, compare=False)


class StateStore(Protocol):
    """Keeps the state of policies for asynchronous clients.

    No method raises because the state can't be reached: the store then decides by itself as well as
    it can. If a call is cancelled, what it would have taken is given back, and what it was to give
    back or report still is.

    Each method takes ``now``, in monotonic seconds. A store with a clock of its own ignores it
    unless it must decide by itself. A reservation, an admission and a withdrawal can be given back
    or reported once; doing so again does nothing.
    """

    async def take_slot(
        self, key: StateKey, limit: RateLimit, *, now: float, deadline: float = ...
    ) -> Reservation | Rejected:
        """Reserve the next slot of a rate limit.

        Nobody queues: each caller gets the first slot that isn't taken, and sleeps until then.
        ``limit.max_waiting`` counts the slots that are reserved and haven't begun.

        Args:
            key: which state.
            limit: what the state obeys.
            now: monotonic seconds.
            deadline: when the request must have ended, in monotonic seconds.

        Returns:
            The slot, or why it would come too late, which reserves nothing.
        """
        ...

    async def cancel_slot(
        self, key: StateKey, limit: RateLimit, reservation: Reservation, *, now: float
    ) -> bool:
        """Give back a slot that isn't used.

        Only the latest slot can be given back, because the slots after it were promised to others.
        Any other is lost, so that fewer attempts begin, never more.

        Returns:
            Whether it was given back.
        """
        ...

    async def admit(
        self, key: StateKey, breaker: CircuitBreaker, *, now: float
    ) -> Admission | Rejected:
        """Ask a circuit for a new attempt, which must be reported once.

        Returns:
            The admission, or why the attempt may not be made.
        """
        ...

    async def report(
        self,
        key: StateKey,
        breaker: CircuitBreaker,
        admission: Admission,
        health: Health,
        *,
        duration: float,
        now: float,
        random: float,
    ) -> Transition | None:
        """Say how an admitted attempt ended.

        Args:
            key: which state.
            breaker: what the state obeys.
            admission: what ``admit()`` returned.
            health: what the attempt shows about the server; ``UNKNOWN`` isn't counted.
            duration: seconds until the response began, or until the attempt failed.
            now: monotonic seconds.
            random: a number in [0, 1), for the jitter of the break; 0.5 means no jitter.

        Returns:
            The transition that it caused, to be published by this client alone; None if none.
        """
        ...

    async def deposit(self, key: StateKey, budget: RetryBudget, *, now: float) -> None:
        """Count a request in a retry budget; its retries aren't counted again."""
        ...

    async def withdraw(
        self, key: StateKey, budget: RetryBudget, *, now: float
    ) -> Withdrawal | None:
        """Take an extra request out of a retry budget; return None if not enough is left."""
        ...

    async def refund(
        self, key: StateKey, budget: RetryBudget, withdrawal: Withdrawal, *, now: float
    ) -> None:
        """Give back what an extra request took, because it succeeded or was never sent."""
        ...

    async def aclose(self) -> None:
        """Finish what cancelled calls left to do, and close the connections of the store."""
        ...


class SyncStateStore(Protocol):
    """Keeps the state of policies for synchronous clients; safe for several threads.

    Its methods are those of ``StateStore`` without ``await``.
    """

    def take_slot(
        self, key: StateKey, limit: RateLimit, *, now: float, deadline: float = ...
    ) -> Reservation | Rejected:
        """Reserve the next slot of a rate limit; return why if it would come too late."""
        ...

    def cancel_slot(
        self, key: StateKey, limit: RateLimit, reservation: Reservation, *, now: float
    ) -> bool:
        """Give back a slot that isn't used; return whether that was possible."""
        ...

    def admit(self, key: StateKey, breaker: CircuitBreaker, *, now: float) -> Admission | Rejected:
        """Ask a circuit for a new attempt, which must be reported once."""
        ...

    def report(
        self,
        key: StateKey,
        breaker: CircuitBreaker,
        admission: Admission,
        health: Health,
        *,
        duration: float,
        now: float,
        random: float,
    ) -> Transition | None:
        """Say how an admitted attempt ended; return the transition that it caused."""
        ...

    def deposit(self, key: StateKey, budget: RetryBudget, *, now: float) -> None:
        """Count a request in a retry budget; its retries aren't counted again."""
        ...

    def withdraw(self, key: StateKey, budget: RetryBudget, *, now: float) -> Withdrawal | None:
        """Take an extra request out of a retry budget; return None if not enough is left."""
        ...

    def refund(
        self, key: StateKey, budget: RetryBudget, withdrawal: Withdrawal, *, now: float
    ) -> None:
        """Give back what an extra request took, because it succeeded or was never sent."""
        ...

    def close(self) -> None:
        """Close the connections of the store."""
        ...
