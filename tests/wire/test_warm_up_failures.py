"""Connections that can't be opened early: failures, cancellation, and closing."""

import asyncio
import itertools
import pickle
import ssl

import httpx
import pytest
from fault_handlers import reset_on_connect, wait_until
from leak_checks import full_backlog
from pool_helpers import expected_statistics, new_transport, pool_client
from proxy_handlers import tunnel_proxy
from tls_contexts import client_context, server_context
from warm_up_reports import report_of

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    refuse_private_addresses,
)
from typed_async_client.testing import FaultServer, Handler, Wire, answer

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_a_failure_is_reported_and_not_raised() -> None:
    """It doesn't affect the other origins, and says what an error of a request would say."""
    async with (
        FaultServer(answer()) as good,
        FaultServer(answer(), refusing=True) as bad,
        AsyncResilientClient() as client,
    ):
        first, second = await client.warm_up([bad.url, good.url], connections=2)
        assert second == report_of(good, opened=2)
        assert (first.opened, first.missing, first.is_ready) == (0, 2, False)
        assert type(first.error) is httpx.ConnectError
        assert str(first.error) == f"cannot connect to 127.0.0.1:{bad.port}: Connection refused"
        assert isinstance(first.error.__cause__, Exception)
        assert (first.error.__traceback__, first.error.__cause__.__traceback__) == (None, None)
        assert repr(pickle.loads(pickle.dumps(first))) == repr(first)
        pool = client.health().pool
        assert pool is not None
        assert (pool.active, pool.idle) == (0, 2)


@pytest.mark.parametrize(
    ("handler", "context"),
    [(reset_on_connect, client_context()), (answer(), ssl.create_default_context())],
    ids=["reset", "untrusted certificate"],
)
async def test_a_failed_handshake_is_reported(handler: Handler, context: ssl.SSLContext) -> None:
    """TLS is part of what is done early."""
    tls = None if handler is reset_on_connect else server_context()
    async with (
        FaultServer(handler, tls=tls) as server,
        AsyncResilientClient(verify=context) as client,
    ):
        (report,) = await client.warm_up([f"https://localhost:{server.port}"])
        assert isinstance(report.error, httpx.ConnectError)
        assert (report.opened, report.missing) == (0, 1)


async def test_after_a_failure_no_more_is_tried_where_one_connection_may_be_enough() -> None:
    """Whether the origin speaks HTTP/2 isn't known then."""
    async with FaultServer(reset_on_connect) as server:
        transport = new_transport(tls=True, http2=True)
        async with pool_client(transport):
            (report,) = await transport.warm_up([f"https://localhost:{server.port}"], connections=3)
            assert isinstance(report.error, httpx.ConnectError)
            assert (report.opened, report.missing, server.connections) == (0, 3, 1)


async def test_the_first_of_several_failures_is_reported() -> None:
    """The connections are opened at the same time; later errors are often consequences."""
    numbers = itertools.count(1)

    async def respond(wire: Wire) -> None:
        if next(numbers) == 1:
            wire.reset()
        else:
            await wait_until(lambda: bool(transport.statistics().closed))
            await wire.send(b"this isn't TLS")

    async with FaultServer(respond) as server:
        transport = new_transport(tls=True)
        async with pool_client(transport):
            url = f"https://localhost:{server.port}"
            (report,) = await transport.warm_up([url], connections=2)
            assert (report.missing, sum(transport.statistics().closed.values())) == (2, 2)
            assert "Connection reset by peer" in str(report.error)


async def greet(wire: Wire) -> None:
    """Send a response that nobody has asked for."""
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    await wire.stall()


@pytest.mark.parametrize("handler", [greet, reset_on_connect])
@pytest.mark.usefixtures("http11")
async def test_a_connection_that_cannot_wait_is_reported(handler: Handler) -> None:
    """The server closes it at once, or sends what would be taken for the answer of a request."""
    async with FaultServer(handler) as server:
        transport = new_transport()
        async with pool_client(transport):
            (report,) = await transport.warm_up([server.url])
            assert (report.opened, report.missing) == (0, 1)
            assert type(report.error) is httpx.ConnectError
            assert "or sent something, before any request" in str(report.error)
            assert transport.statistics() == expected_statistics(opened=1, not_reusable=1)


async def test_a_refused_tunnel_is_reported() -> None:
    """The proxy answers CONNECT with an error."""
    reply = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    async with FaultServer(tunnel_proxy(reply=reply)) as proxy:
        transport = AsyncPoolTransport(proxy=f"http://127.0.0.1:{proxy.port}")
        async with pool_client(transport):
            (report,) = await transport.warm_up(["https://api.test"])
            assert isinstance(report.error, httpx.ProxyError)
            assert transport.statistics().active == 0


async def test_the_address_guard_is_asked() -> None:
    """A URL from a user can't be used to connect to a private address."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(address_guard=refuse_private_addresses)
        async with pool_client(transport):
            (report,) = await transport.warm_up([server.url])
            assert isinstance(report.error, httpx.ConnectError)
            assert "address guard refuses" in str(report.error)
            assert server.connections == 0


async def test_the_connect_timeout_of_the_client_applies() -> None:
    """A server that accepts no connection is reported."""
    timeout = httpx.Timeout(20.0, connect=0.05)
    with full_backlog() as port:
        async with AsyncResilientClient(timeout=timeout) as client:
            (report,) = await client.warm_up([f"http://127.0.0.1:{port}"])
            assert isinstance(report.error, httpx.ConnectTimeout)
            assert "within 0.05 s (connect timeout)" in str(report.error)


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_cancelling_leaves_nothing_behind(turns: int) -> None:
    """No task, no slot, and no connection that isn't idle."""
    async with FaultServer(answer(), tls=server_context()) as server:
        transport = new_transport(tls=True)
        async with pool_client(transport):
            warming = asyncio.ensure_future(transport.warm_up([server.url], connections=3))
            for _ in range(turns):
                await asyncio.sleep(0)
            warming.cancel()
            await asyncio.wait([warming])
            assert warming.cancelled()
            stats = transport.statistics()
            assert (stats.active, stats.connecting, stats.waiting) == (0, 0, 0)


async def test_closing_the_client_ends_a_warm_up_and_says_so() -> None:
    """It doesn't wait for the connect timeout."""
    with full_backlog() as port:
        client = AsyncResilientClient(timeout=None)
        warming = asyncio.ensure_future(client.warm_up([f"http://127.0.0.1:{port}"]))
        await wait_until(lambda: getattr(client.health().pool, "active", 0) == 1)
        await client.close()
        (report,) = await warming
    assert repr(report.error) == "RuntimeError('the connection pool was closed meanwhile')"
    with pytest.raises(RuntimeError, match="this client is closed"):
        await client.warm_up(["http://api.test"])
