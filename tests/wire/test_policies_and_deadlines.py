"""A deadline ends a request whatever the server does, and leaves the caller's own limits alone."""

import asyncio
import contextlib
import dataclasses
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fault_handlers import never_read, repeat, wait_until
from policy_ways import ALL_WAYS, ASYNC_WAYS, CLIENTS, open_way
from steady_loop import advance

from typed_async_client import (
    Bulkhead,
    BulkheadFullError,
    CircuitBreaker,
    CircuitState,
    DeadlineExceededError,
    RateLimit,
    RateLimitedLocallyError,
    RejectedError,
    Resilience,
    ResilientTransport,
    RetryAfterTooLongError,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, Wire, answer, stall
from typed_async_client.testing.server import Handler

OK = b"HTTP/1.1 200 OK\r\n"

POLICIES = Resilience(
    deadline=0.2,
    retry=RetryPolicy(max_retries=1000, base_delay=0.01, max_delay=0.01),
    circuit=CircuitBreaker(minimum_calls=1),
)

pytestmark = pytest.mark.usefixtures("no_leaks")


async def redirect_endlessly(wire: Wire) -> None:
    """Redirect each request to another path, slowly enough not to reach the limit of httpx."""
    count = itertools.count()
    while await wire.read_request() is not None:
        await asyncio.sleep(0.05)
        await wire.answer(302, b"", f"Location: /{next(count)}")


IN_THE_HEAD: dict[str, Handler] = {
    "trickled head": repeat(b"x", before=OK + b"X-Header: "),
    "endless 103": repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}
ELSEWHERE: dict[str, Handler] = {
    "trickled body": repeat(b"x", before=OK + b"Content-Length: 1000000\r\n\r\n"),
    "endless body": repeat(b"x" * 10_000, before=OK + b"\r\n"),
    "silence": stall,
}


@pytest.mark.parametrize("fault", [*IN_THE_HEAD, *ELSEWHERE])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_deadline_ends_a_response_that_never_ends(
    way: str, method: str, fault: str
) -> None:
    """The circuit isn't charged: it was the client's own decision."""
    handler = (IN_THE_HEAD | ELSEWHERE)[fault]
    async with FaultServer(handler) as server, open_way(way, POLICIES) as client:
        with pytest.raises(DeadlineExceededError) as raised:
            await client.request(method, server.url, timeout=30)
        assert isinstance(raised.value, client.library.TimeoutException)
        assert client.kinds()[-1] == "timeout"
        assert client.inner.circuit(server.url).state is CircuitState.CLOSED
        assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_synchronous_client_looks_at_the_deadline_between_parts(
    method: str, fault: str
) -> None:
    """No read on httpx's own connections takes longer than what was left for the attempt."""
    async with (
        FaultServer(ELSEWHERE[fault]) as server,
        open_way("sync transport", POLICIES) as client,
    ):
        with pytest.raises(DeadlineExceededError):
            await client.request(method, server.url, timeout=30)
        assert client.kinds()[-1] == "timeout"
        assert client.inner.circuit(server.url).state is CircuitState.CLOSED


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_deadline_ends_an_upload_that_nobody_reads(way: str) -> None:
    """The body has no end."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    def sync_pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    body = sync_pieces() if way == "sync transport" else pieces()
    async with FaultServer(never_read) as server, open_way(way, POLICIES) as client:
        with pytest.raises(DeadlineExceededError):
            await client.request("POST", server.url, content=body, timeout=30)


@pytest.mark.parametrize("way", CLIENTS)
async def test_a_deadline_covers_all_hops_of_a_redirect_chain(way: str) -> None:
    """A transport sees one hop at a time."""
    async with FaultServer(redirect_endlessly) as server, open_way(way, POLICIES) as client:
        with pytest.raises(DeadlineExceededError):
            await client.request("GET", server.url, follow_redirects=True)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_deadline_ends_a_lookup_that_hangs(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in a thread, which ends later, so that each way needs its own name."""
    hanging, real = threading.Event(), socket.getaddrinfo
    name = f"{way.replace(' ', '-')}.test"

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        if host in {name, name.encode()}:
            hanging.wait(30.0)
        return real("127.0.0.1", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        async with open_way(way, POLICIES) as client:
            with pytest.raises(DeadlineExceededError):
                await client.request("POST", f"http://{name}/")
            assert client.inner.circuit(f"http://{name}").state is CircuitState.CLOSED
    finally:
        hanging.set()


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_wait_that_the_server_asks_for_beyond_the_deadline_fails_at_once(
    way: str,
) -> None:
    """The error has what it asked for, and the response."""
    policies = Resilience(deadline=20.0, retry=RetryPolicy())
    async with (
        FaultServer(answer(503, b"", "Retry-After: 30")) as server,
        open_way(way, policies) as client,
    ):
        with pytest.raises(RetryAfterTooLongError) as raised:
            await client.request("GET", server.url)
        assert raised.value.retry_after == 30.0
        assert raised.value.response.status_code == 503
        assert len(server.requests) == 1


async def test_a_deadline_ends_the_wait_for_room_in_the_client() -> None:
    """Another request takes up the only place."""
    async with (
        FaultServer(stall) as server,
        open_way("client", Resilience(), max_concurrent_requests=1) as client,
    ):
        first = await client.inner.request_async("GET", server.url)
        with pytest.raises(
            DeadlineExceededError, match=f"{server.port} passed before the client had"
        ):
            await client.request("GET", server.url, deadline=0.1)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        assert len(server.requests) <= 1


@pytest.mark.parametrize(
    ("gate", "error"),
    [
        ({"bulkhead": Bulkhead(max_concurrent=1, max_wait=30.0)}, BulkheadFullError),
        ({"rate_limit": RateLimit(rate=0.01, burst=1, max_wait=300.0)}, RateLimitedLocallyError),
    ],
)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_deadline_ends_the_wait_at_a_gate(
    way: str, gate: dict[str, Any], error: type[RejectedError]
) -> None:
    """Nothing of the second request is sent."""
    async with FaultServer(stall) as server, open_way(way, Resilience(**gate)) as client:
        first = asyncio.ensure_future(client.request("GET", server.url, timeout=1.0))
        await wait_until(lambda: bool(server.requests))
        with pytest.raises(error) as raised:
            await client.request("GET", server.url, deadline=0.1)
        assert raised.value.history[-1].rejection is not None
        assert isinstance(raised.value, client.library.TransportError)
        with pytest.raises((httpx.ReadTimeout, client.library.ReadTimeout)):
            await first
        assert len(server.requests) == 1
        assert "rejected" in client.kinds()


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_the_callers_own_limit_and_cancellation_are_not_the_deadline(way: str) -> None:
    """They end the request before it."""
    async with FaultServer(stall) as server, open_way(way, POLICIES) as client:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.05):
                await client.request("GET", server.url, deadline=30.0)
        assert type(raised.value) is TimeoutError
        task = asyncio.ensure_future(client.request("GET", server.url, deadline=30.0))
        await wait_until(lambda: len(server.requests) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [kind for kind in client.kinds() if kind != "started"] == ["cancelled"] * 2


@pytest.mark.parametrize("phase", ["connecting", "waiting"])
@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_loop_that_was_blocked_past_all_timeouts_charges_no_circuit(
    way: str, phase: str
) -> None:
    """The deadline and the timeouts of httpx, which are no longer than it, expire at once."""
    async with (
        FaultServer(stall) as server,
        open_way(way, dataclasses.replace(POLICIES, deadline=20.0)) as client,
    ):
        url = server.url.replace("http:", "https:") if phase == "connecting" else server.url
        task = asyncio.ensure_future(client.request("GET", url, timeout=30))
        await wait_until(lambda: server.connections == 1)
        for _ in range(50):
            await asyncio.sleep(0)
        advance(40.0)
        with pytest.raises(DeadlineExceededError):
            await task
        assert client.inner.circuit(url).state is CircuitState.CLOSED


async def test_an_extension_of_ours_counts_although_it_is_the_only_one() -> None:
    """Clients of httpx add their timeouts; a request that is given to a transport may have none."""
    async with FaultServer(stall) as server, ResilientTransport() as transport:
        request = httpx.Request("GET", server.url, extensions={"deadline": 0.1})
        with pytest.raises(DeadlineExceededError):
            async with asyncio.timeout(20):
                await transport.handle_async_request(request)
