"""httpx's own pool under ``ResilientTransport``: shielded from asyncio's cancellation."""

import asyncio
import contextlib
import gc
import itertools
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from cancellation_sweeps import ANSWER, Sweep, fetch_streamed, fetch_whole
from client_kinds import options_for
from fault_handlers import wait_until
from leak_checks import no_leaks
from pool_helpers import ip_url, other_tasks_end, run_loop_turns, serve_requests, verify_option

from typed_async_client import HSTSTransport, ResilientTransport
from typed_async_client.testing import (
    FaultServer,
    SeenRequest,
    Wire,
    answer,
    stall,
)

pytestmark = pytest.mark.bulk


def shielded(slots: int, *, tls: bool = False) -> ResilientTransport:
    """Wrap httpx's own transport, with ``slots`` connections."""
    limits = httpx.Limits(max_connections=slots)
    return ResilientTransport(
        httpx.AsyncHTTPTransport(verify=verify_option(tls=tls), limits=limits)
    )


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("fetch", [fetch_whole, fetch_streamed])
async def test_a_cancellation_at_any_point_leaks_no_slot_socket_or_task_of_httpx(
    fetch: Callable[[Any, str], Awaitable[bytes]],
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The sweep that finds leaks in httpx's own pool finds none here."""
    sweep = Sweep(new_transport=lambda slots: shielded(slots, tls=tls), fetch=fetch, tls=tls)
    for others in (0, 1, 2, 4, 8):
        await sweep.run(others, slots=3)
        if sweep.points >= 300:
            break
    await sweep.run(4, slots=1)
    assert sweep.failures == []
    assert sweep.points >= 360


async def test_expiring_deadlines_leak_no_slot_of_httpx() -> None:
    """Twenty workers share ten slots; each request has a deadline of 0 to 40 ms."""
    rng, expired = random.Random(1), 0

    async def answer_after_a_delay(request: SeenRequest, wire: Wire) -> None:
        await asyncio.sleep(int(request.target.rpartition("/")[2]) / 1000)
        await wire.answer(200, ANSWER)

    async with FaultServer(serve_requests(answer_after_a_delay)) as server:
        url = ip_url(server)
        async with httpx.AsyncClient(**options_for(shielded(10)), timeout=20.0) as client:

            async def work() -> None:
                nonlocal expired
                for _ in range(40):
                    try:
                        async with asyncio.timeout(rng.uniform(0, 0.04)):
                            await client.get(f"{url}{rng.randrange(30)}")
                    except TimeoutError:
                        expired += 1

            await asyncio.gather(*(work() for _ in range(20)))
            answers = await asyncio.gather(*(client.get(f"{url}0") for _ in range(20)))
    assert [response.content for response in answers] == [ANSWER] * 20
    assert expired > 0


async def test_a_request_that_gets_no_connection_in_time_raises_pool_timeout() -> None:
    """With httpx's own error and timeout; the request with the connection goes on."""
    async with (
        no_leaks(),
        FaultServer(stall) as server,
        httpx.AsyncClient(**options_for(shielded(1)), timeout=20.0) as client,
    ):
        first = asyncio.create_task(client.get(server.url))
        await wait_until(lambda: bool(server.requests))
        with pytest.raises(httpx.PoolTimeout, match=r"0\.01 s"):
            await client.get(server.url, timeout=httpx.Timeout(20.0, pool=0.01))
        assert not first.done()
        first.cancel()
        await asyncio.wait({first})


async def test_the_trace_extension_of_a_request_is_still_called() -> None:
    """In addition to the trace of the wrapper."""
    traced: list[str] = []

    async def trace(name: str, _: Any) -> None:
        traced.append(name)

    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(**options_for(shielded(1))) as client,
    ):
        await client.get(server.url, extensions={"trace": trace})
    assert traced[:2] == ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
    assert traced[-1] == "http11.response_closed.complete"


