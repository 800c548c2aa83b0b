"""Clients of one process that share their rate limits, circuits and budgets in a store."""

import asyncio
import contextlib
from typing import Any

import httpx
import pytest
from fleet_kit import BREAKER, ONE_RETRY, ORIGIN, RETRIES, SLOW, Server, new_client, policies

from typed_async_client import (
    AsyncEvent,
    BulkheadFullError,
    CircuitOpenError,
    EventType,
    Hedge,
    RateLimit,
    RateLimitedLocallyError,
)
from typed_async_client.policies.bulkhead import Bulkhead
from typed_async_client.stores import LocalStore, StateKey
from typed_async_client.testing import in_virtual_time


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_two_clients_share_a_rate_limit() -> None:
    """Together they send no more than one of them may."""
    server, store = Server(200, clock=clock), LocalStore()
    limited = policies(rate_limit=RateLimit(rate=2, burst=3))
    async with (
        new_client(server, resilience=limited, store=store) as one,
        new_client(server, resilience=limited, store=store) as other,
    ):
        await asyncio.gather(*(each.request("GET", "/") for each in [one, other] * 5))
    assert server.times == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


@in_virtual_time
async def test_clients_with_other_stores_have_limits_of_their_own() -> None:
    """So have those without a store."""
    server = Server(200, clock=clock)
    for store in (LocalStore(), LocalStore(), None):
        async with new_client(server, resilience=policies(rate_limit=SLOW), store=store) as client:
            await client.request("GET", "/")
    assert server.times == [0.0] * 3


@in_virtual_time
async def test_a_limit_of_the_whole_client_is_shared_for_all_hosts() -> None:
    """And one per host is for each of them."""
    server, store = Server(200, clock=clock), LocalStore()
    whole = RateLimit(rate=1, per=10.0, scope="client")
    for limit, times in ((SLOW, [0.0, 0.0]), (whole, [0.0, 10.0])):
        server.times.clear()
        async with new_client(server, resilience=policies(rate_limit=limit), store=store) as client:
            await client.request("GET", "http://a.test/")
            await client.request("GET", "http://b.test/")
        assert server.times == times


@in_virtual_time
async def test_a_circuit_that_one_client_has_opened_rejects_the_requests_of_the_other() -> None:
    """Nothing is sent until a probe is due; if that is answered, it is closed for both."""
    server, store = Server(500, 500, 200), LocalStore()
    guarded = policies(circuit=BREAKER)
    async with (
        new_client(server, resilience=guarded, store=store) as one,
        new_client(server, resilience=guarded, store=store) as other,
    ):
        for _ in range(2):
            await one.request("GET", "/")
        for client in (one, other):
            with pytest.raises(CircuitOpenError, match=r"the circuit of http://a\.test is open"):
                await client.request("GET", "/")
        assert len(server.seen) == 2
        await asyncio.sleep(30.0)
        assert (await other.request("GET", "/")).status_code == 200
        assert (await one.request("GET", "/")).status_code == 200


@in_virtual_time
async def test_the_other_client_waits_for_the_outcome_of_a_probe() -> None:
    """One probe is sent at a time, whichever client sends it."""
    store, answered = LocalStore(), asyncio.Event()
    answers = [500, 500, 200, 200]

    async def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/probe":
            await answered.wait()
        return httpx.Response(answers.pop(0))

    guarded = policies(circuit=BREAKER)
    async with (
        new_client(respond, resilience=guarded, store=store) as one,
        new_client(respond, resilience=guarded, store=store) as other,
    ):
        for _ in range(2):
            await one.request("GET", "/")
        await asyncio.sleep(30.0)
        probe = await one.get("/probe")
        await asyncio.sleep(1.0)
        with pytest.raises(CircuitOpenError):
            await other.request("GET", "/")
        answered.set()
        await probe
        assert (await other.request("GET", "/")).status_code == 200


@in_virtual_time
async def test_two_clients_share_a_retry_budget() -> None:
    """What one has withdrawn, the other can't."""
    server, store = Server(503), LocalStore()
    thrifty = policies(retry=RETRIES, budget=ONE_RETRY)
    async with (
        new_client(server, resilience=thrifty, store=store) as one,
        new_client(server, resilience=thrifty, store=store) as other,
    ):
        await one.request("GET", "/")
        assert len(server.seen) == 2
        await other.request("GET", "/")
        assert len(server.seen) == 3


@in_virtual_time
async def test_requests_are_counted_once_in_a_shared_budget() -> None:
    """Five requests allow a retry, whichever clients have made them."""
    store = LocalStore()
    server = Server(*[200] * 5, 503)
    budget = type(ONE_RETRY)(ratio=0.2, min_per_second=0.0, ttl=60.0)
    thrifty = policies(retry=RETRIES, budget=budget)
    async with (
        new_client(server, resilience=thrifty, store=store) as one,
        new_client(server, resilience=thrifty, store=store) as other,
    ):
        for client in (one, other, one, other, one):
            await client.request("GET", "/")
        await other.request("GET", "/")
    assert len(server.seen) == 7


