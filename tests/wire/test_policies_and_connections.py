"""Which connections retried responses use: a small rest is read, what is large or slow is closed."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fault_handlers import wait_until
from policy_ways import ALL_WAYS, TRANSPORTS, open_way

from typed_async_client import Resilience, RetryPolicy
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

POLICY = RetryPolicy(max_retries=3, base_delay=0.001)

PLAIN = Resilience(retry=POLICY)
TIMED = Resilience(retry=POLICY, deadline=60.0, attempt_timeout=50.0)

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("policies", [PLAIN, TIMED], ids=["plain", "timed"])
@pytest.mark.parametrize("size", [0, 20, 60_000])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_retried_responses_give_their_connection_to_the_next_attempt(
    way: str, size: int, policies: Resilience
) -> None:
    """20 requests, each of them answered by 503 three times, need one connection."""
    count = itertools.count(1)

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(503 if next(count) % 4 else 200, b"x" * size)

    async with FaultServer(each_request(respond)) as server, open_way(way, policies) as client:
        for _ in range(20):
            assert (await client.request("GET", server.url)).status_code == 200
        assert len(server.requests) == 80
        assert server.connections == 1


async def send_much(wire: Wire) -> None:
    """Send a body of 10 MB."""
    await wire.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 10000000\r\n\r\n")
    await wire.send(b"x" * 10_000_000)


async def trickle(wire: Wire) -> None:
    """Send a byte from time to time."""
    await wire.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        await wire.send(b"x")
        await asyncio.sleep(0.05)


async def send_endlessly(wire: Wire) -> None:
    """Send chunks without an end."""
    await wire.send(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await wire.send(b"400\r\n" + b"x" * 1024 + b"\r\n")


async def fall_silent(wire: Wire) -> None:
    """Send a head, and nothing of the body."""
    await wire.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")
    await wire.stall()


BODIES = [send_much, trickle, send_endlessly, fall_silent]


@pytest.mark.parametrize("policies", [PLAIN, TIMED], ids=["plain", "timed"])
@pytest.mark.parametrize("send_body", BODIES)
@pytest.mark.parametrize("way", TRANSPORTS)
async def test_a_body_that_is_large_or_slow_is_closed_before_a_retry(
    way: str, send_body: Callable[[Wire], Awaitable[None]], policies: Resilience
) -> None:
    """The next attempt opens a connection, even if no read has a timeout."""
    count = itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count):
            await wire.answer(200, b"ok")
        else:
            with contextlib.suppress(ConnectionError):
                await send_body(wire)

    async with FaultServer(each_request(respond)) as server, open_way(way, policies) as client:
        async with asyncio.timeout(20.0):
            response = await client.request("GET", server.url, timeout=None)
        assert response.text == "ok"
        assert (len(server.requests), server.connections) == (2, 2)


@pytest.mark.parametrize("kind", ["GET", "POST"])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_request_that_waited_for_a_full_pool_arrives_once(way: str, kind: str) -> None:
    """The other request ends before its next attempt."""
    go_on = asyncio.Event()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await go_on.wait()
        await wire.answer(200)

    async def end_other() -> None:
        go_on.set()

    limits = httpx.Limits(max_connections=1)
    async with (
        FaultServer(each_request(respond)) as server,
        open_way(way, PLAIN, on_retry=end_other, limits=limits) as client,
    ):
        other = asyncio.ensure_future(client.request("GET", f"{server.url}other"))
        await wait_until(lambda: len(server.requests) == 1)
        timeout = client.library.Timeout(20.0, pool=0.1)
        assert (await client.request(kind, server.url, timeout=timeout)).status_code == 200
        assert (await other).status_code == 200
        assert [request.method for request in server.requests] == ["GET", kind]
        assert "retry" in client.kinds()
