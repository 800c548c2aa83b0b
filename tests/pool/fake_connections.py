"""Fake connections for the slots of a pool, without a network."""

import itertools
from collections.abc import Callable
from typing import Any

from typed_async_client.pool.slot import Origin, PoolLimits, Slot
from typed_async_client.pool.slots import Slots

__all__ = [
    "H2",
    "A",
    "B",
    "Clock",
    "FakeConnection",
    "FakePool",
    "FakeStream",
    "held_by",
    "send_goaway",
]

A: Origin = (b"http", b"a.test", 80)
B: Origin = (b"http", b"b.test", 80)
H2: Origin = (b"https", b"h2.test", 443)
"""The only origin whose connections may serve several requests at once."""


class Clock:
    """A clock that only moves when ``now`` is set."""

    def __init__(self) -> None:
        self.now: float = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


class FakeStream:
    """A network stream, with what a slot uses of it."""

    def __init__(self) -> None:
        self.aborted: bool = False
        self.is_readable: bool = False
        self.received: int = 0
        self.written: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether the stream has ended; here, whether it is readable."""
        return self.is_readable

    def get_extra_info(self, _: str) -> None:
        """Return no socket."""

    def abort(self) -> None:
        """Record that it was aborted."""
        self.aborted = True

    def abandon(self) -> None:
        """Do nothing: there is no socket."""


class FakeHttp2:
    """What speaks HTTP/2, with what a slot uses of it.

    Attributes:
        is_draining: whether the server accepts no further requests.
        max_streams: how many requests it allows at once; None if it hasn't said so.
    """

    def __init__(self) -> None:
        self.is_draining: bool = False
        self.max_streams: int | None = None

    def is_available(self) -> bool:
        """Whether the server accepts further requests."""
        return not self.is_draining


class FakeConnection:
    """A connection with httpcore's interface, with what a slot uses of it.

    Attributes:
        active: exchanges in progress.
        closed: whether it was closed.
        http2: what speaks HTTP/2 on it, if anything does.
        speaks_h2: whether it speaks HTTP/2; None before it is connected.
    """

    def __init__(self, slot: Slot) -> None:
        self.active: int = 0
        self.closed: bool = False
        self.http2: FakeHttp2 | None = None
        self.speaks_h2: bool | None = None
        self.stream: FakeStream = FakeStream()
        self._slot = slot

    def connect(self, *, speaks_h2: bool = False) -> None:
        """Establish the connection."""
        self.speaks_h2 = speaks_h2
        self.http2 = FakeHttp2() if speaks_h2 else None
        self._slot.layers = [self.stream]

    def is_available(self) -> bool:
        """Whether another request may be sent; before it is connected, assume so."""
        if self.closed or (self.http2 is not None and self.http2.is_draining):
            return False
        return self.speaks_h2 is not False or self.active == 0

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def is_idle(self) -> bool:
        """Whether it is connected and unused."""
        return self.speaks_h2 is not None and not self.closed and self.active == 0

    async def aclose(self) -> None:
        """Record that it was closed."""
        self.closed = True


class FakePool:
    """The slots of a pool, with fake connections and a fake clock."""

    def __init__(self, random: Callable[[], float] = lambda: 0.0, **limits: Any) -> None:
        self.clock: Clock = Clock()
        self.opened: list[Slot] = []
        self.tickets: itertools.count[int] = itertools.count(1)
        self.slots: Slots = Slots(
            PoolLimits(**limits),
            connect=self._connect,
            multiplexes=lambda origin: origin == H2,
            now=self.clock,
            random=random,
        )

    def take(self, origin: Origin = A, *, newer_than: int = 0) -> Slot | None:
        """Take a slot for a request, and start its exchange."""
        slot = self.slots.find((origin, ""), newer_than=newer_than) or self.slots.open((origin, ""))
        if slot is not None:
            self.slots.enter(slot, next(self.tickets))
            if slot.connection.speaks_h2 is None and origin != H2:
                slot.connection.connect()
            slot.connection.active += 1
        return slot

    def must_take(self, origin: Origin = A, *, newer_than: int = 0) -> Slot:
        """Take a slot, which must be available."""
        slot = self.take(origin, newer_than=newer_than)
        assert slot is not None
        return slot

    def give_back(self, slot: Slot, *, clean: bool = True) -> None:
        """End an exchange, and give its slot back to the pool."""
        slot.connection.active -= 1
        self.slots.give_back(slot, min(slot.tickets), clean=clean)

    def connect(self, slot: Slot, *, speaks_h2: bool) -> list[Slot]:
        """Connect a shared slot; with HTTP/1.1, all requests but one must leave it.

        Returns:
            The slot, once for each request that left.
        """
        slot.connection.connect(speaks_h2=speaks_h2)
        if not speaks_h2:
            self.slots.stop_sharing(slot)
        leaving = [] if speaks_h2 else [slot] * (slot.users - 1)
        for one in leaving:
            self.give_back(one)
        return leaving

    def _connect(self, slot: Slot) -> FakeConnection:
        self.opened.append(slot)
        return FakeConnection(slot)


def held_by(count: int, slot: Slot) -> bool:
    """Whether exactly ``count`` requests hold a slot."""
    return (slot.users, slot.connection.active) == (count, count)


def send_goaway(slot: Slot) -> None:
    """Have the server of an HTTP/2 connection say that it accepts no further requests."""
    slot.http2.is_draining = True
