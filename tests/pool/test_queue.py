"""Who gets which slot: those who can go at once go, the others in order, and nobody waits forever."""

import asyncio

import httpcore
import pytest
from fake_connections import H2, A, B, FakePool
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from typed_async_client.pool.queue import OVERTAKES_PER_CONNECTION, PoolQueue, Waiter
from typed_async_client.pool.resend import PooledRequest
from typed_async_client.pool.slot import Origin, Slot


def a_request(origin: Origin = A) -> PooledRequest:
    """Return a request to an origin."""
    scheme, host, _ = origin
    return PooledRequest(
        httpcore.Request("GET", httpcore.URL(scheme=scheme, host=host, target="/"))
    )


class Line:
    """A pool with fake connections, its queue, and the requests that hold its slots."""

    def __init__(self, connections: int | None = 1) -> None:
        self.pool = FakePool(max_connections=connections)
        self.queue = PoolQueue(self.pool.slots, connections)
        self.held: dict[PooledRequest, Slot] = {}
        self.waiters: list[Waiter] = []

    def come(self, origin: Origin = A) -> PooledRequest:
        """Let a request come; it takes a slot, or waits."""
        request = a_request(origin)
        slot = self.queue.take(request)
        if slot is None:
            self.waiters.append(self.queue.add(request))
        else:
            self._start(request, slot)
        return request

    def end(self, request: PooledRequest) -> list[PooledRequest]:
        """End a request; return those that go next."""
        slot = self.held.pop(request)
        slot.connection.active -= 1
        self.pool.slots.give_back(slot, request.ticket, clean=True)
        self.queue.serve(slot.key)
        return self.collect()

    def leave(self, waiter: Waiter) -> list[PooledRequest]:
        """Let a waiter give up; return those that go next."""
        self.waiters.remove(waiter)
        waiter.slot.cancel()
        self.queue.leave(waiter)
        return self.collect()

    def collect(self) -> list[PooledRequest]:
        """Start the waiters that have got a slot, and return them, the longest held slot first."""
        served = [waiter for waiter in self.waiters if waiter.slot.done()]
        for waiter in served:
            self.waiters.remove(waiter)
            self._start(waiter.request, waiter.slot.result())
        return [waiter.request for waiter in served]

    def _start(self, request: PooledRequest, slot: Slot) -> None:
        if slot.connection.speaks_h2 is None:
            slot.connection.connect(speaks_h2=slot.origin == H2)
        slot.connection.active += 1
        self.held[request] = slot


async def test_requests_to_one_origin_are_served_in_order() -> None:
    """Each takes over the connection of the one before it."""
    line = Line()
    running = line.come()
    waiting = [line.come() for _ in range(5)]
    for request in waiting:
        assert line.end(running) == [request]
        running = request
    assert line.pool.slots.opened == 1


async def test_a_request_joins_an_open_connection_past_one_that_needs_its_own() -> None:
    """It takes nothing away: an older request keeps the connection open anyway."""
    line = Line()
    line.come(H2)
    line.come(A)
    for _ in range(50):
        joined = line.come(H2)
        assert joined in line.held
        assert line.end(joined) == []


async def test_once_nothing_older_keeps_a_connection_open_only_a_few_more_join_it() -> None:
    """Then it drains, and the request that waits for a connection of its own gets its place."""
    line = Line()
    oldest = line.come(H2)
    needs_its_own = line.come(A)
    joined = [line.come(H2)]
    line.end(oldest)
    while (request := line.come(H2)) in line.held:
        joined.append(request)
    assert len(joined) == 1 + OVERTAKES_PER_CONNECTION
    assert [line.end(one) for one in joined[:-1]] == [[]] * OVERTAKES_PER_CONNECTION
    assert line.end(joined[-1]) == [needs_its_own]
    assert line.end(needs_its_own) == [request]


async def test_those_held_back_go_as_soon_as_the_oldest_gives_up() -> None:
    """They don't have to wait for the next response."""
    line = Line()
    oldest = line.come(H2)
    line.come(A)
    for _ in range(OVERTAKES_PER_CONNECTION + 1):
        line.come(H2)
    line.end(oldest)
    joined = [line.come(H2) for _ in range(10)]
    behind = [request for request in joined if request not in line.held]
    assert len(behind) == 10 - OVERTAKES_PER_CONNECTION
    assert line.leave(line.waiters[0]) == behind


async def test_those_held_back_are_looked_at_again_for_each_oldest() -> None:
    """Requests that came before it haven't overtaken it."""
    line = Line()
    oldest = line.come(H2)
    line.come(A)
    joined = [line.come(H2)]
    line.end(oldest)
    joined += [line.come(H2) for _ in range(OVERTAKES_PER_CONNECTION)]
    line.come(B)
    behind = [line.come(H2) for _ in range(OVERTAKES_PER_CONNECTION)]
    assert all(request in line.held for request in joined)
    assert line.leave(line.waiters[0]) == behind


async def test_two_origins_on_a_full_pool_keep_their_connections() -> None:
    """In strict order, each of 1,000 requests would close a connection of the other origin."""
    line = Line(connections=10)
    for _ in range(500):
        line.come(A)
        line.come(B)
    served = 0
    while line.held:
        line.end(next(iter(line.held)))
        served += 1
    assert (served, line.pool.slots.opened) == (1000, 10)


