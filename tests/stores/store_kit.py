"""Stores of all kinds behind one interface, and short forms of what the tests ask them."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.policies.transitions import Transition
from typed_async_client.stores import (
    Admission,
    Reservation,
    StateKey,
    StateStore,
    SyncStateStore,
)

__all__ = ["KEY", "admitted", "awaited", "report", "reserved", "take"]

KEY = StateKey("search", "https://example.org")


class _Awaited:
    """A synchronous store whose methods are awaited, so that one test is for both kinds."""

    def __init__(self, store: SyncStateStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._store, {"aclose": "close"}.get(name, name))

        async def call(*arguments: Any, **options: Any) -> Any:
            return method(*arguments, **options)

        return call


def awaited(store: SyncStateStore) -> StateStore:
    """Return an asynchronous view of a synchronous store."""
    return cast("StateStore", _Awaited(store))


async def take(
    store: StateStore, limit: RateLimit, *, within: float = 1e9, key: StateKey = KEY
) -> Reservation | Rejected:
    """Take a slot; it must begin ``within`` so many seconds."""
    now = time.monotonic()
    return await store.take_slot(key, limit, now=now, deadline=now + within)


async def reserved(store: StateStore, limit: RateLimit, *, key: StateKey = KEY) -> Reservation:
    """Return the slot of an attempt that must get one."""
    slot = await take(store, limit, key=key)
    assert isinstance(slot, Reservation)
    return slot


async def admitted(store: StateStore, breaker: CircuitBreaker, *, key: StateKey = KEY) -> Admission:
    """Return the admission of an attempt that a circuit must let pass."""
    admission = await store.admit(key, breaker, now=time.monotonic())
    assert isinstance(admission, Admission)
    return admission


async def report(
    store: StateStore,
    breaker: CircuitBreaker,
    admission: Admission,
    health: Health,
    *,
    duration: float = 0.1,
) -> Transition | None:
    """Report an attempt, without jitter."""
    return await store.report(
        KEY, breaker, admission, health, duration=duration, now=time.monotonic(), random=0.5
    )
