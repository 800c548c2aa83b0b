"""Who gets which connection, decided without a network and without a wait."""

import asyncio
from typing import Any

import pytest
from fake_connections import H2, A, B, FakeConnection, Places, held_by
from hyperframe.frame import GoAwayFrame, SettingsFrame
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.pool.slot import Origin, Slot

# One connection


def test_a_clean_connection_is_used_again() -> None:
    """One connection serves three requests, one after another."""
    places = Places()
    for count in (1, 2, 3):
        slot = places.must_take()
        assert (slot.exchanges, slot.users) == (count, 1)
        places.give_back(slot)
    assert (places.slots.opened, places.slots.idle) == (1, 1)


def test_a_request_that_failed_gets_a_connection_that_was_never_used() -> None:
    """Idle ones stay where they are, for they may be dying as well."""
    places = Places()
    failed, other = places.must_take(), places.must_take()
    places.give_back(other)
    places.give_back(failed, clean=False)
    fresh = places.must_take(after=failed.number)
    assert fresh not in (failed, other)
    assert fresh.exchanges == 1
    assert places.slots.idle == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda slot: setattr(slot.connection, "closed", True), "not reusable"),
        (lambda slot: setattr(slot.connection.stream, "has_news", True), "not reusable"),
        (lambda slot: slot.connection.leave_over(b"HTTP/1.1"), "not reusable"),
    ],
    ids=["closed by its exchange", "more has arrived", "more was read"],
)
def test_a_connection_that_is_not_clean_is_closed_when_it_comes_back(
    spoil: Any, reason: str
) -> None:
    """Nobody gets it again."""
    places = Places()
    slot = places.must_take()
    spoil(slot)
    places.give_back(slot)
    assert places.slots.closed == {reason: 1}
    assert (slot.connection.closed, slot.connection.stream.aborted) == (True, True)
    assert places.must_take() is not slot


def test_a_connection_whose_exchange_failed_is_closed() -> None:
    """However good it may look."""
    places = Places()
    slot = places.must_take()
    places.give_back(slot, clean=False)
    assert places.slots.closed == {"failed": 1}
    assert slot.is_closed


def test_a_connection_on_which_something_arrives_while_it_is_idle_is_stale() -> None:
    """An answer that nobody asked for, or the end: a request takes another one."""
    places = Places()
    slot = places.must_take()
    places.give_back(slot)
    slot.connection.stream.has_news = True
    assert places.must_take() is not slot
    assert places.slots.closed == {"stale": 1}


def test_a_connection_that_cannot_close_without_waiting_is_cut_all_the_same() -> None:
    """Closing a slot never waits, and never fails."""

    class Slow(FakeConnection):
        async def aclose(self) -> None:
            await asyncio.sleep(3600)

    class Broken(FakeConnection):
        async def aclose(self) -> None:
            raise OSError("broken")

    for kind in (Slow, Broken):
        slot = Slot(A, 1, None)
        slot.connection = kind(slot)
        slot.connection.connect()
        slot.close()
        assert slot.connection.stream.aborted


# Bounds


def test_who_finds_no_place_must_wait() -> None:
    """Until one of those who hold a slot gives it back."""
    places = Places(max_connections=2)
    first, second = places.must_take(A), places.must_take(B)
    assert places.take(A) is None
    places.give_back(second)
    third = places.must_take(A)
    assert places.slots.closed == {"made room": 1}
    assert places.slots.all == [first, third]


def test_room_is_made_by_the_one_idle_longest() -> None:
    """Whatever its origin is."""
    places = Places(max_connections=3)
    held = [places.must_take(origin) for origin in (A, B, A)]
    for index in (1, 0, 2):
        places.give_back(held[index])
    places.must_take((b"http", b"c.test", 80))
    assert [slot.is_closed for slot in held] == [False, True, False]


def test_the_one_used_last_is_used_next() -> None:
    """It is the likeliest to be alive; the others may expire."""
    places = Places()
    held = [places.must_take() for _ in range(3)]
    for index in (1, 2, 0):
        places.give_back(held[index])
    assert [held.index(places.must_take()) for _ in range(3)] == [0, 2, 1]


