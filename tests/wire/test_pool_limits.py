"""The pool keeps its bounds, counted where it matters: at the server."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpcore
import httpx
import pytest
from fault_handlers import until
from pool_kit import (
    Crowd,
    all_alone,
    in_pieces,
    is_settled,
    new_transport,
    pooled,
    serving,
    turns,
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
    """Answer, and let this be the last answer of the connection."""
    await wire.answer(200, b"last", "Connection: close")
    await wire.finish()


def counted(
    *, active: int = 0, idle: int = 0, connecting: int = 0, waiting: int = 0, opened: int = 0,
    **closed: int,
) -> PoolStatistics:  # fmt: skip
    """Write statistics briefly."""
    return PoolStatistics(
        active=active,
        idle=idle,
        connecting=connecting,
        waiting=waiting,
        opened=opened,
        closed={reason.replace("_", " "): count for reason, count in closed.items()},
    )


class Holding:
    """Answers each request, in the order in which they came, when it is let to."""

    def __init__(self) -> None:
        self.held: list[asyncio.Event] = []

    async def __call__(self, request: SeenRequest, wire: Wire) -> None:
        """Hold a request until it is released, then answer with its target."""
        self.held.append(asyncio.Event())
        await self.held[-1].wait()
        await wire.answer(200, request.target.encode())

    def release(self) -> None:
        """Answer what is held now."""
        for event in self.held:
            event.set()


# The number of connections


@pytest.mark.parametrize("respond", [in_pieces, answer_and_close], ids=["kept", "closed"])
@pytest.mark.parametrize("cancelling", [False, True], ids=["patient", "cancelled"])
async def test_a_server_never_sees_more_connections_than_allowed(
    respond: Callable[[SeenRequest, Wire], Awaitable[None]],
    cancelling: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Two origins compete for five connections, whether or not requests are cancelled midway."""
    crowd, chance, ends = Crowd(), random.Random(1), set()
    handler = crowd.counting(serving(respond))
    async with FaultServer(handler) as first, FaultServer(handler) as second:
        crowd.servers += [first, second]
        transport = new_transport(connections=5)
        async with pooled(transport) as client:

            async def get(server: FaultServer) -> None:
                task = asyncio.create_task(client.get(server.url))
                if cancelling:
                    await turns(chance.randrange(400))
                    task.cancel()
                await asyncio.wait({task})
                ends.add("cancelled" if task.cancelled() else (await task).status_code)

            for _ in range(3):
                await asyncio.gather(*(get(chance.choice([first, second])) for _ in range(60)))
                assert is_settled(transport)
        assert 0 < crowd.peak <= 5
        assert ends == ({200, "cancelled"} if cancelling else {200})


async def test_every_connection_that_is_allowed_is_used() -> None:
    """Whichever origin asks for it."""
    hold = Holding()
    async with FaultServer(serving(hold)) as first, FaultServer(serving(hold)) as second:
        transport = new_transport(connections=5)
        async with pooled(transport) as client:
            servers = [first, second] * 5
            tasks = [asyncio.create_task(client.get(server.url)) for server in servers]
            await until(lambda: len(hold.held) == 5)
            assert transport.statistics() == counted(active=5, waiting=5, opened=5)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class Looking(AsyncioBackend):
    """Counts the open connections just before it opens another.

    Args:
        crowd: counts them.
    """

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self._crowd = crowd

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Look, and connect."""
        self._crowd.look()
        return await super().connect_tcp(*args, **kwargs)


async def test_a_connection_that_makes_room_is_closed_before_the_next_is_opened() -> None:
    """Two origins take turns in one place, and never is there more than one socket."""
    crowd = Crowd()
    async with FaultServer(answer()) as first, FaultServer(answer()) as second:
        crowd.servers += [first, second]
        limits = PoolLimits(max_connections=1)
        pool = ConnectionPool(limits=limits, network_backend=Looking(crowd))
        async with pool:
            for _ in range(5):
                for server in (first, second):
                    assert (await pool.request("GET", server.url)).status == 200
            assert pool.statistics().closed == {"made room": 9}
    assert crowd.peak == 0


async def test_none_is_no_limit() -> None:
    """A hundred and one requests have as many connections."""
    hold = Holding()
    async with FaultServer(serving(hold)) as server:
        transport = new_transport(connections=None, idle=None, expiry=None)
        async with pooled(transport) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(101)]
            await until(lambda: len(hold.held) == 101)
            hold.release()
            await asyncio.gather(*tasks)
            assert transport.statistics() == counted(idle=101, opened=101)


async def test_an_idle_connection_of_another_origin_makes_room() -> None:
    """The one that was idle longest goes."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultServer(answer())) for _ in range(3)]
        transport = new_transport(connections=2)
        async with pooled(transport) as client:
            for index in (0, 1, 2, 1, 0):
                await client.get(servers[index].url)
            assert transport.statistics() == counted(idle=2, opened=4, made_room=2)
        assert [server.connections for server in servers] == [2, 1, 1]


