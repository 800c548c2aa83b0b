"""The pool respects its limits, as counted at the server."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpcore
import httpx
import pytest
from fault_handlers import wait_until
from pool_helpers import (
    ConnectionCounter,
    HoldingHandler,
    answer_in_pieces,
    expected_statistics,
    is_idle,
    new_transport,
    pool_client,
    run_loop_turns,
    serve_requests,
)

from typed_async_client import AsyncResilientClient, ResultStatus
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.pool.pool import ConnectionPool, PoolStatistics
from typed_async_client.pool.slot import PoolLimits
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, half_body, stall

pytestmark = pytest.mark.usefixtures("http11")


async def answer_and_close(request: SeenRequest, wire: Wire) -> None:
    """Answer, and close the connection."""
    await wire.answer(200, b"last", "Connection: close")
    await wire.finish()


# Connection limits


@pytest.mark.parametrize(
    "respond", [answer_in_pieces, answer_and_close], ids=["keep-alive", "closed"]
)
@pytest.mark.parametrize("cancels", [False, True], ids=["completed", "cancelled"])
async def test_a_server_never_sees_more_connections_than_allowed(
    respond: Callable[[SeenRequest, Wire], Awaitable[None]],
    cancels: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Two origins compete for five connections, whether or not requests are cancelled midway."""
    counter, rng, results = ConnectionCounter(), random.Random(1), set()
    handler = counter.wrap(serve_requests(respond))
    async with FaultServer(handler) as first, FaultServer(handler) as second:
        counter.servers += [first, second]
        transport = new_transport(connections=5)
        async with pool_client(transport) as client:

            async def get(server: FaultServer) -> None:
                task = asyncio.create_task(client.get(server.url))
                if cancels:
                    await run_loop_turns(rng.randrange(400))
                    task.cancel()
                await asyncio.wait({task})
                results.add("cancelled" if task.cancelled() else (await task).status_code)

            for _ in range(3):
                await asyncio.gather(*(get(rng.choice([first, second])) for _ in range(60)))
                assert is_idle(transport)
        assert 0 < counter.peak <= 5
        assert results == ({200, "cancelled"} if cancels else {200})


async def test_every_allowed_connection_is_used() -> None:
    """Whichever origin requests it."""
    handler = HoldingHandler()
    async with (
        FaultServer(serve_requests(handler)) as first,
        FaultServer(serve_requests(handler)) as second,
    ):
        transport = new_transport(connections=5)
        async with pool_client(transport) as client:
            servers = [first, second] * 5
            tasks = [asyncio.create_task(client.get(server.url)) for server in servers]
            await wait_until(lambda: len(handler.held) == 5)
            assert transport.statistics() == expected_statistics(active=5, waiting=5, opened=5)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class CountingBackend(AsyncioBackend):
    """Counts the open connections just before it opens another.

    Args:
        counter: updated before each connection.
    """

    def __init__(self, counter: ConnectionCounter) -> None:
        super().__init__()
        self._counter = counter

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Update the counter, and connect."""
        self._counter.update()
        return await super().connect_tcp(*args, **kwargs)


async def test_an_evicted_connection_is_closed_before_the_next_is_opened() -> None:
    """Two origins alternate on one slot, and there's never more than one socket."""
    counter = ConnectionCounter()
    async with FaultServer(answer()) as first, FaultServer(answer()) as second:
        counter.servers += [first, second]
        limits = PoolLimits(max_connections=1)
        pool = ConnectionPool(limits=limits, network_backend=CountingBackend(counter))
        async with pool:
            for _ in range(5):
                for server in (first, second):
                    assert (await pool.request("GET", server.url)).status == 200
            assert pool.statistics().closed == {"made room": 9}
    assert counter.peak == 0


async def test_none_means_no_limit() -> None:
    """101 concurrent requests open as many connections."""
    handler = HoldingHandler()
    async with FaultServer(serve_requests(handler)) as server:
        transport = new_transport(connections=None, idle=None, expiry=None)
        async with pool_client(transport) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(101)]
            await wait_until(lambda: len(handler.held) == 101)
            handler.release()
            await asyncio.gather(*tasks)
            assert transport.statistics() == expected_statistics(idle=101, opened=101)