def test_the_surplus_of_idle_connections_is_closed_the_longest_idle_first() -> None:
    """The bound counts what is idle, not what is held."""
    places = Places(max_keepalive_connections=2)
    held = [places.must_take() for _ in range(5)]
    for index in (3, 1, 4):
        places.give_back(held[index])
    assert [slot.is_closed for slot in held] == [False, False, False, True, False]
    assert places.slots.closed == {"surplus": 1}


@pytest.mark.parametrize(
    ("idle", "expected"), [(4.999, {}), (5.0, {"expired": 1}), (60.0, {"expired": 1})]
)
def test_an_idle_connection_expires_at_its_instant(idle: float, expected: dict[str, int]) -> None:
    """At the boundary it has expired already."""
    places = Places(keepalive_expiry=5.0)
    places.give_back(places.must_take())
    places.clock.now += idle
    places.must_take(B)
    assert places.slots.closed == expected


@pytest.mark.parametrize(
    ("drawn", "age", "closed"),
    [(0.0, 9.999, {}), (0.0, 10.0, {"stale": 1}), (1.0, 8.999, {}), (1.0, 9.0, {"stale": 1})],
)
def test_a_connection_retires_within_the_last_tenth_of_its_age(
    drawn: float, age: float, closed: dict[str, int]
) -> None:
    """At an instant that is drawn when it is opened; being used does not defer it."""
    places = Places(lambda: drawn, max_connection_age=10.0, keepalive_expiry=None)
    places.give_back(places.must_take())
    places.clock.now += 5.0
    places.give_back(places.must_take())
    places.clock.now += age - 5.0
    places.must_take()
    assert places.slots.closed == closed


def test_dropping_all_closes_those_that_are_held_too() -> None:
    """What is given back later is counted once."""
    places = Places()
    idle, held = places.must_take(A), places.must_take(A)
    places.give_back(idle)
    places.slots.drop_all()
    places.give_back(held)
    assert places.slots.closed == {"pool closed": 2}
    assert idle.is_closed
    assert held.is_closed
    assert (places.slots.all, places.slots.idle) == ([], 0)


# Several requests at once


def test_a_connection_that_multiplexes_is_shared() -> None:
    """In hope while it connects, knowingly afterwards, and from idle as well."""
    places = Places(max_connections=1)
    slot = places.must_take(H2)
    assert places.take(H2) is slot
    assert places.settle(slot, speaks_h2=True) == []
    assert places.take(H2) is slot
    assert held_by(3, slot)
    for _ in range(3):
        places.give_back(slot)
    assert places.slots.idle == 1
    assert places.take(H2) is slot
    assert places.slots.idle == 0


def test_a_connection_that_does_not_multiplex_is_left_to_one() -> None:
    """The origin is remembered: nobody allow_unconnected there again."""
    places = Places()
    slot = places.must_take(H2)
    assert places.take(H2) is slot
    assert places.settle(slot, speaks_h2=False) == [slot]
    assert held_by(1, slot)
    assert places.take(H2) is not slot
    assert places.take(H2) is not slot
    assert places.slots.opened == 3


def test_requests_that_failed_share_the_connection_that_was_opened_after() -> None:
    """The first of them opens it; no two are sent twice on the same one."""
    places = Places()
    failed = places.must_take(H2)
    for _ in range(49):
        assert places.take(H2) is failed
    places.settle(failed, speaks_h2=True)
    for _ in range(50):
        places.give_back(failed, clean=False)
        assert places.must_take(H2, after=failed.number) is places.made[1]
    assert places.slots.opened == 2


def test_a_connection_that_drains_is_left_to_those_who_are_on_it() -> None:
    """It is closed when the last of them is done."""
    places = Places()
    slot = places.must_take(H2)
    places.settle(slot, speaks_h2=True)
    assert places.take(H2) is slot
    _say_goodbye(slot)
    assert places.must_take(H2) is not slot
    places.give_back(slot)
    assert not slot.is_closed
    places.give_back(slot)
    assert slot.is_closed


