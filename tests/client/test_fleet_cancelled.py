"""A request that is cancelled, in whichever turn of the loop, leaves nothing taken in the store."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fleet_kit import BREAKER, CIRCUIT_KEY, ORIGIN, new_client, policies

from typed_async_client import Hedge, RateLimit, Resilience, RetryBudget, RetryPolicy
from typed_async_client.policies.gates import Rejected
from typed_async_client.policies.health import Health
from typed_async_client.stores import LocalStore, Reservation, StateKey
from typed_async_client.testing import in_virtual_time

LONG = 1000.0
TWO_SLOTS = RateLimit(rate=1, per=LONG, burst=2)
ONE_RETRY = RetryBudget(ratio=0.0, min_per_second=1 / LONG, ttl=LONG)
AT_ONCE = RetryPolicy(max_retries=1, base_delay=0.0)

Respond = Callable[[httpx.Request], Any]


class RemoteStore(LocalStore):
    """Takes a turn of the loop for each decision, as one that must ask a server.

    What takes something takes it at the end, what gives something back does so at the beginning.
    """

    async def take_slot(self, *arguments: Any, **options: Any) -> Any:
        """Take a slot."""
        await asyncio.sleep(0)
        return await super().take_slot(*arguments, **options)

    async def admit(self, *arguments: Any, **options: Any) -> Any:
        """Admit an attempt."""
        await asyncio.sleep(0)
        return await super().admit(*arguments, **options)

    async def withdraw(self, *arguments: Any, **options: Any) -> Any:
        """Withdraw an extra request."""
        await asyncio.sleep(0)
        return await super().withdraw(*arguments, **options)

    async def cancel_slot(self, *arguments: Any, **options: Any) -> Any:
        """Give a slot back."""
        is_free = await super().cancel_slot(*arguments, **options)
        await asyncio.sleep(0)
        return is_free

    async def report(self, *arguments: Any, **options: Any) -> Any:
        """Report an attempt."""
        transition = await super().report(*arguments, **options)
        await asyncio.sleep(0)
        return transition

    async def refund(self, *arguments: Any, **options: Any) -> Any:
        """Give an extra request back."""
        await super().refund(*arguments, **options)
        await asyncio.sleep(0)


async def cancelled_after(
    turns: int, store: LocalStore, chosen: Resilience, respond: Respond, *, cancellations: int = 1
) -> bool:
    """Cancel a request after some turns of the loop; return whether it was still running."""
    async with new_client(respond, resilience=chosen, store=store) as client:
        task = await client.get("/")
        for _ in range(turns):
            await asyncio.sleep(0)
        was_running = not task.done()
        for _ in range(cancellations):
            task.cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
            await task
        await client.wait_for_all_requests()
    return was_running


class Counting:
    """A server that is busy, and takes two turns to say so."""

    def __init__(self) -> None:
        self.requests = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer ``request`` after two turns."""
        self.requests += 1
        for _ in range(2):
            await asyncio.sleep(0)
        return httpx.Response(503)


async def slots_left(store: LocalStore) -> int:
    """Return how many slots of the rate limit are free."""
    now, key = asyncio.get_running_loop().time(), StateKey("rate_limit", ORIGIN)
    for count in itertools.count():
        slot = await LocalStore.take_slot(store, key, TWO_SLOTS, now=now)
        if not isinstance(slot, Reservation) or slot.wait:
            return count
    raise AssertionError


