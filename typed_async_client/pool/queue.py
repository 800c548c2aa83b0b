"""The requests that wait for a connection, and who goes next.

Requests that wait for the same thing are served in the order in which they asked for a slot; one that is
sent again asks again. Among the others, one may overtake another if an open connection serves it at once,
because a new connection for the older request would cost that one, and a handshake. So that nobody waits
forever, a request is overtaken at most four times per connection of the pool: about as long as four
requests take. Joining an HTTP/2 connection that an even older request keeps open isn't overtaking, since
the connection wouldn't be free anyway.

Nothing here ever waits: what waits are the callers, for the future of their waiter.
"""

import asyncio
import dataclasses
import heapq
import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import Key, Slot
from typed_async_client.pool.slots import Slots

__all__ = ["OVERTAKES_PER_CONNECTION", "PoolQueue", "Waiter"]

OVERTAKES_PER_CONNECTION = 4
"""How many requests may overtake one that waits, for each connection that the pool may have."""

_Need: TypeAlias = tuple[int, bool]
"""Which connections of its key a request may use: those after a number, and unconnected ones or not."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A request that waits for a slot.

    Attributes:
        request: the request.
        slot: its slot, once there is one.
    """

    request: PooledRequest
    slot: asyncio.Future[Slot]


_Line: TypeAlias = OrderedDict[int, Waiter]
"""Waiters by ticket, the oldest first."""


class PoolQueue:
    """Gives slots to requests, and keeps those for which there is none yet.

    Args:
        slots: the slots.
        max_connections: the most slots; None is no limit.
    """

    def __init__(self, slots: Slots, max_connections: int | None) -> None:
        self._slots = slots
        slots.on_room = _weak(self.serve)
        self._all: _Line = OrderedDict()
        self._lines: dict[Key, dict[_Need, _Line]] = {}
        self._held_back: dict[Key, None] = {}  # keys whose waiters an open connection would serve
        self._held_back_for = 0  # the ticket of the oldest waiter at that time
        self._early: list[int] = []  # heap of the tickets that have overtaken the oldest waiter
        self._most_overtaken = OVERTAKES_PER_CONNECTION * (max_connections or 0)
        self._tickets = itertools.count(1)

    def __len__(self) -> int:
        return len(self._all)

    def take(self, request: PooledRequest) -> Slot | None:
        """Return a slot for a request that has just come; None if it must wait."""
        request.ticket = next(self._tickets)
        if not self._all:
            slot = self._find(request) or self._slots.open(request.key)
        elif self._line_of(request):
            slot = None
        else:
            slot = self._find_early(request)
        if slot is not None:
            self._slots.enter(slot, request.ticket)
        return slot

    def open_early(self, key: Key) -> tuple[Slot, int] | None:
        """Open a connection that no request needs yet; return it and the ticket that holds it.

        Returns:
            None if requests are waiting for a connection, or if it couldn't be kept idle.
        """
        slot = None if self._all else self._slots.open_early(key)
        if slot is None:
            return None
        ticket = next(self._tickets)
        self._slots.enter(slot, ticket)
        return slot, ticket

    def add(self, request: PooledRequest) -> Waiter:
        """Let a request wait for which ``take`` has just found no slot."""
        waiter = Waiter(request, asyncio.get_running_loop().create_future())
        self._all[request.ticket] = waiter
        lines = self._lines.setdefault(request.key, {})
        lines.setdefault(_need_of(request), OrderedDict())[request.ticket] = waiter
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Stop waiting; those behind may accept what this one couldn't use."""
        self._remove(waiter)
        self.serve()

    def serve(self, key: Key | None = None) -> None:
        """Assign slots to waiters while there are any.

        Args:
            key: of the connection that has changed; those who wait for it may go at once.
        """
        if not self._all:
            return
        if key is not None:
            self._serve_key(key)
        self._serve_held_back()
        while self._all:
            oldest = next(iter(self._all.values()))
            if not self._serve_oldest(oldest):
                return
            self._serve_held_back()

    def fail(self, reason: str) -> None:
        """Fail every waiter with a ``RuntimeError``."""
        for waiter in self._all.values():
            if not waiter.slot.done():
                waiter.slot.set_exception(RuntimeError(reason))
        self._all.clear()
        self._lines.clear()
        self._held_back.clear()
        self._early.clear()

    def _find(self, request: PooledRequest) -> Slot | None:
        return self._slots.find(
            request.key,
            newer_than=request.failed_slot,
            allow_unconnected=request.allow_unconnected,
        )

    def _find_early(self, request: PooledRequest) -> Slot | None:
        """Find an open connection for a request, unless too many have overtaken the oldest one."""
        slot = self._find(request)
        if slot is None:
            return None
        oldest = next(iter(self._all))
        if request.ticket <= oldest or any(ticket < oldest for ticket in slot.tickets):
            return slot
        if len(self._early) >= self._most_overtaken:
            self._held_back[request.key] = None
            self._held_back_for = oldest
            return None
        heapq.heappush(self._early, request.ticket)
        return slot

    def _serve_key(self, key: Key) -> None:
        for line in list(self._lines.get(key, {}).values()):
            while line:
                waiter = next(iter(line.values()))
                slot = None if waiter.slot.done() else self._find_early(waiter.request)
                if slot is None and not waiter.slot.done():
                    break
                self._assign(waiter, slot)

    def _serve_held_back(self) -> None:
        """Serve those who could go, if the request that they may not overtake has left."""
        if self._held_back and next(iter(self._all), 0) == self._held_back_for:
            return
        held_back, self._held_back = self._held_back, {}
        for key in held_back:
            self._serve_key(key)

    def _serve_oldest(self, oldest: Waiter) -> bool:
        """Assign the oldest waiter a slot; return whether that was possible."""
        request, slot = oldest.request, None
        if not oldest.slot.done():
            slot = self._find(request) or self._slots.open(request.key)
            if slot is None:
                return False
        self._assign(oldest, slot)
        return True

    def _assign(self, waiter: Waiter, slot: Slot | None) -> None:
        """Let a waiter go with its slot; one that was cancelled goes without."""
        self._remove(waiter)
        if slot is not None:
            self._slots.enter(slot, waiter.request.ticket)
            waiter.slot.set_result(slot)

    def _line_of(self, request: PooledRequest) -> _Line | None:
        return self._lines.get(request.key, {}).get(_need_of(request))

    def _remove(self, waiter: Waiter) -> None:
        request = waiter.request
        if self._all.pop(request.ticket, None) is None:
            return
        lines, need = self._lines[request.key], _need_of(request)
        del lines[need][request.ticket]
        if not lines[need]:
            del lines[need]
        if not lines:
            del self._lines[request.key]
        oldest = next(iter(self._all), None)
        while self._early and (oldest is None or self._early[0] < oldest):
            heapq.heappop(self._early)


def _need_of(request: PooledRequest) -> _Need:
    return request.failed_slot, request.allow_unconnected


def _weak(method: Callable[[Key], None]) -> Callable[[Key], None]:
    """Return a function that calls a method, as long as its object exists."""
    reference = weakref.WeakMethod(method)

    def call(key: Key) -> None:
        living = reference()
        if living is not None:
            living(key)

    return call