def test_an_idle_connection_that_drains_is_used_no_more() -> None:
    """The next request gets another one."""
    places = Places()
    slot = places.must_take(H2)
    places.settle(slot, speaks_h2=True)
    places.give_back(slot)
    _say_goodbye(slot)
    assert places.must_take(H2) is not slot
    assert places.slots.closed == {"stale": 1}


def _say_goodbye(slot: Slot) -> None:
    assert slot.watch is not None
    slot.watch.receive(GoAwayFrame(0, last_stream_id=1).serialize())


@pytest.mark.parametrize("speaks_h2", [None, True])
def test_a_connection_that_failed_says_nothing_about_its_origin(speaks_h2: bool | None) -> None:  # noqa: FBT001 - a column of the table
    """Who finds it closed gets another one, which is shared again."""
    places = Places()
    slot = places.must_take(H2)
    assert places.take(H2) is slot
    if speaks_h2:
        slot.connection.connect(speaks_h2=True)
    slot.connection.closed = True
    places.give_back(slot, clean=False)
    places.slots.learn(slot)
    places.give_back(slot)
    other = places.must_take(H2)
    assert other is not slot
    assert places.take(H2) is other


def test_a_connection_is_shared_again_once_all_who_failed_have_left() -> None:
    """The last one on it ended well, so it is idle, and good for many."""
    places = Places()
    slot = places.must_take(H2)
    places.must_take(H2)
    places.settle(slot, speaks_h2=True)
    places.give_back(slot, clean=False)
    places.give_back(slot)
    assert places.take(H2) is slot
    assert places.take(H2) is slot


def test_a_failed_exchange_harms_neither_the_others_nor_the_sharing() -> None:
    """Those who are on the connection may finish, and others join them, if it is still good."""
    places = Places()
    slot = places.must_take(H2)
    places.must_take(H2)
    places.settle(slot, speaks_h2=True)
    places.give_back(slot, clean=False)
    assert places.take(H2) is slot
    slot.connection.closed = True
    places.give_back(slot, clean=False)
    assert not slot.is_closed
    assert places.take(H2) is not slot


def test_a_connection_that_is_full_is_joined_again_when_one_has_left_it() -> None:
    """Meanwhile another one is opened, or the request waits where there may be no more."""
    places = Places(max_connections=2)
    first = places.must_take(H2)
    _allow(first, 2)
    assert places.take(H2) is first
    second = places.must_take(H2)
    _allow(second, 1)
    assert second is not first
    assert places.take(H2) is None
    places.give_back(first)
    assert places.take(H2) is first
    assert places.take(H2) is None


def _allow(slot: Slot, streams: int) -> None:
    slot.connection.connect(speaks_h2=True)
    assert slot.watch is not None
    slot.watch.receive(SettingsFrame(0, settings={3: streams}).serialize())


# All of it at once