@pytest.mark.parametrize("connections", [1, 3])
async def test_a_request_is_overtaken_only_so_often(connections: int) -> None:
    """However many others could use an open connection."""
    line = Line(connections)
    running = [line.come(A) for _ in range(connections)]
    waits_for_b = line.come(B)
    for _ in range(100):
        line.come(A)
    overtaken = 0
    while waits_for_b not in line.held:
        overtaken += len([one for one in line.end(running.pop(0)) if one is not waits_for_b])
        running = [request for request in line.held if request is not waits_for_b]
    assert overtaken == OVERTAKES_PER_CONNECTION * connections


async def test_a_waiter_that_is_cancelled_gets_no_slot() -> None:
    """Although nobody has taken it out of the queue yet."""
    line = Line()
    running = line.come(A)
    for origin in (A, B, A):
        line.come(origin)
    for waiter in line.waiters[:2]:
        waiter.slot.cancel()
    line.queue.serve()
    slot = line.held.pop(running)
    slot.connection.active -= 1
    line.pool.slots.give_back(slot, running.ticket, clean=True)
    line.queue.serve(slot.key)
    assert line.waiters[2].slot.result() is slot
    assert len(line.queue) == 0


async def test_a_request_that_needs_a_newer_connection_holds_up_no_other() -> None:
    """It has failed on the one that the others may still join."""
    line = Line(connections=2)
    running = [line.come(H2), line.come(A)]
    failed = a_request(H2)
    failed.failed_slot = line.held[running[0]].number
    assert line.queue.take(failed) is None
    line.waiters.append(line.queue.add(failed))
    assert line.come(H2) in line.held
    assert line.end(running[1]) == [failed]


async def test_a_queue_that_fails_is_empty() -> None:
    """Every waiter learns why."""
    line = Line()
    line.come(A)
    line.come(A)
    line.come(B)
    line.waiters[0].slot.cancel()
    line.queue.fail("closed")
    assert len(line.queue) == 0
    assert str(line.waiters[1].slot.exception()) == "closed"
    line.queue.leave(line.waiters[1])


class AnyOrder(RuleBasedStateMachine):
    """Requests come, end and give up in any order."""

    origins = st.sampled_from([A, B, H2])

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def teardown(self) -> None:
        """End all requests: nobody is left behind."""
        while self.line.held:
            self._count(self.line.end(next(iter(self.line.held))))
        assert self.line.waiters == []
        assert len(self.line.queue) == len(self.line.queue._lines) == 0
        asyncio.set_event_loop(None)
        self.loop.close()

    @initialize(connections=st.integers(1, 4))
    def create(self, connections: int) -> None:
        """Create an empty pool."""
        self.line = Line(connections)
        self.most_overtaken = OVERTAKES_PER_CONNECTION * connections
        self.overtaken: dict[int, int] = {}

    @rule(origin=origins)
    def come(self, origin: Origin) -> None:
        """A request comes."""
        with_older = self._kept_open_by_others()
        request = self._in_loop(origin)
        if request in self.line.held:
            self._count([request], with_older)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A request ends."""
        if self.line.held:
            request = data.draw(st.sampled_from(list(self.line.held)))
            with_older = self._kept_open_by_others(request)
            self._count(self.line.end(request), with_older)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A waiter gives up."""
        if self.line.waiters:
            with_older = self._kept_open_by_others()
            self._count(self.line.leave(data.draw(st.sampled_from(self.line.waiters))), with_older)

    @invariant()
    def nobody_waits_for_a_free_slot(self) -> None:
        """While anybody waits, every connection is in use."""
        slots = self.line.pool.slots
        if self.line.waiters:
            assert (len(slots.all), slots.idle) == (self.line.pool.slots._limits.max_connections, 0)

    @invariant()
    def nobody_is_overtaken_too_often(self) -> None:
        """By requests that took a slot that the oldest waiter could have had."""
        assert all(count <= self.most_overtaken for count in self.overtaken.values())

    @invariant()
    def the_lines_are_in_order(self) -> None:
        """Nobody has been served before an older one with the same need."""
        for lines in self.line.queue._lines.values():
            for line in lines.values():
                assert list(line) == sorted(line)

    def _in_loop(self, origin: Origin) -> PooledRequest:
        async def come() -> PooledRequest:
            return self.line.come(origin)

        return self.loop.run_until_complete(come())

    def _kept_open_by_others(self, ending: PooledRequest | None = None) -> set[int]:
        """Return the numbers of the slots that a request older than every waiter keeps in use."""
        oldest = min((waiter.request.ticket for waiter in self.line.waiters), default=0)
        return {
            slot.number
            for request, slot in self.line.held.items()
            if request is not ending and request.ticket < oldest
        }

    def _count(
        self, served: list[PooledRequest], with_older: frozenset[int] | set[int] = frozenset()
    ) -> None:
        """Count for each waiter those that were served before it, on a slot that it could have had."""
        for request in served:
            if self.line.held[request].number in with_older:
                continue
            for waiter in self.line.waiters:
                ticket = waiter.request.ticket
                self.overtaken[ticket] = self.overtaken.get(ticket, 0) + (request.ticket > ticket)


TestAnyOrder = AnyOrder.TestCase
