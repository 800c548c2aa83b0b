"""Connections that are opened early, within the limits of the pool."""

import asyncio

import httpx
import pytest
from fault_handlers import wait_until
from pool_helpers import expected_statistics, pool_client
from warm_up_reports import report_of

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
)
from typed_async_client.testing import FaultServer, answer, stall

pytestmark = pytest.mark.usefixtures("no_leaks")

FEW = httpx.Limits(max_connections=3, max_keepalive_connections=2)


async def test_no_more_is_opened_than_the_pool_may_keep_idle() -> None:
    """What is missing is reported; it isn't an error."""
    async with FaultServer(answer()) as server, AsyncResilientClient(limits=FEW) as client:
        assert await client.warm_up([server.url], connections=10) == [
            report_of(server, opened=2, missing=8)
        ]
        pool = client.health().pool
        assert pool is not None
        assert (pool.idle, pool.closed) == (2, {})


async def test_connections_to_other_origins_stay_open() -> None:
    """They aren't closed to make room."""
    async with (
        FaultServer(answer()) as first,
        FaultServer(answer()) as second,
        AsyncResilientClient(limits=FEW) as client,
    ):
        await client.warm_up([first.url], connections=2)
        assert await client.warm_up([second.url]) == [report_of(second, opened=0, missing=1)]
        assert await client.warm_up([first.url], connections=2) == [report_of(first, opened=0)]


async def test_concurrent_calls_keep_the_limits_together() -> None:
    """What one of them is opening counts for the others."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(limits=FEW)
        async with pool_client(transport):
            calls = [transport.warm_up([server.url], connections=2) for _ in range(4)]
            reports = [report for (report,) in await asyncio.gather(*calls)]
            assert sum(report.opened for report in reports) == 2
            assert transport.statistics() == expected_statistics(idle=2, opened=2)
            assert transport._pool._warm_ups._tasks == set()


@pytest.mark.parametrize(
    "limits",
    [
        httpx.Limits(max_keepalive_connections=0),
        httpx.Limits(keepalive_expiry=0.0),
    ],
)
async def test_nothing_is_opened_if_nothing_may_be_idle(limits: httpx.Limits) -> None:
    """It would be closed at once."""
    async with FaultServer(answer()) as server, AsyncResilientClient(limits=limits) as client:
        assert await client.warm_up([server.url]) == [report_of(server, opened=0, missing=1)]
        assert server.connections == 0


async def test_a_pool_that_is_in_use_opens_no_more() -> None:
    """Requests that wait for a connection get the next one."""
    limits = httpx.Limits(max_connections=1)
    async with FaultServer(stall) as server:
        transport = AsyncPoolTransport(limits=limits)
        async with pool_client(transport) as client:
            requests = [asyncio.ensure_future(client.get(server.url)) for _ in range(2)]
            await wait_until(lambda: transport.statistics().waiting == 1)
            reports = await transport.warm_up([server.url])
            assert reports == [report_of(server, opened=0, missing=1)]
            for request in requests:
                request.cancel()
            await asyncio.wait(requests)


async def test_a_request_that_waits_gets_a_connection_that_was_opened_early() -> None:
    """It came while all others were in use."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(limits=httpx.Limits(max_connections=1))
        async with pool_client(transport) as client:
            warming = asyncio.ensure_future(transport.warm_up([server.url]))
            await wait_until(lambda: transport.statistics().connecting == 1)
            assert (await client.get(server.url)).status_code == 200
            assert await warming == [report_of(server, opened=1)]
            assert server.connections == 1


async def test_each_origin_gets_a_connection_before_one_gets_its_second() -> None:
    """If there isn't room for all of them."""
    limits = httpx.Limits(max_keepalive_connections=3)
    async with (
        FaultServer(answer()) as first,
        FaultServer(answer()) as second,
        AsyncResilientClient(limits=limits) as client,
    ):
        assert await client.warm_up([first.url, second.url], connections=3) == [
            report_of(first, opened=2, missing=1),
            report_of(second, opened=1, missing=2),
        ]