class AnyOrder(RuleBasedStateMachine):
    """Requests come, end and fail, time passes, connections die, in any order."""

    origins = st.sampled_from([A, B, H2])

    @initialize(
        connections=st.one_of(st.none(), st.integers(1, 4)),
        idle=st.one_of(st.none(), st.integers(0, 3)),
        expiry=st.one_of(st.none(), st.sampled_from([0.0, 5.0])),
        age=st.one_of(st.none(), st.sampled_from([0.0, 12.0])),
    )
    def begin(
        self, connections: int | None, idle: int | None, expiry: float | None, age: float | None
    ) -> None:
        """Make an empty pool."""
        self.max_connections, self.max_idle = connections, idle
        self.places = Places(
            lambda: 0.5,
            max_connections=connections,
            max_keepalive_connections=idle,
            keepalive_expiry=expiry,
            max_connection_age=age,
        )
        self.held: list[Slot] = []

    @rule(origin=origins, back=st.none() | st.integers(0, 3))
    def take(self, origin: Origin, back: int | None) -> None:
        """A request asks for a slot, perhaps after it failed on one of the last ones."""
        after = 0 if back is None else max(0, self.places.slots.opened - back)
        slot = self.places.take(origin, after=after)
        if slot is None:
            assert len(self.places.slots.all) == self.max_connections
            assert self.places.slots.idle == 0
            return
        assert not slot.is_closed
        assert slot.origin == origin
        assert slot.number > after
        if slot.exchanges > 1:
            assert not after or origin == H2
            assert not slot.drains
            assert not slot.has_news
            assert slot.retire_at is None or self.places.clock.now < slot.retire_at or origin == H2
        if origin != H2:
            assert held_by(1, slot)
        self.held.append(slot)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), clean=st.booleans())
    def give_back(self, data: st.DataObject, clean: bool) -> None:  # noqa: FBT001 - as above
        """An exchange ends."""
        slot = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.places.give_back(slot, clean=clean)
        if not clean and slot.users == 0:
            assert slot.is_closed

    @precondition(lambda self: any(slot.connection.speaks_h2 is None for slot in self.held))
    @rule(speaks_h2=st.booleans())
    def connect(self, speaks_h2: bool) -> None:  # noqa: FBT001 - as above
        """A connection that was shared in hope is there."""
        slot = next(slot for slot in self.held if slot.connection.speaks_h2 is None)
        for one in self.places.settle(slot, speaks_h2=speaks_h2):
            self.held.remove(one)

    @precondition(lambda self: self.places.slots.all)
    @rule(data=st.data(), how=st.sampled_from(["news", "leftovers", "closed", "goodbye"]))
    def spoil(self, data: st.DataObject, how: str) -> None:
        """A connection dies, or says what nobody asked for."""
        slot = data.draw(st.sampled_from(self.places.slots.all))
        if how == "news":
            slot.connection.stream.has_news = True
        elif how == "goodbye" and slot.watch is not None:
            _say_goodbye(slot)
        elif how == "leftovers":
            slot.connection.leave_over(b"stray")
        else:
            slot.connection.closed = True

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.places.clock.now += seconds

    @rule()
    def close(self) -> None:
        """The pool is closed, and used again all the same."""
        self.places.slots.drop_all()

    @invariant()
    def bounds_are_kept(self) -> None:
        """No more connections, and no more idle ones, than allowed."""
        slots = self.places.slots
        if self.max_connections is not None:
            assert len(slots.all) <= self.max_connections
        if self.max_idle is not None:
            assert slots.idle <= self.max_idle

    @invariant()
    def every_slot_is_idle_or_held(self) -> None:
        """Never both, never neither; a holder counts once."""
        slots = self.places.slots
        for slot in slots.all:
            assert not slot.is_closed
            assert slot.users == self.held.count(slot)
            assert (slot in slots._idle) == (slot.users == 0)
        assert set(slots._idle) <= set(slots.all)

    @invariant()
    def the_books_agree(self) -> None:
        """Idle by origin and idle in order are the same; what is shared is open."""
        slots = self.places.slots
        by_origin = [(origin, slot) for origin, idle in slots._idle_at.items() for slot in idle]
        assert sorted(map(id, slots._idle)) == sorted(id(slot) for _, slot in by_origin)
        assert all(slot.origin == origin for origin, slot in by_origin)
        assert all(slots._idle_at.values())
        assert all(slots._shared.values())
        for origin, shared in slots._shared.items():
            assert shared.keys() <= slots._all.keys()
            assert {slot.origin for slot in shared} == {origin}

    @invariant()
    def the_idle_stand_in_order(self) -> None:
        """The one that has been idle longest comes first."""
        ends = [slot.idle_until or 0.0 for slot in self.places.slots._idle]
        assert ends == sorted(ends)

    @invariant()
    def the_counts_add_up(self) -> None:
        """What was opened is open or was closed, for one reason."""
        slots = self.places.slots
        assert slots.opened == len(self.places.made)
        assert slots.opened == len(slots.all) + sum(slots.closed.values())
        assert all(slot.is_closed for slot in self.places.made if slot not in slots._all)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, derandomize=True, database=None
)
