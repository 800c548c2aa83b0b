"""Two origins share a full pool: requests that could go at once aren't held up by the others."""

import asyncio
import collections

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, h2_server
from pool_helpers import new_transport, pool_client, serve_requests

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.queue import OVERTAKES_PER_CONNECTION
from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = pytest.mark.usefixtures("no_leaks")


async def answer_all_but_the_first(wire: H2Wire) -> None:
    """Keep the first request waiting, and answer the others."""
    await wire.receive(1)
    await wire.answer_remaining()


async def test_http2_requests_join_a_connection_past_one_that_waits_for_its_own() -> None:
    """A slow download keeps the only connection open; the other origin has to wait for it."""
    transport = AsyncPoolTransport(http1=False, http2=True, limits=httpx.Limits(max_connections=1))
    async with (
        h2_server(answer_all_but_the_first, tls=False) as server,
        h2_server(tls=False) as other,
        httpx.AsyncClient(transport=transport, timeout=None) as client,
    ):
        slow = asyncio.create_task(client.get(server.url))
        await wait_until(lambda: server.connections == 1)
        blocked = asyncio.create_task(client.get(other.url))
        await wait_until(lambda: transport.statistics().waiting == 1)
        for _ in range(20):
            assert (await client.get(server.url)).status_code == 200
        assert (server.connections, other.connections) == (1, 0)
        slow.cancel()
        assert (await blocked).status_code == 200


async def test_two_origins_on_a_full_pool_close_no_connection_for_the_other() -> None:
    """Their requests come in turns; in strict order, almost each would open a connection."""

    async def answer(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, b"ok")

    async with (
        FaultServer(serve_requests(answer)) as first,
        FaultServer(serve_requests(answer)) as second,
    ):
        transport = new_transport(connections=4)
        async with pool_client(transport) as client:
            servers = [first, second] * 200
            await asyncio.gather(*[client.get(server.url) for server in servers])
        assert first.connections + second.connections == 4
        assert (len(first.requests), len(second.requests)) == (200, 200)


async def test_a_busy_origin_does_not_keep_another_waiting_forever() -> None:
    """Its requests overtake the other's only so often."""
    order: list[str] = []

    def recording(name: str) -> "FaultServer":
        async def answer(_: SeenRequest, wire: Wire) -> None:
            order.append(name)
            await wire.answer(200, b"ok")

        return FaultServer(serve_requests(answer))

    async with recording("busy") as busy, recording("other") as other:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client:
            tasks = [asyncio.create_task(client.get(busy.url)) for _ in range(2)]
            await wait_until(lambda: transport.statistics().waiting == 1)
            tasks.append(asyncio.create_task(client.get(other.url)))
            tasks += [asyncio.create_task(client.get(busy.url)) for _ in range(30)]
            await asyncio.gather(*tasks)
    assert order.index("other") == 2 + OVERTAKES_PER_CONNECTION
    assert collections.Counter(order) == {"busy": 32, "other": 1}
