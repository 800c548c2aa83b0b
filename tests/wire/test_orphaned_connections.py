"""Connections that httpcore's pool has lost are given back to it, and no others."""

import asyncio
from typing import Any

import httpcore
import httpx
import pytest
from fault_handlers import wait_until

from typed_async_client.testing import FaultServer, Wire, answer, stall
from typed_async_client.transports.sheltered import release_orphans

pytestmark = pytest.mark.usefixtures("no_leaks")


def one_connection(**options: Any) -> tuple[httpx.AsyncClient, Any]:
    """Return a client whose pool has one connection, and the pool."""
    limits = httpx.Limits(max_connections=1)
    client: Any = httpx.AsyncClient(limits=limits, trust_env=False, **options)
    return client, client._transport._pool


def lose_connection(pool: Any, url: Any) -> None:
    """Leave the pool as it is if a request is cancelled in the turn in which it gets a connection."""
    origin = httpcore.URL(str(url)).origin
    pool._connections.append(pool.create_connection(origin))


async def test_a_connection_that_belongs_to_no_request_is_dropped() -> None:
    """The pool would be full for good."""
    client, pool = one_connection(timeout=httpx.Timeout(5.0, pool=0.05))
    async with FaultServer(answer(200, b"ok")) as server, client:
        url = httpx.URL(server.url)
        lose_connection(pool, url)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(url)
        await release_orphans(pool)
        assert pool.connections == []
        assert (await client.get(url)).text == "ok"


async def test_a_request_that_waits_for_a_connection_gets_it() -> None:
    """Without any other request coming or going."""
    client, pool = one_connection()
    async with FaultServer(answer(200, b"ok")) as server, client:
        url = httpx.URL(server.url)
        lose_connection(pool, url)
        waiting = asyncio.create_task(client.get(url))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await release_orphans(pool)
        assert (await waiting).text == "ok"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_connection_through_a_proxy_is_dropped_as_well(scheme: str) -> None:
    """And no other is opened in its place."""
    client, pool = one_connection(proxy=f"{scheme}://127.0.0.1:1")
    async with client:
        mounted: Any = next(iter(client._mounts.values()))
        pool = mounted._pool
        lose_connection(pool, "https://a.test/")
        for _ in range(3):
            await release_orphans(pool)
            assert pool.connections == []


async def test_only_the_pool_of_httpcore_is_touched() -> None:
    """Any other transport may have no pool, or one of its own."""
    await release_orphans(None)
    await release_orphans(object())


@pytest.mark.parametrize("http2", [False, True])
async def test_a_connection_that_is_being_opened_or_used_stays(*, http2: bool) -> None:
    """Nothing of it is disturbed, although another has been lost."""
    accepted = asyncio.Event()

    async def slow(wire: Wire) -> None:
        accepted.set()
        await stall(wire)

    limits = httpx.Limits(max_connections=2)
    client: Any = httpx.AsyncClient(limits=limits, trust_env=False, http2=http2)
    pool = client._transport._pool
    async with FaultServer(slow) as server, client:
        url = httpx.URL(server.url)
        task = asyncio.create_task(client.get(url))
        await asyncio.sleep(0)
        lose_connection(pool, url)
        for _ in range(200):
            await release_orphans(pool)
            await asyncio.sleep(0)
            if accepted.is_set():
                break
        await wait_until(lambda: len(server.requests) == 1 or accepted.is_set())
        await release_orphans(pool)
        assert len(pool.connections) == 1
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
