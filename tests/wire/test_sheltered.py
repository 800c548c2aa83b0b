"""httpx's own pool under ``ResilientTransport``: asyncio's cancellations do not reach it."""

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
from both_clients import mounted
from fault_handlers import until
from leftovers import leaving_nothing
from pool_kit import address_of, all_alone, serving, turns, verify_of
from sweeps import ANSWER, Sweep, fetch_streamed, fetch_whole

from typed_async_client import HSTSTransport, ResilientTransport
from typed_async_client.testing import (
    FaultServer,
    SeenRequest,
    Wire,
    answer,
    stall,
)

pytestmark = pytest.mark.bulk


def sheltered(slots: int, *, tls: bool = False) -> ResilientTransport:
    """Put our transport around httpx's own, with that many connections."""
    limits = httpx.Limits(max_connections=slots)
    return ResilientTransport(httpx.AsyncHTTPTransport(verify=verify_of(tls=tls), limits=limits))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("fetch", [fetch_whole, fetch_streamed])
async def test_a_cancellation_after_any_turn_costs_httpx_no_slot_no_socket_and_no_task(
    fetch: Callable[[Any, str], Awaitable[bytes]],
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The sweep that shows what httpx's pool loses alone finds nothing here."""
    sweep = Sweep(new_transport=lambda slots: sheltered(slots, tls=tls), fetch=fetch, tls=tls)
    for others in (0, 1, 2, 4, 8):
        await sweep.go(others, slots=3)
        if sweep.points >= 300:
            break
    await sweep.go(4, slots=1)
    assert sweep.bad == []
    assert sweep.points >= 360


async def test_a_churn_of_deadlines_leaves_httpx_every_slot() -> None:
    """Twenty workers on ten slots, each request with 0 to 40 ms of its own."""
    chance, cut = random.Random(1), 0

    async def answer_a_little_later(request: SeenRequest, wire: Wire) -> None:
        await asyncio.sleep(int(request.target.rpartition("/")[2]) / 1000)
        await wire.answer(200, ANSWER)

    async with FaultServer(serving(answer_a_little_later)) as server:
        url = address_of(server)
        async with httpx.AsyncClient(**mounted(sheltered(10)), timeout=20.0) as client:

            async def work() -> None:
                nonlocal cut
                for _ in range(40):
                    try:
                        async with asyncio.timeout(chance.uniform(0, 0.04)):
                            await client.get(f"{url}{chance.randrange(30)}")
                    except TimeoutError:
                        cut += 1

            await asyncio.gather(*(work() for _ in range(20)))
            answers = await asyncio.gather(*(client.get(f"{url}0") for _ in range(20)))
    assert [response.content for response in answers] == [ANSWER] * 20
    assert cut > 0


async def test_a_request_that_finds_no_connection_in_time_is_told_so() -> None:
    """By httpx's own error, after its own timeout; the one that has it goes on."""
    async with (
        leaving_nothing(),
        FaultServer(stall) as server,
        httpx.AsyncClient(**mounted(sheltered(1)), timeout=20.0) as client,
    ):
        first = asyncio.create_task(client.get(server.url))
        await until(lambda: bool(server.requests))
        with pytest.raises(httpx.PoolTimeout, match=r"0\.01 s"):
            await client.get(server.url, timeout=httpx.Timeout(20.0, pool=0.01))
        assert not first.done()
        first.cancel()
        await asyncio.wait({first})


async def test_the_trace_extension_of_a_request_is_told_all_the_same() -> None:
    """Beside what the shelter hears by it."""
    told: list[str] = []

    async def trace(name: str, _: Any) -> None:
        told.append(name)

    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(**mounted(sheltered(1))) as client,
    ):
        await client.get(server.url, extensions={"trace": trace})
    assert told[:2] == ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
    assert told[-1] == "http11.response_closed.complete"