async def test_an_idle_connection_of_another_origin_is_evicted() -> None:
    """The one that has been idle longest."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultServer(answer())) for _ in range(3)]
        transport = new_transport(connections=2)
        async with pool_client(transport) as client:
            for index in (0, 1, 2, 1, 0):
                await client.get(servers[index].url)
            assert transport.statistics() == expected_statistics(idle=2, opened=4, made_room=2)
        assert [server.connections for server in servers] == [2, 1, 1]


# Waiting


async def test_waiting_requests_are_served_in_order() -> None:
    """Cancelled ones in between make no difference."""
    async with FaultServer(serve_requests(answer_in_pieces)) as server:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client:
            tasks = [asyncio.create_task(client.get(f"{server.url}{n}")) for n in range(30)]
            await wait_until(lambda: transport.statistics().waiting == 29)
            for task in tasks[5::5]:
                task.cancel()
            await asyncio.wait(tasks)
        seen = [request.target for request in server.requests]
        assert seen == [f"/{n}" for n in range(30) if n % 5 or n == 0]


async def test_a_request_that_times_out_leaves_the_queue() -> None:
    """A hundred of them do, while the one ahead of them keeps waiting."""
    handler = HoldingHandler()
    async with FaultServer(serve_requests(handler)) as server:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client:
            holder = asyncio.create_task(client.get(f"{server.url}holder"))
            await wait_until(lambda: len(handler.held) == 1)
            waiting = asyncio.create_task(client.get(f"{server.url}waiting"))
            short_timeout = httpx.Timeout(20.0, pool=0.01)
            late = [client.get(server.url, timeout=short_timeout) for _ in range(100)]
            results = await asyncio.gather(*late, return_exceptions=True)
            assert {type(result) for result in results} == {httpx.PoolTimeout}
            assert "0.01 s" in str(results[0])
            assert transport.statistics() == expected_statistics(active=1, waiting=1, opened=1)
            assert len(transport._pool._queue) == 1
            handler.release()
            assert (await holder).text == "/holder"
            await wait_until(lambda: len(handler.held) == 2)
            handler.release()
            assert (await waiting).text == "/waiting"
            assert is_idle(transport)
        assert [request.target for request in server.requests] == ["/holder", "/waiting"]


async def test_a_pool_timeout_is_a_timeout_result_of_the_resilient_client() -> None:
    """It isn't retried, and the pool is unchanged."""
    async with FaultServer(stall) as server:
        transport = new_transport(connections=1)
        async with AsyncResilientClient(transport=transport) as client:
            await client.get(server.url)
            await wait_until(lambda: len(server.requests) == 1)
            task = await client.get(server.url, timeout=httpx.Timeout(20.0, pool=0.01))
            with pytest.raises(httpx.PoolTimeout):
                await task
            late = [it for it in client.get_all_results().values() if it.is_error]
            assert [(it.status, it.attempts) for it in late] == [(ResultStatus.TIMEOUT, 1)]
            assert transport.statistics() == expected_statistics(active=1, opened=1)
        assert is_idle(transport)


# Keep-alive


async def test_max_keepalive_connections_only_limits_idle_connections() -> None:
    """Of ten active ones, three are kept when idle; those idle longest are closed."""
    handler = HoldingHandler()
    async with FaultServer(serve_requests(handler)) as server:
        transport = new_transport(connections=10, idle=3)
        async with pool_client(transport) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(10)]
            await wait_until(lambda: len(handler.held) == 10)
            assert transport.statistics() == expected_statistics(active=10, opened=10)
            handler.release()
            await asyncio.gather(*tasks)
            assert transport.statistics() == expected_statistics(idle=3, opened=10, surplus=7)


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        (0.0, expected_statistics(opened=3, expired=3)),
        (3600.0, expected_statistics(idle=1, opened=1)),
    ],
)
async def test_an_idle_connection_is_kept_until_it_expires(
    expiry: float, expected: PoolStatistics
) -> None:
    """One that expires at once is closed with its response."""
    async with FaultServer(answer()) as server:
        transport = new_transport(expiry=expiry)
        async with pool_client(transport) as client:
            for _ in range(3):
                await client.get(server.url)
            assert transport.statistics() == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0.0, expected_statistics(opened=3, not_reusable=3)),
        (3600.0, expected_statistics(idle=1, opened=1)),
    ],
)
async def test_a_connection_is_used_until_its_maximum_age(
    age: float, expected: PoolStatistics
) -> None:
    """If it reaches that age during a request, it's closed after the response."""
    async with FaultServer(answer()) as server:
        transport = new_transport(max_connection_age=age)
        async with pool_client(transport) as client:
            for _ in range(3):
                await client.get(server.url)
            assert transport.statistics() == expected


