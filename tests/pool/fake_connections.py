"""Connections for the places of a pool, without any network."""

import types
from collections.abc import Callable
from typing import Any

from h2.windows import WindowManager

from typed_async_client.http2.draining import FrameWatch
from typed_async_client.pool.slot import Origin, PoolLimits, Slot
from typed_async_client.pool.slots import Slots

__all__ = ["H2", "A", "B", "Clock", "FakeConnection", "FakeStream", "Places", "held_by"]

A: Origin = (b"http", b"a.test", 80)
B: Origin = (b"http", b"b.test", 80)
H2: Origin = (b"https", b"h2.test", 443)
"""The one origin where a connection may serve several requests at once."""


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now: float = 100.0

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now


class FakeStream:
    """The bytes of a connection, as far as a slot asks about them."""

    def __init__(self) -> None:
        self.aborted: bool = False
        self.opener: None = None
        self.has_news: bool = False
        self.received: int = 0

    @property
    def has_ended(self) -> bool:
        """Say that the stream has ended, when something has come."""
        return self.has_news

    def get_extra_info(self, _: str) -> None:
        """Tell of no socket."""

    def write_now(self, frames: bytes) -> None:
        """Send nothing: there is nothing to say."""

    def abort(self) -> None:
        """Close at once."""
        self.aborted = True


class FakeConnection:
    """A connection of httpcore, as far as a slot asks about it.

    Attributes:
        active: exchanges that run on it.
        closed: whether it was closed.
        speaks_h2: whether it serves several requests at once; None before it is connected.
    """

    def __init__(self, slot: Slot) -> None:
        self.active: int = 0
        self.closed: bool = False
        self.speaks_h2: bool | None = None
        self.stream: FakeStream = FakeStream()
        self._events: dict[int, Any] = {}
        self._h2_state = types.SimpleNamespace(
            streams={},
            data_to_send=bytes,
            _inbound_flow_control_window_manager=WindowManager(65_535),
        )
        self._h11_state = types.SimpleNamespace(trailing_data=(b"", False))
        self._slot = slot

    def connect(self, *, speaks_h2: bool = False) -> None:
        """Be connected from now on."""
        self.speaks_h2 = speaks_h2
        self._slot.watch = FrameWatch() if speaks_h2 else None
        self._slot.layers = [self.stream]

    def leave_over(self, data: bytes) -> None:
        """Have read more than one answer."""
        self._h11_state.trailing_data = (data, False)

    def is_available(self) -> bool:
        """Say whether one more request may come, in hope before it is connected."""
        if self.closed:
            return False
        return self.speaks_h2 is not False or self.active == 0

    def is_idle(self) -> bool:
        """Say whether it is connected, and nobody uses it."""
        return self.speaks_h2 is not None and not self.closed and self.active == 0

    async def aclose(self) -> None:
        """Close it."""
        self.closed = True


class Places:
    """The slots of a pool, with their connections and their clock."""

    def __init__(self, random: Callable[[], float] = lambda: 0.0, **limits: Any) -> None:
        self.clock: Clock = Clock()
        self.made: list[Slot] = []
        self.slots: Slots = Slots(
            PoolLimits(**limits),
            connect=self._connect,
            multiplexes=lambda origin: origin == H2,
            now=self.clock,
            random=random,
        )

    def take(self, origin: Origin = A, *, after: int = 0) -> Slot | None:
        """Take a slot for a request, and begin its exchange."""
        slot = self.slots.take(origin, after=after)
        if slot is not None:
            if slot.connection.speaks_h2 is None and origin != H2:
                slot.connection.connect()
            slot.connection.active += 1
        return slot

    def must_take(self, origin: Origin = A, *, after: int = 0) -> Slot:
        """Take a slot that has to be there."""
        slot = self.take(origin, after=after)
        assert slot is not None
        return slot

    def give_back(self, slot: Slot, *, clean: bool = True) -> None:
        """End an exchange, and give its slot back."""
        slot.connection.active -= 1
        self.slots.give_back(slot, clean=clean)

    def settle(self, slot: Slot, *, speaks_h2: bool) -> list[Slot]:
        """Connect a slot that is shared in hope; those for whom there is no room leave it.

        Returns:
            the slot, once for each request that left.
        """
        slot.connection.connect(speaks_h2=speaks_h2)
        if not speaks_h2:
            self.slots.learn(slot)
        leaving = [] if speaks_h2 else [slot] * (slot.users - 1)
        for one in leaving:
            self.give_back(one)
        return leaving

    def _connect(self, slot: Slot) -> FakeConnection:
        self.made.append(slot)
        return FakeConnection(slot)


def held_by(count: int, slot: Slot) -> bool:
    """Say whether as many requests hold a slot."""
    return (slot.users, slot.connection.active) == (count, count)