async def test_as_many_requests_as_asked_for_use_the_pool_at_once() -> None:
    """``max_connections`` may be less than what the pool itself allows."""
    present, most, go_on = 0, 0, asyncio.Event()

    async def count(_: SeenRequest, wire: Wire) -> None:
        nonlocal present, most
        present += 1
        most = max(most, present)
        await go_on.wait()
        present -= 1
        await wire.answer()

    transport = ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=3)
    async with (
        FaultServer(serving(count)) as server,
        httpx.AsyncClient(**mounted(transport)) as client,
    ):
        requests = asyncio.gather(*(client.get(server.url) for _ in range(20)))
        await until(lambda: present == 3)
        go_on.set()
        await requests
    assert most == 3


async def test_a_refused_port_and_two_cancellations_cost_no_permit() -> None:
    """Wherever they land, the next request finds the only connection free."""
    async with FaultServer(answer(), refusing=True) as closed, FaultServer(answer()) as server:
        for first, second in itertools.product(range(24), (None, 0, 1)):
            async with httpx.AsyncClient(**mounted(sheltered(1)), timeout=20.0) as client:
                task = asyncio.create_task(client.get(closed.url))
                await turns(first)
                task.cancel()
                if second is not None:
                    await turns(second)
                    task.cancel()
                await asyncio.wait({task})
                assert (await client.get(server.url)).status_code == 200, (first, second)


async def test_a_pool_of_httpx_behind_another_transport_is_in_shelter_too() -> None:
    """The sweep goes through both."""

    def behind(slots: int) -> ResilientTransport:
        limits = httpx.Limits(max_connections=slots)
        return ResilientTransport(HSTSTransport(httpx.AsyncHTTPTransport(limits=limits)))

    sweep = Sweep(new_transport=behind)
    await sweep.go(0, 2, slots=1)
    assert sweep.bad == []


def test_a_second_event_loop_finds_every_permit() -> None:
    """As it does over httpx's pool alone; more requests than connections wait their turn."""
    transport = ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=1)

    async def ask() -> int:
        async with FaultServer(answer()) as server:
            client = httpx.AsyncClient(**mounted(transport), timeout=20.0)
            asked = (client.get(server.url) for _ in range(3))
            return sum(one.status_code for one in await asyncio.gather(*asked))

    async def ask_and_close() -> int:
        told = await ask()
        await transport.aclose()
        return told

    assert [asyncio.run(ask_and_close()), asyncio.run(ask_and_close())] == [600, 600]


async def test_what_ignores_every_cancellation_is_left_behind_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller gets its cancellation after twice the time to unwind, here a short one."""
    monkeypatch.setattr("typed_async_client.transports.sheltered._UNWIND", 0.02)
    over = asyncio.Event()

    class Deaf(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            while not over.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await over.wait()
            return httpx.Response(200)

    async with httpx.AsyncClient(**mounted(ResilientTransport(Deaf()))) as client:
        task = asyncio.create_task(client.get("http://any.test/"))
        await turns(3)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        over.set()
    assert await all_alone()


async def test_an_error_that_comes_too_late_for_anybody_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller was cancelled as the body of its response broke off."""

    async def half(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.")
        await turns(10)
        wire.reset()

    async with FaultServer(serving(half)) as server:
        for count in range(40):
            async with httpx.AsyncClient(**mounted(sheltered(1)), timeout=20.0) as client:
                task = asyncio.create_task(client.get(server.url))
                await turns(count)
                task.cancel()
                await asyncio.wait({task})
    gc.collect()
    assert not [told for told in caplog.messages if "never retrieved" in told]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "a", True])
def test_a_number_of_connections_that_is_none_is_refused(wrong: Any) -> None:
    """With the value in the message."""
    with pytest.raises(
        ValueError,
        match=re.escape(f"max_connections must be an integer >= 1 or None, got {wrong!r}"),
    ):
        ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=wrong)


def test_a_number_of_connections_is_for_httpx_s_pool_alone() -> None:
    """Others have limits of their own."""
    with pytest.raises(ValueError, match=r"only applies to an httpx\.AsyncHTTPTransport"):
        ResilientTransport(max_connections=3)
