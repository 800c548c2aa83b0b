"""The connections of a pool and their places: who is idle, who is shared, who must go.

All of it decides at once and never waits: a slot is taken, given back and closed by plain calls,
so no cancellation can fall between two of them. Each costs a constant number of steps.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from typed_async_client.pool.slot import Origin, PoolLimits, Slot

__all__ = ["Slots"]

_MAX_REMEMBERED = 1000
"""Origins known not to multiplex that are remembered."""


class Slots:
    """All slots of a pool.

    Args:
        limits: the bounds.
        connect: makes a connection for a slot, without connecting it yet.
        multiplexes: whether a connection to that origin may serve several requests at once.
        now: gives monotonic seconds.
        random: gives a number in [0, 1), to spread the ages of connections.

    Attributes:
        closed: connections closed so far, by reason.
        opened: connections made so far.
    """

    def __init__(
        self,
        limits: PoolLimits,
        *,
        connect: Callable[[Slot], Any],
        multiplexes: Callable[[Origin], bool],
        now: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.closed: Counter[str] = Counter()
        self.opened: int = 0
        self._all: dict[Slot, None] = {}
        self._idle: dict[Slot, None] = {}  # the one idle longest comes first
        self._idle_at: dict[Origin, dict[Slot, None]] = {}
        self._shared: dict[Origin, dict[Slot, None]] = {}  # others may join, as far as is known
        self._single: dict[Origin, None] = {}  # known not to multiplex
        self._limits = limits
        self._connect = connect
        self._multiplexes = multiplexes
        self._now = now
        self._random = random

    def take(
        self, origin: Origin, *, after: int = 0, allow_unconnected: bool = True
    ) -> Slot | None:
        """Give a slot for a request to ``origin``; None when it must wait for one.

        Args:
            origin: where the request goes.
            after: the number of the slot that the request failed on. It takes one opened later,
                which is new to it or serves others at the same time; 0 takes any.
            allow_unconnected: join a connection that is not made yet and may turn out not to multiplex.
        """
        now = self._now()
        self._expire(now)
        slot = self._take_shared(origin, now, after, allow_unconnected=allow_unconnected)
        if slot is None and not after:
            slot = self._take_idle(origin, now)
        if slot is None and self._make_room():
            slot = self._open(origin)
        if slot is not None:
            slot.users += 1
            slot.exchanges += 1
        return slot

    def give_back(self, slot: Slot, *, clean: bool) -> None:
        """Take a slot back from a request.

        Args:
            slot: what ``take`` gave.
            clean: whether the exchange ended as it should; another one closes its connection,
                unless others are on it and it is good for more.
        """
        slot.users -= 1
        if slot not in self._all:
            return
        if clean or slot.users > 0:
            slot.reset_abandoned()
        now = self._now()
        if slot.users > 0:
            self._leave_to_others(slot, now, clean=clean)
        elif not clean:
            self.drop(slot, "failed")
        elif slot.is_spent(now):
            self.drop(slot, "not reusable")
        else:
            self._keep(slot, now)

    def learn(self, slot: Slot) -> None:
        """Note that a connection did not take a request, or that it answered in HTTP/1.1.

        Before it is connected nobody can know, so it is shared in hope where HTTP/2 is allowed.
        One that is shared no more has failed before, and says nothing about its origin.
        """
        if not self._unshare(slot) or slot.is_multiplexed:
            return
        self._single[slot.origin] = None
        if len(self._single) > _MAX_REMEMBERED:
            del self._single[next(iter(self._single))]

    def drop(self, slot: Slot, reason: str) -> None:
        """Close a connection and free its place."""
        if slot in self._all:
            del self._all[slot]
            self._unshare(slot)
            self._forget_idle(slot)
            self.closed[reason] += 1
            slot.close()

    def drop_all(self) -> None:
        """Close every connection."""
        for slot in list(self._all):
            self.drop(slot, "pool closed")

    @property
    def all(self) -> list[Slot]:
        """Every slot, the oldest first."""
        return list(self._all)

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    def _take_shared(
        self, origin: Origin, now: float, after: int, *, allow_unconnected: bool
    ) -> Slot | None:
        for slot in reversed(list(self._shared.get(origin, ()))):
            if slot.number <= after or not (allow_unconnected or slot.is_multiplexed):
                continue
            if slot.takes_streams(now):
                self._forget_idle(slot)
                return slot
            self._unshare(slot)  # one that is full comes back when a request has left it
        return None

    def _take_idle(self, origin: Origin, now: float) -> Slot | None:
        while idle := self._idle_at.get(origin):
            slot = next(reversed(idle))  # the one used last is the likeliest to be alive
            self._forget_idle(slot)
            if not slot.is_stale(now):
                if slot.is_multiplexed:
                    self._share(slot)
                return slot
            self.drop(slot, "stale")
        return None

    def _make_room(self) -> bool:
        limit = self._limits.max_connections
        if limit is None or len(self._all) < limit:
            return True
        if not self._idle:
            return False
        self.drop(next(iter(self._idle)), "made room")
        return True

    def _open(self, origin: Origin) -> Slot:
        age = self._limits.max_connection_age
        retire_at = None if age is None else self._now() + age * (1 - 0.1 * self._random())
        self.opened += 1
        slot = Slot(origin, self.opened, retire_at)
        slot.connection = self._connect(slot)
        self._all[slot] = None
        if self._multiplexes(origin) and origin not in self._single:
            self._share(slot)
        return slot

    def _keep(self, slot: Slot, now: float) -> None:
        expiry = self._limits.keepalive_expiry
        slot.idle_until = None if expiry is None else now + expiry
        self._idle[slot] = None
        self._idle_at.setdefault(slot.origin, {})[slot] = None
        limit = self._limits.max_keepalive_connections
        if limit is not None and len(self._idle) > limit:
            self.drop(next(iter(self._idle)), "surplus")

    def _expire(self, now: float) -> None:
        while self._idle:
            oldest = next(iter(self._idle))
            if oldest.idle_until is None or now < oldest.idle_until:
                return
            self.drop(oldest, "expired")

    def _forget_idle(self, slot: Slot) -> None:
        if self._idle.pop(slot, self) is self:
            return
        idle = self._idle_at[slot.origin]
        del idle[slot]
        if not idle:
            del self._idle_at[slot.origin]
        slot.idle_until = None

    def _leave_to_others(self, slot: Slot, now: float, *, clean: bool) -> None:
        """Let further requests join those that are on a connection, if it is good for them."""
        if slot.is_multiplexed and slot.takes_streams(now):
            self._share(slot)
        elif not clean:
            self._unshare(slot)

    def _share(self, slot: Slot) -> None:
        self._shared.setdefault(slot.origin, {})[slot] = None

    def _unshare(self, slot: Slot) -> bool:
        """Let no further request join a connection; say whether one could until now."""
        shared = self._shared.get(slot.origin, {})
        if slot not in shared:
            return False
        del shared[slot]
        if not shared:
            del self._shared[slot.origin]
        return True