async def test_max_connections_limits_the_concurrent_requests_in_the_pool() -> None:
    """It may be lower than the limit of the pool."""
    active, peak, proceed = 0, 0, asyncio.Event()

    async def count(_: SeenRequest, wire: Wire) -> None:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        await proceed.wait()
        active -= 1
        await wire.answer()

    transport = ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=3)
    async with (
        FaultServer(serve_requests(count)) as server,
        httpx.AsyncClient(**options_for(transport)) as client,
    ):
        requests = asyncio.gather(*(client.get(server.url) for _ in range(20)))
        await wait_until(lambda: active == 3)
        proceed.set()
        await requests
    assert peak == 3


async def test_a_refused_connection_and_two_cancellations_leak_no_permit() -> None:
    """At any point; the next request gets the only connection."""
    async with FaultServer(answer(), refusing=True) as closed, FaultServer(answer()) as server:
        for first, second in itertools.product(range(24), (None, 0, 1)):
            async with httpx.AsyncClient(**options_for(shielded(1)), timeout=20.0) as client:
                task = asyncio.create_task(client.get(closed.url))
                await run_loop_turns(first)
                task.cancel()
                if second is not None:
                    await run_loop_turns(second)
                    task.cancel()
                await asyncio.wait({task})
                assert (await client.get(server.url)).status_code == 200, (first, second)


async def test_a_pool_of_httpx_inside_another_transport_is_shielded() -> None:
    """The sweep runs through both."""

    def wrapped(slots: int) -> ResilientTransport:
        limits = httpx.Limits(max_connections=slots)
        return ResilientTransport(HSTSTransport(httpx.AsyncHTTPTransport(limits=limits)))

    sweep = Sweep(new_transport=wrapped)
    await sweep.run(0, 2, slots=1)
    assert sweep.failures == []


def test_a_second_event_loop_has_every_permit() -> None:
    """As with httpx's own pool; requests beyond the limit wait for their turn."""
    transport = ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=1)

    async def fetch_three() -> int:
        async with FaultServer(answer()) as server:
            client = httpx.AsyncClient(**options_for(transport), timeout=20.0)
            requests = (client.get(server.url) for _ in range(3))
            return sum(response.status_code for response in await asyncio.gather(*requests))

    async def fetch_and_close() -> int:
        total = await fetch_three()
        await transport.aclose()
        return total

    assert [asyncio.run(fetch_and_close()), asyncio.run(fetch_and_close())] == [600, 600]


async def test_a_transport_that_ignores_cancellation_is_abandoned_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller is cancelled after twice the time to unwind, shortened here."""
    monkeypatch.setattr("typed_async_client.transports.sheltered._UNWIND", 0.02)
    finished = asyncio.Event()

    class IgnoringCancellation(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            while not finished.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await finished.wait()
            return httpx.Response(200)

    async with httpx.AsyncClient(
        **options_for(ResilientTransport(IgnoringCancellation()))
    ) as client:
        task = asyncio.create_task(client.get("http://any.test/"))
        await run_loop_turns(3)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        finished.set()
    assert await other_tasks_end()


async def test_an_error_after_the_caller_was_cancelled_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller is cancelled while its response body is truncated."""

    async def half(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.")
        await run_loop_turns(10)
        wire.reset()

    async with FaultServer(serve_requests(half)) as server:
        for count in range(40):
            async with httpx.AsyncClient(**options_for(shielded(1)), timeout=20.0) as client:
                task = asyncio.create_task(client.get(server.url))
                await run_loop_turns(count)
                task.cancel()
                await asyncio.wait({task})
    gc.collect()
    assert not [message for message in caplog.messages if "never retrieved" in message]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "a", True])
def test_an_invalid_max_connections_is_rejected(wrong: Any) -> None:
    """The message contains the value."""
    with pytest.raises(
        ValueError,
        match=re.escape(f"max_connections must be an integer >= 1 or None, got {wrong!r}"),
    ):
        ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=wrong)


def test_max_connections_only_applies_to_a_pool_of_httpx() -> None:
    """Other transports have their own limits."""
    with pytest.raises(ValueError, match=r"only applies to an httpx\.AsyncHTTPTransport"):
        ResilientTransport(max_connections=3)
