"""What becomes of an attempt that a copy has overtaken: it may end, to save its connection."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire
from h2_setups import ALL_SETUPS, H2Setup
from policy_ways import ASYNC_WAYS, Way, open_way, states_at
from steady_loop import pass_time

from typed_async_client import Bulkhead, Hedge, Resilience, ResilientTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request
from typed_async_client.testing.server import Handler

HEDGED = Resilience(
    hedge=Hedge(after=0.02, budget=None), bulkhead=Bulkhead(max_concurrent=4, max_wait=10.0)
)

pytestmark = pytest.mark.usefixtures("no_leaks")


def slow_first(go_on: asyncio.Event, size: int = 10) -> Handler:
    """Answer every second request, the originals, only when the test says so."""
    count = itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count) % 2 == 0:
            await go_on.wait()
        await wire.answer(200, b"x" * size)

    return each_request(respond)


def permits(inner: Any, url: str) -> int:
    """Return how many attempts of a client or a transport hold a permit."""
    states = states_at(inner, url, asyncio.get_running_loop().time())
    number: int = states["bulkhead"].gate.in_flight
    return number


def in_flight(client: Way, url: str) -> int:
    """Return how many attempts hold a permit."""
    return permits(client.inner, url)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_loser_that_is_answered_soon_keeps_its_connection(way: str) -> None:
    """Two connections serve twenty requests, of which each second one lost; 11 if each were cut."""
    go_on = asyncio.Event()
    async with FaultServer(slow_first(go_on)) as server, open_way(way, HEDGED) as client:
        for _ in range(10):
            go_on.clear()
            assert (await client.request("GET", server.url, timeout=30)).status_code == 200
            assert in_flight(client, server.url) == 1
            go_on.set()
            await wait_until(lambda: in_flight(client, server.url) == 0)
        assert (len(server.requests), server.connections) == (20, 2)
        assert client.kinds().count("success") == 10


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_loser_that_is_not_answered_is_cancelled_after_a_second(way: str) -> None:
    """And publishes nothing; its permit is back."""
    never = asyncio.Event()
    async with FaultServer(slow_first(never)) as server, open_way(way, HEDGED) as client:
        await client.request("GET", server.url, timeout=30)
        kinds = client.kinds()
        assert in_flight(client, server.url) == 1
        await pass_time(1.1)
        await wait_until(lambda: in_flight(client, server.url) == 0)
        assert client.kinds() == kinds
        never.set()


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_loser_whose_answer_is_large_is_cancelled_at_once(way: str) -> None:
    """A new connection costs less than reading it."""
    never = asyncio.Event()
    large = slow_first(never, size=100_000)
    async with FaultServer(large) as server, open_way(way, HEDGED) as client:
        response = await client.request("GET", server.url, timeout=30)
        assert len(response.content) == 100_000
        assert in_flight(client, server.url) == 0
        never.set()


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_loser_ends_with_its_client(way: str) -> None:
    """No task and no connection is left behind."""
    never = asyncio.Event()
    async with FaultServer(slow_first(never)) as server:
        async with open_way(way, HEDGED) as client:
            await client.request("GET", server.url, timeout=30)
            assert in_flight(client, server.url) == 1
        assert in_flight(client, server.url) == 0
        never.set()


@ALL_SETUPS
async def test_a_loser_over_http2_keeps_its_connection_too(setup: H2Setup) -> None:
    """It is lost if its only stream is cancelled."""

    async def script(wire: H2Wire) -> None:
        for count in range(2, 12, 2):
            slow, fast = (await wire.receive(count))[-2:]
            await wire.answer(fast)
            await asyncio.sleep(0.01)
            await wire.answer(slow)
        await wire.answer_remaining()

    transport = ResilientTransport(setup.transport(), resilience=HEDGED)
    async with setup.server(script) as server, httpx.AsyncClient(transport=transport) as client:
        for _ in range(5):
            assert (await client.get(server.url)).status_code == 200
            await wait_until(lambda: permits(transport, server.url) == 0)
        assert server.connections == 1