async def test_the_maximum_age_of_a_connection_has_ten_percent_jitter() -> None:
    """So that connections opened together aren't closed together."""
    async with FaultServer(answer()) as server:
        draws = iter([0.0, 0.5, 1.0])
        limits = PoolLimits(max_connection_age=1000.0, max_keepalive_connections=0)
        pool = ConnectionPool(limits=limits, random=lambda: next(draws))
        async with pool:
            now, drawn = asyncio.get_running_loop().time(), []
            for _ in range(3):
                async with pool.stream("GET", server.url):
                    drawn.append(pool._slots.all[0].retire_at)
        assert [round((at or 0) - now, -1) for at in drawn] == [1000, 950, 900]


async def test_closing_an_unread_response_closes_its_connection() -> None:
    """The unread data would precede the next response."""
    async with FaultServer(answer(200, b"x" * 1_000_000)) as server:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client:
            async with client.stream("GET", server.url):
                assert transport.statistics() == expected_statistics(active=1, opened=1)
            assert transport.statistics() == expected_statistics(opened=1, not_reusable=1)
            assert len((await client.get(server.url)).content) == 1_000_000


async def test_a_truncated_body_frees_its_slot_before_the_response_is_closed() -> None:
    """Reading it until the error is enough."""
    async with FaultServer(half_body) as server:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client, client.stream("GET", server.url) as response:
            body = cast("httpx.AsyncByteStream", response.stream)
            with pytest.raises(httpx.RemoteProtocolError):
                assert [part async for part in body] == [b"half."]
            assert transport.statistics() == expected_statistics(opened=1, failed=1)


# Statistics and closing


async def test_the_statistics_report_each_stage() -> None:
    """Connecting, active, waiting, idle, closed."""
    handler = HoldingHandler()
    async with FaultServer(serve_requests(handler)) as server:
        transport = new_transport(connections=1)
        assert transport.statistics() == expected_statistics()
        async with pool_client(transport) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(2)]
            await wait_until(lambda: transport.statistics().waiting == 1)
            assert transport.statistics() == expected_statistics(
                active=1, connecting=1, waiting=1, opened=1
            )
            assert repr(transport._pool) == "<ConnectionPool [1 active, 0 idle, 1 waiting]>"
            await wait_until(lambda: len(handler.held) == 1)
            assert transport.statistics() == expected_statistics(active=1, waiting=1, opened=1)
            handler.release()
            await wait_until(lambda: len(handler.held) == 2)
            handler.release()
            await asyncio.gather(*tasks)
            assert transport.statistics() == expected_statistics(idle=1, opened=1)
            assert repr(transport._pool) == "<ConnectionPool [0 active, 1 idle, 0 waiting]>"
            assert [connection.is_idle() for connection in transport._pool.connections] == [True]
        assert transport.statistics() == expected_statistics(opened=1, pool_closed=1)


async def test_an_unsupported_scheme_is_refused() -> None:
    """The message contains it, and no slot is taken."""
    transport = new_transport()
    request = httpx.Request("GET", "gopher://127.0.0.1/")
    with pytest.raises(httpx.UnsupportedProtocol, match="'gopher'"):
        await transport.handle_async_request(request)
    assert transport.statistics() == expected_statistics()


async def test_the_pool_implements_the_interface_of_httpcore() -> None:
    """It can be used as an ``httpcore.AsyncConnectionPool``."""
    async with FaultServer(answer()) as server, ConnectionPool() as pool:
        response = await pool.request("GET", server.url)
        assert (response.status, response.content) == (200, b"ok")
        assert isinstance(pool, httpcore.AsyncConnectionPool)


def test_a_transport_only_reports_its_own_pool() -> None:
    """Two transports share nothing."""
    assert AsyncPoolTransport(verify=False).statistics() == expected_statistics()
