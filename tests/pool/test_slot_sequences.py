"""The slots of a pool under random sequences of what may happen to them."""

from fake_connections import H2, A, B, FakePool, held_by, send_goaway
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from typed_async_client.pool.slot import Origin, Slot


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
    @rule(data=st.data(), how=st.sampled_from(["input", "closed", "goaway"]))
    def spoil(self, data: st.DataObject, how: str) -> None:
        """A connection breaks, or receives unexpected input."""
        slot = data.draw(st.sampled_from(self.pool.slots.all))
        if how == "input":
            slot.connection.stream.is_readable = True
        elif how == "goaway" and slot.is_multiplexed:
            send_goaway(slot)
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
