"""Connections that are closed after their response, with ``force_close``."""

import asyncio
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from h2_setups import ALL_SETUPS, H2Setup
from leak_checks import count_sockets_to
from pool_helpers import HoldingHandler, pool_client, serve_requests
from proxy_handlers import forward_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, Wire, answer
from typed_async_client.wire.headers import with_close

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.usefixtures("http11")
async def test_each_request_gets_a_connection_and_says_that_it_is_the_last(*, tls: bool) -> None:
    """So that a server needn't wait for another one."""
    async with (
        FaultServer(answer(), tls=server_context() if tls else None) as server,
        AsyncResilientClient(force_close=True, verify=client_context()) as client,
    ):
        for number in (1, 2, 3):
            await client.request("GET", server.url)
            assert (server.connections, count_sockets_to(server.port)) == (number, 0)
        assert {request.headers["connection"] for request in server.requests} == {"close"}


async def test_without_the_option_connections_are_kept() -> None:
    """And requests say so."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        for _ in range(3):
            await client.request("GET", server.url)
        assert server.connections == 1
        assert {request.headers["connection"] for request in server.requests} == {"keep-alive"}


async def test_requests_that_wait_get_a_new_connection() -> None:
    """The slot of a closed connection goes to the next one."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(force_close=True, limits=httpx.Limits(max_connections=2))
        async with pool_client(transport) as client:
            await asyncio.gather(*(client.get(server.url) for _ in range(10)))
            stats = transport.statistics()
            assert (server.connections, stats.opened, stats.active, stats.idle) == (10, 10, 0, 0)


@ALL_SETUPS
async def test_an_http2_connection_is_closed_once_no_request_uses_it(setup: H2Setup) -> None:
    """Concurrent requests share it, and none of them sends the header, which HTTP/2 doesn't have."""
    async with setup.server() as server:
        transport = setup.transport(force_close=True)
        async with pool_client(transport) as client:
            for number in (1, 2):
                responses = await asyncio.gather(*(client.get(server.url) for _ in range(5)))
                assert {response.http_version for response in responses} == {"HTTP/2"}
                stats = transport.statistics()
                assert (stats.opened, stats.closed) == (number, {"force_close": number})


async def test_a_body_is_read_to_its_end_before_the_connection_is_closed() -> None:
    """A streamed response, too."""
    async with FaultServer(answer(200, b"x" * 500_000)) as server:
        transport = AsyncPoolTransport(force_close=True)
        async with pool_client(transport) as client, client.stream("GET", server.url) as response:
            assert len(await response.aread()) == 500_000
        assert transport.statistics().idle == 0


async def test_a_connection_that_was_opened_early_serves_one_request() -> None:
    """It waits idle for it."""
    async with FaultServer(answer()) as server, AsyncResilientClient(force_close=True) as client:
        (report,) = await client.warm_up([server.url], connections=2)
        assert (report.opened, server.connections) == (2, 2)
        for connections in (2, 2, 3):
            await client.request("GET", server.url)
            assert server.connections == connections


async def test_a_connection_through_a_forward_proxy_is_closed() -> None:
    """The proxy is asked to close it."""
    async with FaultServer(answer()) as server, FaultServer(forward_proxy()) as proxy:
        transport = AsyncPoolTransport(force_close=True, proxy=f"http://127.0.0.1:{proxy.port}")
        async with pool_client(transport) as client:
            for number in (1, 2):
                assert (await client.get(server.url)).status_code == 200
                assert (proxy.connections, transport.statistics().idle) == (number, 0)


async def test_an_upgrade_is_still_asked_for() -> None:
    """The connection is closed when the other protocol ends."""

    async def switch(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
        )
        await wire.send(await wire.read(5))
        await wire.stall()

    async with FaultServer(switch) as server:
        transport = AsyncPoolTransport(force_close=True)
        async with pool_client(transport) as client:
            headers = {"Connection": "Upgrade", "Upgrade": "echo"}
            async with client.stream("GET", server.url, headers=headers) as response:
                stream = response.extensions["network_stream"]
                await stream.write(b"hello")
                assert await stream.read(100) == b"hello"
        assert server.requests[0].headers["connection"] == "Upgrade"
        await wait_until(lambda: count_sockets_to(server.port) == 0)


async def test_a_request_of_the_caller_is_not_changed() -> None:
    """It may be sent through another transport afterwards."""
    async with (
        FaultServer(answer()) as server,
        pool_client(AsyncPoolTransport(force_close=True)) as client,
    ):
        request = client.build_request("GET", server.url)
        await client.send(request)
        assert request.headers["connection"] == "keep-alive"
        assert server.requests[0].headers["connection"] == "close"


async def test_a_lost_connection_blames_no_reuse() -> None:
    """Each connection is new, so nothing is sent twice."""
    holding = HoldingHandler()
    async with FaultServer(serve_requests(holding)) as server:
        transport = AsyncPoolTransport(force_close=True)
        async with pool_client(transport) as client:
            request = asyncio.ensure_future(client.get(server.url))
            await wait_until(lambda: len(holding.held) == 1)
            for task in list(server._serving):
                task.cancel()
            with pytest.raises(httpx.TransportError):
                await request
        assert server.connections == 1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], [b"close"]),
        ([b"keep-alive"], [b"close"]),
        ([b"Keep-Alive"], [b"close"]),
        ([b"close"], [b"close"]),
        ([b"CLOSE , TE"], [b"CLOSE , TE"]),
        ([b"TE"], [b"TE, close"]),
        ([b"keep-alive, TE"], [b"TE, close"]),
        ([b"TE", b"keep-alive", b""], [b"TE, close"]),
        ([b"Upgrade"], [b"Upgrade"]),
        ([b"keep-alive, upgrade"], [b"keep-alive, upgrade"]),
    ],
)
def test_other_connection_options_are_kept(given: list[bytes], sent: list[bytes]) -> None:
    """They belong to other headers of the request."""
    headers = [(b"Host", b"a.test"), *((b"CONNection", value) for value in given), (b"A", b"b")]
    changed = with_close(headers)
    assert [value for name, value in changed if name.lower() == b"connection"] == sent
    assert [field for field in changed if field[0].lower() != b"connection"] == [
        (b"Host", b"a.test"),
        (b"A", b"b"),
    ]


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_something_else_than_a_bool_is_refused(value: Any) -> None:
    """A string would always count as true."""
    for make in (AsyncPoolTransport, AsyncResilientClient):
        with pytest.raises(ValueError, match="force_close must be True or False, got"):
            make(force_close=value)
