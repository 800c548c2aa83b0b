"""What ``client.health()`` says of the pools of a client."""

import asyncio

import httpx
import pytest
from fault_handlers import wait_until
from proxy_handlers import forward_proxy

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, answer, stall

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_a_pool_with_waiting_requests_degrades_the_client() -> None:
    """Until one of them has got a connection."""
    limits = httpx.Limits(max_connections=1)
    async with FaultServer(stall) as server, AsyncResilientClient(limits=limits) as client:
        tasks = [await client.get(server.url) for _ in range(2)]
        await wait_until(lambda: client.health().status == "degraded")
        pool = client.health().pool
        assert pool is not None
        assert (pool.active, pool.waiting) == (1, 1)
        tasks[1].cancel()
        await wait_until(lambda: client.health().status == "healthy")
        tasks[0].cancel()
        await asyncio.wait(tasks)


async def test_the_pools_of_all_proxies_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has one for each, and one without a proxy."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with AsyncResilientClient() as client:
            for host in ("127.0.0.1", "localhost"):
                await client.request("GET", f"http://{host}:{server.port}/")
            pool = client.health().pool
            assert pool is not None
            assert (pool.idle, pool.opened, proxy.connections) == (2, 2, 1)


async def test_the_reasons_of_all_pools_are_added() -> None:
    """Each as often as it was the reason."""
    other = AsyncPoolTransport(force_close=True)
    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(
            transport=AsyncPoolTransport(force_close=True), mounts={"all://localhost": other}
        ) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        for host in ("127.0.0.1", "127.0.0.1", "localhost"):
            await client.request("GET", f"http://{host}:{server.port}/")
        pool = client.health().pool
        assert pool is not None
        assert pool.closed == {"not reusable": 3}  # as the server closes them, too


async def test_a_pool_that_serves_several_mounts_counts_once() -> None:
    """It is the same pool."""
    pool = AsyncPoolTransport()
    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(transport=pool, mounts={"all://localhost": pool}) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        await client.request("GET", server.url)
        assert client.health().pool == pool.statistics()
