"""Connections that serve several requests at once, tested without a network."""

import pytest
from fake_connections import H2, FakePool, held_by, send_goaway

from typed_async_client.pool.slot import Slot


def test_an_http2_connection_is_shared() -> None:
    """While it connects, afterwards, and when it was idle."""
    pool = FakePool(max_connections=1)
    slot = pool.must_take(H2)
    assert pool.take(H2) is slot
    assert pool.connect(slot, speaks_h2=True) == []
    assert pool.take(H2) is slot
    assert held_by(3, slot)
    for _ in range(3):
        pool.give_back(slot)
    assert pool.slots.idle == 1
    assert pool.take(H2) is slot
    assert pool.slots.idle == 0


def test_a_connection_that_turns_out_to_be_http1_is_left_to_one_request() -> None:
    """The origin is remembered: later requests don't share its connections."""
    pool = FakePool()
    slot = pool.must_take(H2)
    assert pool.take(H2) is slot
    assert pool.connect(slot, speaks_h2=False) == [slot]
    assert held_by(1, slot)
    assert pool.take(H2) is not slot
    assert pool.take(H2) is not slot
    assert pool.slots.opened == 3


def test_requests_that_failed_together_share_the_next_connection() -> None:
    """The first of them opens it; none gets the failed one again."""
    pool = FakePool()
    failed = pool.must_take(H2)
    for _ in range(49):
        assert pool.take(H2) is failed
    pool.connect(failed, speaks_h2=True)
    for _ in range(50):
        pool.give_back(failed, clean=False)
        assert pool.must_take(H2, newer_than=failed.number) is pool.opened[1]
    assert pool.slots.opened == 2


def test_a_draining_connection_is_left_to_its_current_requests() -> None:
    """It is closed when the last of them has ended."""
    pool = FakePool()
    slot = pool.must_take(H2)
    pool.connect(slot, speaks_h2=True)
    assert pool.take(H2) is slot
    send_goaway(slot)
    assert pool.must_take(H2) is not slot
    pool.give_back(slot)
    assert not slot.is_closed
    pool.give_back(slot)
    assert slot.is_closed


def test_an_idle_connection_that_drains_is_not_reused() -> None:
    """The next request gets another one."""
    pool = FakePool()
    slot = pool.must_take(H2)
    pool.connect(slot, speaks_h2=True)
    pool.give_back(slot)
    send_goaway(slot)
    assert pool.must_take(H2) is not slot
    assert pool.slots.closed == {"stale": 1}


@pytest.mark.parametrize("speaks_h2", [None, True])
def test_a_connection_that_failed_says_nothing_about_its_origin(speaks_h2: bool | None) -> None:  # noqa: FBT001 - a column of the table
    """A request that finds it closed gets another one, which is shared again."""
    pool = FakePool()
    slot = pool.must_take(H2)
    assert pool.take(H2) is slot
    if speaks_h2:
        slot.connection.connect(speaks_h2=True)
    slot.connection.closed = True
    pool.give_back(slot, clean=False)
    pool.slots.stop_sharing(slot)
    pool.give_back(slot)
    other = pool.must_take(H2)
    assert other is not slot
    assert pool.take(H2) is other


def test_a_connection_is_shared_again_once_all_failed_requests_have_left() -> None:
    """The last exchange on it ended cleanly, so it is idle and can be shared."""
    pool = FakePool()
    slot = pool.must_take(H2)
    pool.must_take(H2)
    pool.connect(slot, speaks_h2=True)
    pool.give_back(slot, clean=False)
    pool.give_back(slot)
    assert pool.take(H2) is slot
    assert pool.take(H2) is slot


def test_a_failed_exchange_does_not_affect_others_or_sharing() -> None:
    """Current requests may finish, and others may join, unless the connection is closed."""
    pool = FakePool()
    slot = pool.must_take(H2)
    pool.must_take(H2)
    pool.connect(slot, speaks_h2=True)
    pool.give_back(slot, clean=False)
    assert pool.take(H2) is slot
    slot.connection.closed = True
    pool.give_back(slot, clean=False)
    assert not slot.is_closed
    assert pool.take(H2) is not slot


def test_a_full_connection_is_shared_again_when_a_request_has_left_it() -> None:
    """Meanwhile another one is opened, or the request waits if the pool is full."""
    pool = FakePool(max_connections=2)
    first = pool.must_take(H2)
    _connect_with_limit(first, 2)
    assert pool.take(H2) is first
    second = pool.must_take(H2)
    _connect_with_limit(second, 1)
    assert second is not first
    assert pool.take(H2) is None
    pool.give_back(first)
    assert pool.take(H2) is first
    assert pool.take(H2) is None


def _connect_with_limit(slot: Slot, streams: int) -> None:
    slot.connection.connect(speaks_h2=True)
    slot.http2.max_streams = streams


def test_a_connection_is_joined_by_as_many_as_the_last_one_took() -> None:
    """Before it is connected, once a request has found another one full."""
    pool = FakePool(max_connections=5)
    first = pool.must_take(H2)
    assert [pool.take(H2) for _ in range(3)] == [first] * 3
    _connect_with_limit(first, 2)
    pool.slots.stop_sharing(first)
    second = pool.must_take(H2)
    assert second is not first
    assert pool.take(H2) is second
    third = pool.must_take(H2)
    assert third not in {first, second}
    _connect_with_limit(third, 4)
    pool.slots.on_room(third.key)
    assert third.on_room is not None
    third.on_room(third)
    assert [pool.take(H2) for _ in range(3)] == [third] * 3
    assert pool.must_take(H2).expected_streams == 4