async def may_retry(store: LocalStore) -> bool:
    """Return whether the budget allows an extra request."""
    now, key = asyncio.get_running_loop().time(), StateKey("budget", ORIGIN)
    return await LocalStore.withdraw(store, key, ONE_RETRY, now=now) is not None


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@in_virtual_time
async def test_only_what_was_sent_has_used_a_turn(cancellations: int) -> None:
    """Of a limit of two attempts, those that haven't arrived are left."""
    chosen = policies(retry=AT_ONCE, rate_limit=TWO_SLOTS, circuit=BREAKER)
    for turns in itertools.count():
        store, server = RemoteStore(), Counting()
        was_running = await cancelled_after(
            turns, store, chosen, server, cancellations=cancellations
        )
        assert await slots_left(store) == 2 - server.requests, turns
        if not was_running:
            break
    assert turns > 10


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@in_virtual_time
async def test_only_a_retry_that_was_sent_has_used_the_budget(cancellations: int) -> None:
    """Whichever policy it was still to pass."""
    chosen = policies(
        retry=AT_ONCE, budget=ONE_RETRY, rate_limit=TWO_SLOTS, circuit=BREAKER, attempt_timeout=60.0
    )
    for turns in itertools.count():
        store, server = RemoteStore(), Counting()
        was_running = await cancelled_after(
            turns, store, chosen, server, cancellations=cancellations
        )
        assert await may_retry(store) == (server.requests < 2), turns
        assert await slots_left(store) == 2 - server.requests, turns
        if not was_running:
            break
    assert turns > 12


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@in_virtual_time
async def test_a_probe_that_is_cancelled_lets_another_be_sent(cancellations: int) -> None:
    """At every turn: until it is admitted, while it is in flight, and when it has been answered."""

    async def respond(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return httpx.Response(200)

    chosen = policies(circuit=BREAKER, rate_limit=TWO_SLOTS)
    for turns in itertools.count():
        store = RemoteStore()
        await open_circuit(store)
        await asyncio.sleep(30.0)
        was_running = await cancelled_after(
            turns, store, chosen, respond, cancellations=cancellations
        )
        now = asyncio.get_running_loop().time()
        answer = await LocalStore.admit(store, CIRCUIT_KEY, BREAKER, now=now)
        assert not isinstance(answer, Rejected), turns
        if not was_running:
            break
    assert turns > 4


async def open_circuit(store: LocalStore) -> None:
    """Report failures until the circuit opens."""
    now = asyncio.get_running_loop().time()
    for _ in range(BREAKER.minimum_calls):
        admission = await store.admit(CIRCUIT_KEY, BREAKER, now=now)
        assert not isinstance(admission, Rejected)
        await store.report(
            CIRCUIT_KEY, BREAKER, admission, Health.FAILING, duration=0.0, now=now, random=0.5
        )


@in_virtual_time
async def test_a_request_that_is_cancelled_while_it_waits_gives_its_turn_back() -> None:
    """The next one waits no longer than it would have."""
    limit, store = RateLimit(rate=1, per=10.0), RemoteStore()
    chosen = policies(rate_limit=limit)
    async with new_client(Counting(), resilience=chosen, store=store) as client:
        await client.request("GET", "/")
        for _ in range(3):
            waiting = await client.get("/")
            await asyncio.sleep(1.0)
            waiting.cancel()
            await asyncio.wait([waiting])
        now = asyncio.get_running_loop().time()
        slot = await store.take_slot(StateKey("rate_limit", ORIGIN), limit, now=now)
    assert isinstance(slot, Reservation)
    assert (now, slot.wait) == (3.0, 7.0)


@in_virtual_time
async def test_a_retry_that_was_never_sent_has_used_none_of_the_budget() -> None:
    """It was cancelled during its delay."""
    chosen = policies(retry=RetryPolicy(base_delay=5.0, jitter="none"), budget=ONE_RETRY)
    store, server = RemoteStore(), Counting()
    async with new_client(server, resilience=chosen, store=store) as client:
        task = await client.get("/")
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])
    assert server.requests == 1
    assert await may_retry(store)


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@in_virtual_time
async def test_a_hedged_request_that_is_cancelled_leaves_nothing_taken(cancellations: int) -> None:
    """Neither by its first attempt nor by the copy."""

    async def respond(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60.0)
        return httpx.Response(200)

    chosen = policies(hedge=Hedge(after=0.5, budget=None), circuit=BREAKER)
    for seconds in (0.0, 0.4, 0.5, 0.6, 60.0):
        store = RemoteStore()
        await open_circuit(store)
        await asyncio.sleep(30.0)
        async with new_client(respond, resilience=chosen, store=store) as client:
            task = await client.get("/")
            await asyncio.sleep(seconds)
            for _ in range(cancellations):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([task])
        now = asyncio.get_running_loop().time()
        answer = await LocalStore.admit(store, CIRCUIT_KEY, BREAKER, now=now)
        assert not isinstance(answer, Rejected), seconds
