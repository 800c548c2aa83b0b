"""Connections that are opened before a request needs them; accepts and requests are counted."""

import asyncio

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import h2_client_context, h2_server
from h2_setups import ALL_SETUPS, H2Setup
from pool_helpers import expected_statistics, new_transport, pool_client, wait_until_stale
from tls_contexts import client_context, server_context
from warm_up_reports import report_of

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    DnsCache,
    WarmUpReport,
)
from typed_async_client.testing import FaultServer, Wire, answer

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.usefixtures("http11")
async def test_the_next_requests_use_the_connections(*, tls: bool) -> None:
    """The server sees no request before them, and no further connection."""
    context = server_context() if tls else None
    async with (
        FaultServer(answer(), tls=context) as server,
        AsyncResilientClient(verify=client_context()) as client,
    ):
        assert await client.warm_up([server.url], connections=3) == [report_of(server, opened=3)]
        await wait_until(lambda: server.connections == 3)
        assert server.requests == []
        tasks = [await client.get(server.url) for _ in range(3)]
        assert [(await task).status_code for task in tasks] == [200] * 3
        assert server.connections == 3


async def test_several_origins_are_warmed_at_the_same_time() -> None:
    """One report each, in the order of the URLs; the paths don't matter."""
    async with (
        FaultServer(answer()) as first,
        FaultServer(answer()) as second,
        AsyncResilientClient() as client,
    ):
        urls: list[httpx.URL | str] = [
            f"{second.url}a",
            first.url,
            httpx.URL(second.url),
            f"{second.url}b?c",
        ]
        assert await client.warm_up(urls) == [
            report_of(second, opened=1),
            report_of(first, opened=1),
        ]


async def test_a_relative_url_means_the_base_url() -> None:
    """As in a request."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(base_url=f"{server.url}v1") as client,
    ):
        assert await client.warm_up(["/users"]) == [report_of(server, opened=1)]


async def test_idle_connections_count() -> None:
    """A second call opens what is missing, and one for which nothing is missing does nothing."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        await client.request("GET", server.url)
        assert await client.warm_up([server.url], connections=2) == [report_of(server, opened=1)]
        assert await client.warm_up([server.url], connections=2) == [report_of(server, opened=0)]
        assert server.connections == 2


@ALL_SETUPS
async def test_one_connection_is_enough_for_http2(setup: H2Setup) -> None:
    """It is ready to be shared by concurrent requests."""
    async with setup.server() as server:
        transport = setup.transport()
        async with pool_client(transport) as client:
            for opened in (1, 0):
                reports = await transport.warm_up([server.url], connections=5)
                assert reports == [report_of(server, opened=opened)]
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(10)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert transport.statistics() == expected_statistics(idle=1, opened=1)


async def test_a_server_without_http2_gets_as_many_as_asked_for() -> None:
    """Its protocol is known after the first one."""
    async with FaultServer(answer(), tls=server_context()) as server:
        transport = new_transport(tls=True, http2=True)
        async with pool_client(transport):
            reports = await transport.warm_up([server.url], connections=4)
            assert reports == [report_of(server, opened=4)]


async def test_a_request_may_join_an_http2_connection_that_is_being_opened() -> None:
    """It doesn't open another one."""
    async with h2_server() as server:
        transport = AsyncPoolTransport(http2=True, verify=h2_client_context())
        async with pool_client(transport) as client:
            warming = asyncio.ensure_future(transport.warm_up([server.url]))
            await wait_until(lambda: transport.statistics().connecting == 1)
            response = await client.get(server.url)
            assert await warming == [report_of(server, opened=1)]
            assert (response.http_version, server.connections) == ("HTTP/2", 1)


async def test_a_connection_with_connect_retries_is_opened() -> None:
    """Those are connections of httpcore."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(retries=1)
        async with pool_client(transport) as client:
            assert await transport.warm_up([server.url]) == [report_of(server, opened=1)]
            await client.get(server.url)
            assert server.connections == 1


async def test_a_connection_that_the_server_closes_while_it_is_idle_is_replaced() -> None:
    """Whatever the method, because nothing was sent on it."""
    warmed = asyncio.Event()

    async def close_first(wire: Wire) -> None:
        await warmed.wait()
        if server.connections > 1:
            await answer()(wire)

    async with FaultServer(close_first) as server:
        transport = new_transport()
        async with pool_client(transport) as client:
            assert await transport.warm_up([server.url]) == [report_of(server, opened=1)]
            warmed.set()
            await wait_until_stale(transport)
            response = await client.post(server.url, content=b"x")
            assert (response.status_code, len(server.requests)) == (200, 1)


async def test_an_idempotent_request_is_sent_again_if_the_server_closes_the_connection() -> None:
    """An early connection may be closed at any time, as a reused one may."""

    async def close_at_first_request(wire: Wire) -> None:
        if server.connections > 1:
            await answer()(wire)
        await wire.read_request()

    async with FaultServer(close_at_first_request) as server:
        transport = new_transport()
        async with pool_client(transport) as client:
            await transport.warm_up([server.url])
            response = await client.get(server.url)
            assert response.extensions["typed_async_client.resends"] == 1


async def test_names_are_resolved_with_the_cache() -> None:
    """The requests after it use the same answers."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(dns_cache=DnsCache(), force_close=True)
        async with pool_client(transport) as client:
            url = f"http://localhost:{server.port}/"
            (report,) = await transport.warm_up([url])
            assert report == WarmUpReport(origin=url.rstrip("/"), opened=1, missing=0)
            for connections in (1, 2):
                await client.get(url)
                assert server.connections == connections
