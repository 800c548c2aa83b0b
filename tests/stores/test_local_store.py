"""The store of one process: how much it remembers, and what it refuses."""

import threading

import pytest
from store_kit import KEY

from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.circuit import CircuitBreaker
from typed_async_client.policies.health import Health
from typed_async_client.policies.rate_limit import RateLimit
from typed_async_client.stores import (
    Admission,
    LocalStore,
    Reservation,
    StateKey,
    SyncLocalStore,
    Withdrawal,
)


def wait_of(store: SyncLocalStore, key: StateKey, limit: RateLimit) -> float:
    """Return how long the next attempt waits."""
    slot = store.take_slot(key, limit, now=0.0)
    assert isinstance(slot, Reservation)
    return slot.wait


def test_the_key_used_least_recently_is_forgotten() -> None:
    """So the memory is bounded, whatever hosts are asked."""
    store, limit = SyncLocalStore(max_hosts=2), RateLimit(rate=1)
    keys = [StateKey("search", host) for host in ("a", "b", "c")]
    assert [wait_of(store, key, limit) for key in keys] == [0.0] * 3
    assert [wait_of(store, key, limit) for key in keys[1:]] == [1.0, 1.0]
    assert wait_of(store, keys[0], limit) == 0.0


def test_a_circuit_with_attempts_in_flight_is_never_forgotten() -> None:
    """Their reports would be lost."""
    store, breaker = SyncLocalStore(max_hosts=1), CircuitBreaker(minimum_calls=1)
    attempt = store.admit(KEY, breaker, now=0.0)
    assert isinstance(attempt, Admission)
    store.admit(StateKey("other"), breaker, now=0.0)
    opened = store.report(KEY, breaker, attempt, Health.FAILING, duration=0.1, now=0.0, random=0.5)
    assert opened is not None


def test_other_options_are_another_state() -> None:
    """Since the figures of one mean nothing to the other."""
    store = SyncLocalStore()
    assert wait_of(store, KEY, RateLimit(rate=1)) == 0.0
    assert wait_of(store, KEY, RateLimit(rate=2)) == 0.0
    assert wait_of(store, KEY, RateLimit(rate=2)) == 0.5


def test_what_another_store_gave_is_not_given_back() -> None:
    """It does nothing."""
    store, limit, budget = SyncLocalStore(), RateLimit(rate=1), RetryBudget(min_per_second=0.1)
    foreign = Reservation(wait=0.0, receipt="another's")
    assert not store.cancel_slot(KEY, limit, foreign, now=0.0)
    attempt = Admission(receipt="another's")
    breaker = CircuitBreaker(minimum_calls=1)
    assert not store.report(KEY, breaker, attempt, Health.FAILING, duration=0, now=0, random=0)
    assert store.withdraw(KEY, budget, now=0.0) is not None
    store.refund(KEY, budget, Withdrawal(receipt="another's"), now=0.0)
    assert store.withdraw(KEY, budget, now=0.0) is None


def test_threads_share_it() -> None:
    """No slot is given twice."""
    store, limit = SyncLocalStore(), RateLimit(rate=1)
    waits: list[float] = []

    def take() -> None:
        waits.extend(wait_of(store, KEY, limit) for _ in range(200))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [float(number) for number in range(800)]


@pytest.mark.parametrize("kind", [SyncLocalStore, LocalStore])
def test_the_number_of_keys_is_checked(kind: type[SyncLocalStore] | type[LocalStore]) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=r"^max_hosts must be an integer >= 1, got 0$"):
        kind(max_hosts=0)
