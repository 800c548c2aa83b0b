"""Keeps the state of policies in this process: the policies themselves, one per key."""

import functools
import math
import threading
from collections.abc import Callable, Hashable
from typing import Generic

from typed_async_client.policies.budget import BudgetState, RetryBudget
from typed_async_client.policies.circuit import Circuit, CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import DEFAULT_MAX_HOSTS, Hosts, Retention, StateT
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.reservations import ReservedSlot, SlotBook
from typed_async_client.policies.transitions import Ticket, Transition
from typed_async_client.stores.protocol import Admission, Reservation, StateKey, Withdrawal

__all__ = ["LocalStore", "SyncLocalStore"]


class _Place(Generic[StateT]):
    """Where a state is kept, which is created from the options of the first decision about it."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: StateT | None = None

    def retention(self, now: float) -> Retention:
        return Retention.DISPOSABLE if self.state is None else self.state.retention(now)


class _Places(Generic[StateT]):
    """The states of a kind of policy, by key and options."""

    __slots__ = ("_hosts",)

    def __init__(self, max_hosts: int) -> None:
        self._hosts: Hosts[_Place[StateT]] = Hosts(_Place, max_hosts=max_hosts)

    def at(self, key: Hashable, now: float, create: Callable[[], StateT]) -> StateT:
        place = self._hosts.at(key, now)
        if place.state is None:
            place.state = create()
        return place.state


class _Withdrawn:
    """When an extra request was withdrawn, and whether it has been refunded."""

    __slots__ = ("at", "is_refunded")

    def __init__(self, at: float) -> None:
        self.at = at
        self.is_refunded = False


class SyncLocalStore:
    """Keeps the state for the clients of this process; safe for several threads.

    Args:
        max_hosts: keys that are remembered for each kind of policy, >= 1. The key used least
            recently is forgotten first, unless an admitted attempt of it hasn't been reported.

    Raises:
        ValueError: ``max_hosts`` isn't an integer >= 1.

    Example:
        >>> store, key = SyncLocalStore(), StateKey("search", "https://example.org")
        >>> limit = RateLimit(rate=2)
        >>> store.take_slot(key, limit, now=0.0), store.take_slot(key, limit, now=0.0)
        (Reservation(wait=0.0), Reservation(wait=0.5))
    """

    __slots__ = ("_books", "_budgets", "_circuits", "_lock")

    def __init__(self, *, max_hosts: int = DEFAULT_MAX_HOSTS) -> None:
        self._books: _Places[SlotBook] = _Places(max_hosts)
        self._circuits: _Places[Circuit] = _Places(max_hosts)
        self._budgets: _Places[BudgetState] = _Places(max_hosts)
        self._lock = threading.Lock()

    def take_slot(
        self, key: StateKey, limit: RateLimit, *, now: float, deadline: float = math.inf
    ) -> Reservation | Rejected:
        """Reserve the next slot of a rate limit; return why if it would come too late."""
        with self._lock:
            slot = self._book(key, limit, now).reserve(now, deadline)
        return slot if isinstance(slot, Rejected) else Reservation(wait=slot.wait, receipt=slot)

    def cancel_slot(
        self, key: StateKey, limit: RateLimit, reservation: Reservation, *, now: float
    ) -> bool:
        """Give back a slot that isn't used; return whether that was possible."""
        if not isinstance(reservation.receipt, ReservedSlot):
            return False
        with self._lock:
            return self._book(key, limit, now).give_back(reservation.receipt)

    def admit(self, key: StateKey, breaker: CircuitBreaker, *, now: float) -> Admission | Rejected:
        """Ask a circuit for a new attempt, which must be reported once."""
        with self._lock:
            ticket = self._circuits.at((key, breaker), now, breaker.start).admit(now)
        if isinstance(ticket, Rejected):
            return ticket
        return Admission(is_probe=ticket.is_probe, transition=ticket.transition, receipt=ticket)

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
        ticket = admission.receipt
        if not isinstance(ticket, Ticket):
            return None
        with self._lock:
            circuit = self._circuits.at((key, breaker), now, breaker.start)
            return circuit.report(ticket, health, duration=duration, now=now, random=random)

    def deposit(self, key: StateKey, budget: RetryBudget, *, now: float) -> None:
        """Count a request in a retry budget; its retries aren't counted again."""
        with self._lock:
            self._budget(key, budget, now).deposit(now)

    def withdraw(self, key: StateKey, budget: RetryBudget, *, now: float) -> Withdrawal | None:
        """Take an extra request out of a retry budget; return None if not enough is left."""
        with self._lock:
            is_allowed = self._budget(key, budget, now).withdraw(now)
        return Withdrawal(receipt=_Withdrawn(now)) if is_allowed else None

    def refund(
        self, key: StateKey, budget: RetryBudget, withdrawal: Withdrawal, *, now: float
    ) -> None:
        """Give back what an extra request took, because it succeeded or was never sent."""
        taken = withdrawal.receipt
        with self._lock:
            if isinstance(taken, _Withdrawn) and not taken.is_refunded:
                taken.is_refunded = True
                self._budget(key, budget, now).refund(taken.at, now=now)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _book(self, key: StateKey, limit: RateLimit, now: float) -> SlotBook:
        return self._books.at((key, limit), now, functools.partial(SlotBook, limit))

    def _budget(self, key: StateKey, budget: RetryBudget, now: float) -> BudgetState:
        return self._budgets.at((key, budget), now, functools.partial(BudgetState, budget))


class LocalStore:
    """Keeps the state for the asynchronous clients of this process.

    Args:
        max_hosts: as for ``SyncLocalStore``.

    Raises:
        ValueError: ``max_hosts`` isn't an integer >= 1.
    """

    __slots__ = ("_states",)

    def __init__(self, *, max_hosts: int = DEFAULT_MAX_HOSTS) -> None:
        self._states = SyncLocalStore(max_hosts=max_hosts)

    async def take_slot(
        self, key: StateKey, limit: RateLimit, *, now: float, deadline: float = math.inf
    ) -> Reservation | Rejected:
        """Reserve the next slot of a rate limit; return why if it would come too late."""
        return self._states.take_slot(key, limit, now=now, deadline=deadline)

    async def cancel_slot(
        self, key: StateKey, limit: RateLimit, reservation: Reservation, *, now: float
    ) -> bool:
        """Give back a slot that isn't used; return whether that was possible."""
        return self._states.cancel_slot(key, limit, reservation, now=now)

    async def admit(
        self, key: StateKey, breaker: CircuitBreaker, *, now: float
    ) -> Admission | Rejected:
        """Ask a circuit for a new attempt, which must be reported once."""
        return self._states.admit(key, breaker, now=now)

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
        """Say how an admitted attempt ended; return the transition that it caused."""
        return self._states.report(
            key, breaker, admission, health, duration=duration, now=now, random=random
        )

    async def deposit(self, key: StateKey, budget: RetryBudget, *, now: float) -> None:
        """Count a request in a retry budget; its retries aren't counted again."""
        self._states.deposit(key, budget, now=now)

    async def withdraw(
        self, key: StateKey, budget: RetryBudget, *, now: float
    ) -> Withdrawal | None:
        """Take an extra request out of a retry budget; return None if not enough is left."""
        return self._states.withdraw(key, budget, now=now)

    async def refund(
        self, key: StateKey, budget: RetryBudget, withdrawal: Withdrawal, *, now: float
    ) -> None:
        """Give back what an extra request took, because it succeeded or was never sent."""
        self._states.refund(key, budget, withdrawal, now=now)

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""
