"""Which request gets which slot, tested without a network and without waiting."""

import asyncio
from typing import Any

import pytest
from fake_connections import A, B, FakeConnection, FakePool

from typed_async_client.pool.slot import Slot

# One connection


def test_a_clean_connection_is_reused() -> None:
    """One connection serves three consecutive requests."""
    pool = FakePool()
    for count in (1, 2, 3):
        slot = pool.must_take()
        assert (slot.exchanges, slot.users) == (count, 1)
        pool.give_back(slot)
    assert (pool.slots.opened, pool.slots.idle) == (1, 1)


def test_a_request_that_failed_gets_a_new_connection() -> None:
    """It doesn't get an idle one, which may be broken as well."""
    pool = FakePool()
    failed, other = pool.must_take(), pool.must_take()
    pool.give_back(other)
    pool.give_back(failed, clean=False)
    fresh = pool.must_take(newer_than=failed.number)
    assert fresh not in (failed, other)
    assert fresh.exchanges == 1
    assert pool.slots.idle == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda slot: setattr(slot.connection, "closed", True), "not reusable"),
        (lambda slot: setattr(slot.connection.stream, "is_readable", True), "not reusable"),
    ],
    ids=["closed by its exchange", "unexpected input"],
)
def test_a_connection_that_cannot_be_reused_is_closed_when_given_back(
    spoil: Any, reason: str
) -> None:
    """The next request gets another one."""
    pool = FakePool()
    slot = pool.must_take()
    spoil(slot)
    pool.give_back(slot)
    assert pool.slots.closed == {reason: 1}
    assert (slot.connection.closed, slot.connection.stream.aborted) == (True, True)
    assert pool.must_take() is not slot


def test_a_connection_whose_exchange_failed_is_closed() -> None:
    """Even if it looks reusable."""
    pool = FakePool()
    slot = pool.must_take()
    pool.give_back(slot, clean=False)
    assert pool.slots.closed == {"failed": 1}
    assert slot.is_closed


def test_an_idle_connection_that_receives_anything_is_stale() -> None:
    """Be it data or the end of the connection, the next request gets another one."""
    pool = FakePool()
    slot = pool.must_take()
    pool.give_back(slot)
    slot.connection.stream.is_readable = True
    assert pool.must_take() is not slot
    assert pool.slots.closed == {"stale": 1}


def test_a_connection_that_cannot_close_without_waiting_is_aborted() -> None:
    """Closing a slot never waits and never fails."""

    class Slow(FakeConnection):
        async def aclose(self) -> None:
            await asyncio.sleep(3600)

    class Broken(FakeConnection):
        async def aclose(self) -> None:
            raise OSError("broken")

    for kind in (Slow, Broken):
        slot = Slot((A, ""), 1, None)
        slot.connection = kind(slot)
        slot.connection.connect()
        slot.close()
        assert slot.connection.stream.aborted


# Limits


def test_a_request_without_a_free_slot_must_wait() -> None:
    """A slot is free once another request has given its own back."""
    pool = FakePool(max_connections=2)
    first, second = pool.must_take(A), pool.must_take(B)
    assert pool.take(A) is None
    pool.give_back(second)
    third = pool.must_take(A)
    assert pool.slots.closed == {"made room": 1}
    assert pool.slots.all == [first, third]


def test_the_connection_idle_longest_is_closed_to_make_room() -> None:
    """Whatever its origin."""
    pool = FakePool(max_connections=3)
    held = [pool.must_take(origin) for origin in (A, B, A)]
    for index in (1, 0, 2):
        pool.give_back(held[index])
    pool.must_take((b"http", b"c.test", 80))
    assert [slot.is_closed for slot in held] == [False, True, False]


def test_the_most_recently_used_connection_is_reused_first() -> None:
    """It is most likely still alive; the others may expire."""
    pool = FakePool()
    held = [pool.must_take() for _ in range(3)]
    for index in (1, 2, 0):
        pool.give_back(held[index])
    assert [held.index(pool.must_take()) for _ in range(3)] == [0, 2, 1]


def test_surplus_idle_connections_are_closed_longest_idle_first() -> None:
    """The limit applies to idle connections, not to those in use."""
    pool = FakePool(max_keepalive_connections=2)
    held = [pool.must_take() for _ in range(5)]
    for index in (3, 1, 4):
        pool.give_back(held[index])
    assert [slot.is_closed for slot in held] == [False, False, False, True, False]
    assert pool.slots.closed == {"surplus": 1}


@pytest.mark.parametrize(
    ("idle", "expected"), [(4.999, {}), (5.0, {"expired": 1}), (60.0, {"expired": 1})]
)
def test_an_idle_connection_expires_after_its_expiry_time(
    idle: float, expected: dict[str, int]
) -> None:
    """At the exact time, it has already expired."""
    pool = FakePool(keepalive_expiry=5.0)
    pool.give_back(pool.must_take())
    pool.clock.now += idle
    pool.must_take(B)
    assert pool.slots.closed == expected


@pytest.mark.parametrize(
    ("drawn", "age", "closed"),
    [(0.0, 9.999, {}), (0.0, 10.0, {"stale": 1}), (1.0, 8.999, {}), (1.0, 9.0, {"stale": 1})],
)
def test_a_connection_retires_within_the_last_tenth_of_its_maximum_age(
    drawn: float, age: float, closed: dict[str, int]
) -> None:
    """The time is drawn when it is opened; using the connection doesn't delay it."""
    pool = FakePool(lambda: drawn, max_connection_age=10.0, keepalive_expiry=None)
    pool.give_back(pool.must_take())
    pool.clock.now += 5.0
    pool.give_back(pool.must_take())
    pool.clock.now += age - 5.0
    pool.must_take()
    assert pool.slots.closed == closed


def test_drop_all_also_closes_connections_in_use() -> None:
    """A slot that is given back later is counted once."""
    pool = FakePool()
    idle, held = pool.must_take(A), pool.must_take(A)
    pool.give_back(idle)
    pool.slots.drop_all()
    pool.give_back(held)
    assert pool.slots.closed == {"pool closed": 2}
    assert idle.is_closed
    assert held.is_closed
    assert (pool.slots.all, pool.slots.idle) == ([], 0)
