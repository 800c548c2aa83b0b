"""httpx's own pool under ``ResilientTransport``: asyncio's cancellations do not reach it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from both_clients import mounted
from fault_handlers import until
from leftovers import leaving_nothing
from pool_kit import address_of, serving, verify_of
from sweeps import ANSWER, Sweep, fetch_streamed, fetch_whole

from typed_async_client import ResilientTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, stall

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
        async with httpx.AsyncClient(**mounted(sheltered(10)), timeout=10.0) as client:

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
        httpx.AsyncClient(**mounted(sheltered(1)), timeout=10.0) as client,
    ):
        first = asyncio.create_task(client.get(server.url))
        await until(lambda: bool(server.requests))
        with pytest.raises(httpx.PoolTimeout, match=r"0\.01 s"):
            await client.get(server.url, timeout=httpx.Timeout(10.0, pool=0.01))
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
    present, most = 0, 0

    async def count(_: SeenRequest, wire: Wire) -> None:
        nonlocal present, most
        present += 1
        most = max(most, present)
        await asyncio.sleep(0.001)
        present -= 1
        await wire.answer()

    transport = ResilientTransport(httpx.AsyncHTTPTransport(), max_connections=3)
    async with (
        FaultServer(serving(count)) as server,
        httpx.AsyncClient(**mounted(transport)) as client,
    ):
        await asyncio.gather(*(client.get(server.url) for _ in range(20)))
    assert most == 3