# Waiting


async def test_who_waits_is_served_first_come_first_served() -> None:
    """Those who gave up in between make no difference."""
    async with FaultServer(serving(in_pieces)) as server:
        transport = new_transport(connections=1)
        async with pooled(transport) as client:
            tasks = [asyncio.create_task(client.get(f"{server.url}{n}")) for n in range(30)]
            await until(lambda: transport.statistics().waiting == 29)
            for task in tasks[5::5]:
                task.cancel()
            await asyncio.wait(tasks)
        seen = [request.target for request in server.requests]
        assert seen == [f"/{n}" for n in range(30) if n % 5 or n == 0]


async def test_a_wait_that_takes_too_long_ends_and_leaves_no_trace() -> None:
    """The pool forgets a hundred of them, though the one in front of them waits on."""
    hold = Holding()
    async with FaultServer(serving(hold)) as server:
        transport = new_transport(connections=1)
        async with pooled(transport) as client:
            holder = asyncio.create_task(client.get(f"{server.url}holder"))
            await until(lambda: len(hold.held) == 1)
            patient = asyncio.create_task(client.get(f"{server.url}patient"))
            hurry = httpx.Timeout(20.0, pool=0.01)
            late = [client.get(server.url, timeout=hurry) for _ in range(100)]
            ends = await asyncio.gather(*late, return_exceptions=True)
            assert {type(end) for end in ends} == {httpx.PoolTimeout}
            assert "0.01 s" in str(ends[0])
            assert transport.statistics() == counted(active=1, waiting=1, opened=1)
            assert len(transport._pool._waiting) == 1
            hold.release()
            assert (await holder).text == "/holder"
            await until(lambda: len(hold.held) == 2)
            hold.release()
            assert (await patient).text == "/patient"
            assert is_settled(transport)
        assert [request.target for request in server.requests] == ["/holder", "/patient"]


async def test_a_wait_that_takes_too_long_is_a_timeout_of_the_resilient_client() -> None:
    """It is not sent again by itself, and the pool is as before."""
    async with FaultServer(stall) as server:
        transport = new_transport(connections=1)
        async with AsyncResilientClient(transport=transport) as client:
            await client.get(server.url)
            await until(lambda: len(server.requests) == 1)
            task = await client.get(server.url, timeout=httpx.Timeout(20.0, pool=0.01))
            with pytest.raises(httpx.PoolTimeout):
                await task
            late = [it for it in client.get_all_results().values() if it.is_error]
            assert [(it.status, it.attempts) for it in late] == [(ResultStatus.TIMEOUT, 1)]
            assert transport.statistics() == counted(active=1, opened=1)
        assert is_settled(transport)


# Keeping connections


async def test_only_idle_connections_count_as_kept() -> None:
    """Ten at work are no more than three idle ones later; the longest idle go."""
    hold = Holding()
    async with FaultServer(serving(hold)) as server:
        transport = new_transport(connections=10, idle=3)
        async with pooled(transport) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(10)]
            await until(lambda: len(hold.held) == 10)
            assert transport.statistics() == counted(active=10, opened=10)
            hold.release()
            await asyncio.gather(*tasks)
            assert transport.statistics() == counted(idle=3, opened=10, surplus=7)


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [(0.0, counted(idle=1, opened=3, expired=2)), (3600.0, counted(idle=1, opened=1))],
)
async def test_a_connection_is_idle_no_longer_than_allowed(
    expiry: float, expected: PoolStatistics
) -> None:
    """One that has expired is closed when the next request asks."""
    async with FaultServer(answer()) as server:
        transport = new_transport(expiry=expiry)
        async with pooled(transport) as client:
            for _ in range(3):
                await client.get(server.url)
            assert transport.statistics() == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0.0, counted(opened=3, not_reusable=3)), (3600.0, counted(idle=1, opened=1))],
)
async def test_a_connection_is_used_no_longer_than_its_age(
    age: float, expected: PoolStatistics
) -> None:
    """One that has reached its age while it served is closed with its answer."""
    async with FaultServer(answer()) as server:
        transport = new_transport(max_connection_age=age)
        async with pooled(transport) as client:
            for _ in range(3):
                await client.get(server.url)
            assert transport.statistics() == expected


