"""The slots of a pool: which are idle, which are shared, and which must be closed.

Nothing here ever waits. A slot is found, entered, given back and closed by synchronous calls, so no
cancellation can fall between two of them. Each of these calls takes amortised constant time.
"""

import dataclasses
import math
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from typed_async_client.pool.slot import Key, Origin, PoolLimits, Slot
from typed_async_client.pool.stream_limits import StreamLimits

__all__ = ["PoolStatistics", "Slots"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """A snapshot of a pool's state and counters.

    Attributes:
        active: connections in use.
        idle: connections kept for later requests.
        connecting: active connections that aren't established yet.
        waiting: requests waiting for a connection.
        opened: connections opened so far.
        closed: connections closed so far, by reason.
    """

    active: int
    idle: int
    connecting: int
    waiting: int
    opened: int
    closed: dict[str, int]


class Slots:
    """All slots of a pool.

    Args:
        limits: the limits of the pool.
        connect: creates the connection of a slot, without opening it yet.
        multiplexes: returns whether connections to an origin may serve several requests at once.
        now: returns the monotonic time in seconds.
        random: returns a number in [0, 1), to spread the ages of connections.

    Attributes:
        closed: connections closed so far, by reason.
        on_room: called with the key of a connection that may serve more requests than before.
        opened: connections opened so far.
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
        self.on_room: Callable[[Key], object] = lambda _: None
        self.opened: int = 0
        self._all: dict[Slot, None] = {}
        self._idle: dict[Slot, None] = {}  # longest idle first
        self._idle_by_key: dict[Key, dict[Slot, None]] = {}
        self._shared: dict[Key, dict[Slot, None]] = {}  # other requests may join these
        self._stream_limits = StreamLimits()
        self._limits = limits
        self._connect = connect
        self._multiplexes = multiplexes
        self._now = now
        self._random = random

    def find(self, key: Key, *, newer_than: int = 0, allow_unconnected: bool = True) -> Slot | None:
        """Return an open connection that a request could enter now; None if there is none.

        Args:
            key: the origin of the request, and the server name that it verifies.
            newer_than: the number of the slot that the request failed on. Only slots opened later
                are considered, and no idle ones, which may be broken as well. 0 allows any.
            allow_unconnected: join a connection that isn't established yet, although it may turn
                out not to support several requests.
        """
        now = self._now()
        self._expire(now)
        slot = self._find_shared(key, now, newer_than, allow_unconnected=allow_unconnected)
        return slot or (None if newer_than else self._find_idle(key, now))

    def open(self, key: Key) -> Slot | None:
        """Open a connection, in place of an idle one if need be; return None if all are in use."""
        return self._open(key) if self._make_room() else None

    def open_early(self, key: Key) -> Slot | None:
        """Open a connection that no request needs yet; None if it couldn't be kept idle."""
        if not self.room_for_idle():
            return None
        slot = self._open(key)
        slot.opened_early = True
        return slot

    def room_for_idle(self) -> int:
        """Return how many more connections could be kept idle without closing another one."""
        self._expire(self._now())
        limits = self._limits
        if limits.keepalive_expiry is not None and limits.keepalive_expiry <= 0:
            return 0
        opening = sum(slot.is_unused and slot.users > 0 for slot in self._all)
        room = [sys.maxsize]
        if limits.max_connections is not None:
            room.append(limits.max_connections - len(self._all))
        if limits.max_keepalive_connections is not None:
            room.append(limits.max_keepalive_connections - len(self._idle) - opening)
        return max(0, min(room))

    def ready(self, key: Key) -> float:
        """Return how many requests could use an open connection at once; HTTP/2 has no limit here."""
        now = self._now()
        self._expire(now)
        shared = [slot for slot in self._shared.get(key, ()) if slot.is_multiplexed]
        if any(slot.accepts_requests(now) for slot in shared):
            return math.inf
        return sum(not slot.is_stale(now) for slot in self._idle_by_key.get(key, ()))

    def enter(self, slot: Slot, ticket: int) -> None:
        """Give a slot, which was found or opened just now, to the request with that ticket."""
        self._remove_idle(slot)
        if slot.is_multiplexed:
            self._share(slot)
        slot.tickets.add(ticket)
        slot.exchanges += 1

    def give_back(self, slot: Slot, ticket: int, *, clean: bool) -> None:
        """Take a slot back from a request.

        Args:
            slot: the slot that the request has entered.
            ticket: the request's ticket.
            clean: whether the exchange ended normally. If not, the connection is closed, unless it
                speaks HTTP/2, where an exchange ends alone.
        """
        slot.tickets.discard(ticket)
        if slot not in self._all:
            return
        now = self._now()
        if slot.users > 0:
            self._update_sharing(slot, now, clean=clean)
        elif not (clean or slot.is_multiplexed):
            self.drop(slot, "failed")
        elif not slot.is_reusable(now):
            self.drop(slot, "not reusable")
        elif self._limits.force_close and not slot.is_unused:
            self.drop(slot, "force_close")
        else:
            self._keep_idle(slot, now)

    def stop_sharing(self, slot: Slot) -> None:
        """Let no more requests join a connection that is full, or turned out to speak HTTP/1.1.

        If HTTP/2 is allowed, a connection is shared before its protocol and its limit are known. What
        they turn out to be is remembered for its origin. A connection without HTTP/2 that wasn't
        shared any more has failed before, and says nothing about its origin.
        """
        was_shared = self._unshare(slot)
        if slot.is_multiplexed:
            self._learn_limit(slot)
        elif was_shared:
            self._stream_limits.learn(slot.origin, 1)

    def drop(self, slot: Slot, reason: str) -> None:
        """Close a connection and remove its slot."""
        if slot in self._all:
            del self._all[slot]
            self._unshare(slot)
            self._remove_idle(slot)
            self.closed[reason] += 1
            slot.close()

    def drop_all(self) -> None:
        """Close every connection."""
        for slot in list(self._all):
            self.drop(slot, "pool closed")

    @property
    def all(self) -> list[Slot]:
        """Every slot, oldest first."""
        return list(self._all)

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return len(self._idle)

    def _find_shared(
        self, key: Key, now: float, newer_than: int, *, allow_unconnected: bool
    ) -> Slot | None:
        for slot in reversed(list(self._shared.get(key, ()))):
            if slot.number <= newer_than or not (allow_unconnected or slot.is_multiplexed):
                continue
            if slot.accepts_requests(now):
                return slot
            self._unshare(slot)  # if it is full, it is shared again once a request has left it
        return None

    def _find_idle(self, key: Key, now: float) -> Slot | None:
        while idle := self._idle_by_key.get(key):
            slot = next(reversed(idle))  # the most recently used one is most likely still alive
            if not slot.is_stale(now):
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

    def _open(self, key: Key) -> Slot:
        age = self._limits.max_connection_age
        retire_at = None if age is None else self._now() + age * (1 - 0.1 * self._random())
        self.opened += 1
        slot = Slot(key, self.opened, retire_at)
        slot.on_room = self._share_again
        slot.connection = self._connect(slot)
        self._all[slot] = None
        slot.expected_streams = self._stream_limits.of(slot.origin)
        if self._multiplexes(slot.origin) and slot.expected_streams > 1:
            self._share(slot)
        return slot

    def _keep_idle(self, slot: Slot, now: float) -> None:
        expiry = self._limits.keepalive_expiry
        if expiry is not None and expiry <= 0:
            self.drop(slot, "expired")
            return
        slot.idle_until = None if expiry is None else now + expiry
        self._idle[slot] = None
        self._idle_by_key.setdefault(slot.key, {})[slot] = None
        limit = self._limits.max_keepalive_connections
        if limit is not None and len(self._idle) > limit:
            self.drop(next(iter(self._idle)), "surplus")

    def _expire(self, now: float) -> None:
        while self._idle:
            oldest = next(iter(self._idle))
            if oldest.idle_until is None or now < oldest.idle_until:
                return
            self.drop(oldest, "expired")

    def _remove_idle(self, slot: Slot) -> None:
        if self._idle.pop(slot, self) is self:
            return
        idle = self._idle_by_key[slot.key]
        del idle[slot]
        if not idle:
            del self._idle_by_key[slot.key]
        slot.idle_until = None

    def _update_sharing(self, slot: Slot, now: float, *, clean: bool) -> None:
        """Let more requests join a connection that is in use, if it can still serve them."""
        if slot.is_multiplexed and slot.accepts_requests(now):
            self._share(slot)
        elif not clean:
            self._unshare(slot)

    def _share_again(self, slot: Slot) -> None:
        """Let requests join a connection whose server has just allowed more streams."""
        self._learn_limit(slot)
        if slot in self._all and slot.users > 0 and slot.accepts_requests(self._now()):
            self._share(slot)
            self.on_room(slot.key)

    def _learn_limit(self, slot: Slot) -> None:
        if limit := slot.http2.max_streams:
            self._stream_limits.learn(slot.origin, limit)

    def _share(self, slot: Slot) -> None:
        self._shared.setdefault(slot.key, {})[slot] = None

    def _unshare(self, slot: Slot) -> bool:
        """Let no more requests join a connection; return whether it was shared until now."""
        shared = self._shared.get(slot.key, {})
        if slot not in shared:
            return False
        del shared[slot]
        if not shared:
            del self._shared[slot.key]
        return True
