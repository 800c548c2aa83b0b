"""Connections that are opened before a request needs them, tested without a network."""

import math
from typing import Any

import pytest
from fake_connections import H2, A, B, FakePool

from typed_async_client.pool.slot import Origin, Slot


def open_early(pool: FakePool, origin: Origin = A) -> Slot:
    """Open a connection before a request needs it, and give it back idle."""
    slot = pool.slots.open_early((origin, ""))
    assert slot is not None
    ticket = next(pool.tickets)
    pool.slots.enter(slot, ticket)
    slot.connection.connect()
    pool.slots.give_back(slot, ticket, clean=True)
    return slot


def test_a_connection_that_was_opened_early_is_used_like_a_reused_one() -> None:
    """The server may have closed it meanwhile, so opening it counts as an exchange."""
    pool = FakePool()
    slot = open_early(pool)
    assert slot.is_unused
    assert pool.must_take() is slot
    assert (slot.exchanges, slot.is_unused) == (2, False)


@pytest.mark.parametrize(
    ("limits", "room"),
    [
        ({"max_connections": 3, "max_keepalive_connections": 2}, 2),
        ({"max_connections": 2, "max_keepalive_connections": 3}, 2),
        ({"max_connections": None, "max_keepalive_connections": 5}, 5),
        ({"max_connections": 4, "max_keepalive_connections": None}, 4),
        ({"max_keepalive_connections": 0}, 0),
        ({"keepalive_expiry": 0.0}, 0),
        ({"keepalive_expiry": None, "max_keepalive_connections": 1}, 1),
    ],
)
def test_as_many_are_opened_early_as_may_be_idle(limits: dict[str, Any], room: int) -> None:
    """The next one isn't opened, and none is closed for it."""
    pool = FakePool(**limits)
    assert pool.slots.room_for_idle() == room
    for _ in range(room):
        open_early(pool)
    assert (pool.slots.room_for_idle(), pool.slots.open_early((A, ""))) == (0, None)
    assert (pool.slots.idle, pool.slots.closed) == (room, {})


def test_connections_being_opened_early_count_as_idle_ones() -> None:
    """They will be."""
    pool = FakePool(max_keepalive_connections=2)
    slot = pool.slots.open_early((A, ""))
    assert slot is not None
    pool.slots.enter(slot, 1)
    assert pool.slots.room_for_idle() == 1


def test_an_expired_connection_makes_room() -> None:
    """It would be closed by the next request anyway."""
    pool = FakePool(max_keepalive_connections=1, keepalive_expiry=5.0)
    open_early(pool)
    pool.clock.now += 5.0
    assert pool.slots.room_for_idle() == 1
    assert pool.slots.closed == {"expired": 1}


def test_ready_connections_are_those_that_a_request_could_use() -> None:
    """Idle ones that aren't stale, of the same origin; over HTTP/2, there is no limit."""
    pool = FakePool()
    first = open_early(pool)
    open_early(pool)
    open_early(pool, B)
    assert pool.slots.ready((A, "")) == 2
    first.connection.stream.is_readable = True
    assert pool.slots.ready((A, "")) == 1
    shared = pool.must_take(H2)
    assert pool.slots.ready((H2, "")) == 0
    pool.connect(shared, speaks_h2=True)
    assert pool.slots.ready((H2, "")) == math.inf


def test_a_connection_is_closed_after_its_exchange_if_that_is_asked_for() -> None:
    """One that was opened early waits for its first request."""
    pool = FakePool(force_close=True)
    slot = open_early(pool)
    assert pool.slots.idle == 1
    assert pool.must_take() is slot
    pool.give_back(slot)
    assert (pool.slots.idle, pool.slots.closed) == (0, {"force_close": 1})