async def test_the_age_of_a_connection_is_drawn_within_its_last_tenth() -> None:
    """So connections that were opened together do not end together."""
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


async def test_a_response_that_is_closed_unread_closes_its_connection() -> None:
    """What was not read is in the way of the next answer."""
    async with FaultServer(answer(200, b"x" * 100_000)) as server:
        transport = new_transport(connections=1)
        async with pooled(transport) as client:
            async with client.stream("GET", server.url):
                assert transport.statistics() == counted(active=1, opened=1)
            assert transport.statistics() == counted(opened=1, not_reusable=1)
            assert len((await client.get(server.url)).content) == 100_000


async def test_a_body_that_breaks_off_gives_its_place_back_before_anybody_closes_it() -> None:
    """ResponseParser it to the error is enough."""
    async with FaultServer(half_body) as server:
        transport = new_transport(connections=1)
        async with pooled(transport) as client, client.stream("GET", server.url) as response:
            body = cast("httpx.AsyncByteStream", response.stream)
            with pytest.raises(httpx.RemoteProtocolError):
                assert [part async for part in body] == [b"half."]
            assert transport.statistics() == counted(opened=1, failed=1)


# What it tells, and its end


async def test_the_statistics_tell_each_stage() -> None:
    """Connecting, at work, waiting, idle, closed."""
    hold = Holding()
    async with FaultServer(serving(hold)) as server:
        transport = new_transport(connections=1)
        assert transport.statistics() == counted()
        async with pooled(transport) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(2)]
            await until(lambda: transport.statistics().waiting == 1)
            assert transport.statistics() == counted(active=1, connecting=1, waiting=1, opened=1)
            assert repr(transport._pool) == "<ConnectionPool [1 active, 0 idle, 1 waiting]>"
            await until(lambda: len(hold.held) == 1)
            assert transport.statistics() == counted(active=1, waiting=1, opened=1)
            hold.release()
            await until(lambda: len(hold.held) == 2)
            hold.release()
            await asyncio.gather(*tasks)
            assert transport.statistics() == counted(idle=1, opened=1)
            assert repr(transport._pool) == "<ConnectionPool [0 active, 1 idle, 0 waiting]>"
            assert [connection.is_idle() for connection in transport._pool.connections] == [True]
        assert transport.statistics() == counted(opened=1, pool_closed=1)


async def test_closing_a_pool_ends_every_wait_with_an_error() -> None:
    """Those at work lose their connection, those who wait are told, later ones are refused."""
    async with FaultServer(stall) as server:
        transport = new_transport(connections=2)
        client = pooled(transport)
        tasks = [asyncio.create_task(client.get(server.url)) for _ in range(10)]
        await until(lambda: len(server.requests) == 2)
        await asyncio.gather(transport.aclose(), transport.aclose())
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends[:2]] == [httpx.RemoteProtocolError] * 2
        assert [repr(end) for end in ends[2:]] == [
            "RuntimeError('the connection pool was closed')"
        ] * 8
        assert transport.statistics() == counted(opened=2, pool_closed=2)
        with pytest.raises(RuntimeError, match="the connection pool is closed"):
            await client.get(server.url)
    assert await all_alone()


async def test_a_scheme_that_the_pool_does_not_speak_is_refused() -> None:
    """The sentence names it, and no slot is taken."""
    transport = new_transport()
    request = httpx.Request("GET", "gopher://127.0.0.1/")
    with pytest.raises(httpx.UnsupportedProtocol, match="'gopher'"):
        await transport.handle_async_request(request)
    assert transport.statistics() == counted()


async def test_the_pool_serves_whoever_speaks_to_httpcore() -> None:
    """It is a pool of httpcore's interface."""
    async with FaultServer(answer()) as server, ConnectionPool() as pool:
        response = await pool.request("GET", server.url)
        assert (response.status, response.content) == (200, b"ok")
        assert isinstance(pool, httpcore.AsyncConnectionPool)


def test_a_transport_shows_the_counters_of_its_pool_alone() -> None:
    """Two transports share nothing."""
    assert AsyncPoolTransport(verify=False).statistics() == counted()
