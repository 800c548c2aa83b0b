"""Which request gets which slot, tested without a network and without waiting."""

import asyncio
import math
from typing import Any

import pytest
from fake_connections import H2, A, B, FakeConnection, FakePool, held_by
from hyperframe.frame import GoAwayFrame, SettingsFrame
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.pool.slot import Origin, Slot

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
        (lambda slot: slot.connection.add_leftovers(b"HTTP/1.1"), "not reusable"),
    ],
    ids=["closed by its exchange", "unexpected input", "leftovers"],
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


# Multiplexing


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
    _send_goaway(slot)
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
    _send_goaway(slot)
    assert pool.must_take(H2) is not slot
    assert pool.slots.closed == {"stale": 1}


def _send_goaway(slot: Slot) -> None:
    assert slot.frame_filter is not None
    slot.frame_filter.receive(GoAwayFrame(0, last_stream_id=1).serialize())


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
    assert slot.frame_filter is not None
    slot.frame_filter.receive(SettingsFrame(0, settings={3: streams}).serialize())


# Random sequences


class AnyOrder(RuleBasedStateMachine):
    """Requests start, end and fail, time passes and connections break, in any order."""

    origins = st.sampled_from([A, B, H2])

    @initialize(
        connections=st.one_of(st.none(), st.integers(1, 4)),
        idle=st.one_of(st.none(), st.integers(0, 3)),
        expiry=st.one_of(st.none(), st.sampled_from([0.0, 5.0])),
        age=st.one_of(st.none(), st.sampled_from([0.0, 12.0])),
    )
    def create(
        self, connections: int | None, idle: int | None, expiry: float | None, age: float | None
    ) -> None:
        """Create an empty pool."""
        self.max_connections, self.max_idle = connections, idle
        self.pool = FakePool(
            lambda: 0.5,
            max_connections=connections,
            max_keepalive_connections=idle,
            keepalive_expiry=expiry,
            max_connection_age=age,
        )
        self.held: list[Slot] = []

    @rule(origin=origins, back=st.none() | st.integers(0, 3))
    def take(self, origin: Origin, back: int | None) -> None:
        """A request takes a slot, perhaps after it failed on one of the last few."""
        newer_than = 0 if back is None else max(0, self.pool.slots.opened - back)
        slot = self.pool.take(origin, newer_than=newer_than)
        if slot is None:
            assert len(self.pool.slots.all) == self.max_connections
            assert self.pool.slots.idle == 0
            return
        assert not slot.is_closed
        assert slot.origin == origin
        assert slot.number > newer_than
        if slot.exchanges > 1:
            assert not newer_than or origin == H2
            assert not slot.is_draining
            assert not slot.has_pending_input
            assert slot.retire_at is None or self.pool.clock.now < slot.retire_at or origin == H2
        if origin != H2:
            assert held_by(1, slot)
        self.held.append(slot)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), clean=st.booleans())
    def give_back(self, data: st.DataObject, clean: bool) -> None:  # noqa: FBT001 - as above
        """An exchange ends."""
        slot = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.pool.give_back(slot, clean=clean)
        if not clean and slot.users == 0:
            assert slot.is_closed

    @precondition(lambda self: any(slot.connection.speaks_h2 is None for slot in self.held))
    @rule(speaks_h2=st.booleans())
    def connect(self, speaks_h2: bool) -> None:  # noqa: FBT001 - as above
        """A shared connection is established."""
        slot = next(slot for slot in self.held if slot.connection.speaks_h2 is None)
        for left in self.pool.connect(slot, speaks_h2=speaks_h2):
            self.held.remove(left)

    @precondition(lambda self: self.pool.slots.all)
    @rule(data=st.data(), how=st.sampled_from(["input", "leftovers", "closed", "goaway"]))
    def spoil(self, data: st.DataObject, how: str) -> None:
        """A connection breaks, or receives unexpected input."""
        slot = data.draw(st.sampled_from(self.pool.slots.all))
        if how == "input":
            slot.connection.stream.is_readable = True
        elif how == "goaway" and slot.frame_filter is not None:
            _send_goaway(slot)
        elif how == "leftovers":
            slot.connection.add_leftovers(b"stray")
        else:
            slot.connection.closed = True

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.pool.clock.now += seconds

    @rule()
    def close(self) -> None:
        """Every connection is closed, and the slots are used again."""
        self.pool.slots.drop_all()

    @invariant()
    def limits_are_respected(self) -> None:
        """There are no more connections, and no more idle ones, than allowed."""
        slots = self.pool.slots
        if self.max_connections is not None:
            assert len(slots.all) <= self.max_connections
        if self.max_idle is not None:
            assert slots.idle <= self.max_idle

    @invariant()
    def every_slot_is_idle_or_held(self) -> None:
        """Never both, never neither; each holder counts once."""
        slots = self.pool.slots
        for slot in slots.all:
            assert not slot.is_closed
            assert slot.users == self.held.count(slot)
            assert (slot in slots._idle) == (slot.users == 0)
        assert set(slots._idle) <= set(slots.all)

    @invariant()
    def the_indexes_agree(self) -> None:
        """Both indexes hold the same idle slots; shared slots are open."""
        slots = self.pool.slots
        by_key = [(key, slot) for key, idle in slots._idle_by_key.items() for slot in idle]
        assert sorted(map(id, slots._idle)) == sorted(id(slot) for _, slot in by_key)
        assert all(slot.key == key for key, slot in by_key)
        assert all(slots._idle_by_key.values())
        assert all(slots._shared.values())
        for key, shared in slots._shared.items():
            assert shared.keys() <= slots._all.keys()
            assert {slot.key for slot in shared} == {key}

    @invariant()
    def idle_slots_are_ordered(self) -> None:
        """The slot that has been idle longest comes first."""
        ends = [slot.idle_until or 0.0 for slot in self.pool.slots._idle]
        assert ends == sorted(ends)

    @invariant()
    def the_counts_add_up(self) -> None:
        """Every opened connection is open, or was closed for exactly one reason."""
        slots = self.pool.slots
        assert slots.opened == len(self.pool.opened)
        assert slots.opened == len(slots.all) + sum(slots.closed.values())
        assert all(slot.is_closed for slot in self.pool.opened if slot not in slots._all)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=200, stateful_step_count=50, derandomize=True, database=None
)


# Connections that are opened early


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
