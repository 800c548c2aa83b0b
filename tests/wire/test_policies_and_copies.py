"""Hedging on real sockets: a copy overtakes a slow request, and whatever loses leaves nothing."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from policy_ways import ASYNC_WAYS, Way, open_way, states_at
from steady_loop import advance, pass_time

from typed_async_client import Bulkhead, CircuitBreaker, Hedge, Resilience, RetryPolicy
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request
from typed_async_client.testing.server import Handler

HEDGED = Resilience(
    hedge=Hedge(after=0.05, max_copies=1, budget=None),
    bulkhead=Bulkhead(max_concurrent=4, max_wait=10.0),
    circuit=CircuitBreaker(minimum_calls=1),
)

OURS = ["client", "async transport", "httpx transport"]
"""Ways whose pool loses nothing if a request is cancelled; the others are up to httpx's pool."""

pytestmark = pytest.mark.usefixtures("no_leaks")


def slow_first(status: int = 200) -> Handler:
    """Never answer the first request, and answer the others at once."""
    count = itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        number = next(count)
        if number == 0:
            await wire.stall()
        else:
            await wire.answer(status, f"answer {number}".encode())

    return each_request(respond)


def at_rest(client: Way, url: str) -> bool:
    """Whether all permits are back, and the circuit waits for no report."""
    states = states_at(client.inner, url, asyncio.get_running_loop().time())
    gate = states["bulkhead"].gate
    return (gate.in_flight, gate.waiting, states["circuit"].in_flight) == (0, 0, 0)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_copy_overtakes_a_request_that_is_not_answered(way: str) -> None:
    """Both are in the history; the loser is closed later, and the circuit isn't charged with it."""
    async with FaultServer(slow_first()) as server, open_way(way, HEDGED) as client:
        response = await client.request("GET", server.url, timeout=30)
        assert response.text == "answer 1"
        assert len(server.requests) == 2
        last = client.events[-1]
        assert [kind for kind in client.kinds() if kind != "started"] == ["hedged", "success"]
        records = [(each.number, each.copy, each.status) for each in last.history]
        assert sorted(records, key=lambda record: record[1]) == [(1, 0, None), (1, 1, 200)]
        await pass_time(1.1)
        await wait_until(lambda: at_rest(client, server.url))
        assert client.inner.circuit(server.url).state == "closed"


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_post_is_copied_only_with_a_key(way: str) -> None:
    """Both copies have the same."""
    async with FaultServer(slow_first()) as server, open_way(way, HEDGED) as client:
        with pytest.raises((httpx.ReadTimeout, client.library.ReadTimeout)):
            await client.request("POST", server.url, content=b"x", timeout=0.5)
        assert len(server.requests) == 1
        assert "hedged" not in client.kinds()
    async with FaultServer(slow_first()) as server, open_way(way, HEDGED) as client:
        await client.request(
            "POST", server.url, content=b"x", idempotency_key="order-17", timeout=30
        )
        sent = [(each.headers["idempotency-key"], each.body) for each in server.requests]
        assert sent == [("order-17", b"x")] * 2


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_body_that_can_be_read_once_is_not_copied(way: str) -> None:
    """Two attempts would each send a part of it."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"body"

    async with FaultServer(slow_first()) as server, open_way(way, HEDGED) as client:
        with pytest.raises((httpx.ReadTimeout, client.library.ReadTimeout)):
            await client.request("PUT", server.url, content=pieces(), timeout=0.5)
        assert [request.body for request in server.requests] == [b"body"]


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_the_loser_of_two_answers_is_discarded(way: str) -> None:
    """Both come at the same moment; the connections serve what follows."""
    both = asyncio.Event()
    count = itertools.count(1)

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count) == 2:
            both.set()
        await both.wait()
        await wire.answer(200, b"x" * 3000)

    async with FaultServer(each_request(respond)) as server, open_way(way, HEDGED) as client:
        for _ in range(5):
            assert len((await client.request("GET", server.url, timeout=30)).content) == 3000
        assert at_rest(client, server.url)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_failed_first_answer_does_not_win_against_a_good_copy(way: str) -> None:
    """The first is answered with 503 after the copy was sent."""
    copied = asyncio.Event()
    count = itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count) == 0:
            await copied.wait()
            await wire.answer(503)
        else:
            copied.set()
            await asyncio.sleep(0.05)
            await wire.answer(200, b"good")

    policies = Resilience(retry=RetryPolicy(max_retries=0), hedge=HEDGED.hedge)
    async with FaultServer(each_request(respond)) as server, open_way(way, policies) as client:
        assert (await client.request("GET", server.url, timeout=30)).text == "good"


@pytest.mark.parametrize("way", OURS)
async def test_a_hedged_request_that_is_cancelled_at_any_moment_leaves_nothing(way: str) -> None:
    """After each number of turns of the event loop, until it completes first."""
    go_on = asyncio.Event()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await go_on.wait()
        await wire.answer(200, b"x" * 100)

    hedge = Hedge(after=0.1, max_copies=2, budget=None)
    policies = Resilience(
        hedge=hedge,
        bulkhead=Bulkhead(max_concurrent=2, max_wait=10.0),
        circuit=CircuitBreaker(minimum_calls=1000),
    )
    async with FaultServer(each_request(respond)) as server, open_way(way, policies) as client:
        for turns in itertools.count():
            go_on.clear()
            task = asyncio.ensure_future(client.request("GET", server.url, timeout=30))
            await run_until_copied(task, turns, go_on)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await wait_until(lambda: at_rest(client, server.url))
        assert turns > 60
        assert client.kinds().count("hedged") > 60
        assert (await client.request("GET", server.url)).status_code == 200
        assert at_rest(client, server.url)


async def run_until_copied(task: asyncio.Future[Any], turns: int, go_on: asyncio.Event) -> None:
    """Run some turns of the loop, in which copies become due, and answers arrive in the end."""
    for turn in range(turns):
        if turn in {20, 40}:
            advance(0.11)
        if turn == 60:
            go_on.set()
        if task.done():
            return
        await asyncio.sleep(0)