@in_virtual_time
async def test_a_retry_that_succeeds_is_given_back() -> None:
    """So the budget limits only those that are in vain."""
    server, store = Server(503, 200, 503, 200), LocalStore()
    thrifty = policies(retry=RETRIES, budget=ONE_RETRY)
    async with new_client(server, resilience=thrifty, store=store) as client:
        for _ in range(2):
            assert (await client.request("GET", "/")).status_code == 200
    assert len(server.seen) == 4


@in_virtual_time
async def test_a_retry_that_a_policy_refuses_is_given_back() -> None:
    """It was never sent."""
    server, store = Server(503), LocalStore()
    chosen = policies(
        retry=RETRIES, budget=ONE_RETRY, circuit=type(BREAKER)(minimum_calls=1, reset_timeout=60.0)
    )
    async with new_client(server, resilience=chosen, store=store) as client:
        with pytest.raises(CircuitOpenError):
            await client.request("GET", "/")
    key = StateKey("budget", ORIGIN)
    assert await store.withdraw(key, ONE_RETRY, now=clock()) is not None
    assert len(server.seen) == 1


@in_virtual_time
async def test_a_turn_whose_attempt_another_policy_refuses_is_given_back() -> None:
    """The next attempt needn't wait for it."""
    server, store = Server(200, clock=clock), LocalStore()
    chosen = policies(rate_limit=SLOW, bulkhead=Bulkhead(max_concurrent=1, max_waiting=0))
    hanging = asyncio.Event()

    async def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hanging":
            await hanging.wait()
        return server(request)

    async with new_client(respond, resilience=chosen, store=store) as client:
        first = await client.get("/hanging")
        with pytest.raises(BulkheadFullError):
            await client.request("GET", "/")
        hanging.set()
        await first
        await client.request("GET", "/")
    assert server.times == [10.0, 10.0]


@in_virtual_time
async def test_a_turn_that_would_come_too_late_is_refused_at_once() -> None:
    """After the deadline, or after ``max_wait``; nothing is sent or taken."""
    server, store = Server(200), LocalStore()
    impatient = RateLimit(rate=1, per=10.0, max_wait=5.0)
    async with new_client(server, resilience=policies(rate_limit=impatient), store=store) as client:
        await client.request("GET", "/")
        for deadline, message in ((3.0, "deadline"), (60.0, "max_wait")):
            with pytest.raises(RateLimitedLocallyError, match=message):
                await client.request("GET", "/", deadline=deadline)
    assert (len(server.seen), clock()) == (1, 0.0)


@in_virtual_time
async def test_copies_share_the_limits_and_the_budget() -> None:
    """A copy takes its turn, and is sent only if the budget allows it."""
    store = LocalStore()
    times: list[float] = []

    async def respond(_: httpx.Request) -> httpx.Response:
        times.append(clock())
        if len(times) == 1:
            await asyncio.sleep(60.0)
        return httpx.Response(200)

    chosen = policies(
        hedge=Hedge(after=1.0, budget=None), budget=ONE_RETRY, rate_limit=SLOW, circuit=BREAKER
    )
    async with new_client(respond, resilience=chosen, store=store) as client:
        assert (await client.request("GET", "/")).status_code == 200
        assert times == [0.0, 10.0]  # the copy was due after a second
        await client.request("GET", "/")
    assert times == [0.0, 10.0, 20.0]


@pytest.mark.parametrize("is_lost", [False, True])
@in_virtual_time
async def test_the_origin_that_a_redirect_led_to_is_told_how_it_ended(*, is_lost: bool) -> None:
    """Its circuit opens, and the one of the origin that has redirected stays closed."""
    store = LocalStore()

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.host == "a.test":
            return httpx.Response(302, headers={"Location": "http://b.test/"})
        if is_lost:
            raise httpx.ReadError("lost", request=request)
        return httpx.Response(500)

    events: list[AsyncEvent] = []
    options: dict[str, Any] = {"resilience": policies(circuit=BREAKER), "store": store}
    async with new_client(respond, events, follow_redirects=True, **options) as client:
        for _ in range(3):  # the third finds the circuit open, and can't report
            with contextlib.suppress(httpx.ReadError):
                await client.request("GET", "http://a.test/")
        with pytest.raises(CircuitOpenError, match=r"b\.test is open"):
            await client.request("GET", "http://b.test/")
    assert [event.event_type for event in events].count(EventType.CIRCUIT_OPENED) == 1


@in_virtual_time
async def test_a_view_of_a_client_uses_its_store() -> None:
    """Its policies are shared as well."""
    server, store = Server(200, clock=clock), LocalStore()
    async with new_client(server, store=store) as client:
        view = client.with_options(resilience=policies(rate_limit=SLOW))
        await view.request("GET", "/")
        await client.request("GET", "/", resilience=policies(rate_limit=SLOW))
        await client.request("GET", "/")
    assert server.times == [0.0, 10.0, 10.0]
