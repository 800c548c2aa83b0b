"""No cancellation, wherever it lands, costs the pool a slot, a socket or a task."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from pool_kit import (
    address_of,
    all_alone,
    certificate_of,
    in_pieces,
    is_settled,
    kind_of,
    new_transport,
    pooled,
    serving,
    turns,
    verify_of,
)
from sweeps import ANSWER, Sweep, fetch_resiliently, fetch_streamed, fetch_whole, resilient

from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = [pytest.mark.usefixtures("http11"), pytest.mark.bulk]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    ("fetch", "new_client"),
    [(fetch_whole, pooled), (fetch_streamed, pooled), (fetch_resiliently, resilient)],
    ids=["whole", "streamed", "resilient"],
)
async def test_a_cancellation_after_any_turn_costs_no_slot_no_socket_and_no_task(
    fetch: Callable[[Any, str], Awaitable[bytes]],
    new_client: Callable[[httpx.AsyncBaseTransport], Any],
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Connecting, in the handshake, in the queue, sending, reading, closing: all of them."""
    sweep = Sweep(
        new_transport=lambda slots: new_transport(connections=slots, tls=tls),
        fetch=fetch,
        new_client=new_client,
        tls=tls,
    )
    await sweep.go(0, 8, slots=3)
    await sweep.go(4, slots=1)
    for others in (2, 4, 1, 6, 3, 7, 5):  # the fewer turns an exchange takes, the more company
        if sweep.points < 360:
            await sweep.go(others, slots=3)
    assert sweep.bad == []
    assert sweep.points >= 360


async def test_the_same_sweep_sees_that_httpx_alone_loses_slots() -> None:
    """So the sweep can fail; no company is needed to see it."""
    sweep = Sweep(
        new_transport=lambda slots: httpx.AsyncHTTPTransport(
            verify=verify_of(tls=False), limits=httpx.Limits(max_connections=slots)
        ),
        patience=0.2,
    )
    await sweep.go(0, slots=1)
    assert "a slot was lost" in {it.rpartition(": ")[2] for it in sweep.bad}


async def answer_a_little_later(request: SeenRequest, wire: Wire) -> None:
    """Answer within 30 ms, in pieces, so that a deadline can fall into each of them."""
    await asyncio.sleep(int(request.target.rpartition("/")[2]) / 1000)
    await in_pieces(request, wire)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_churn_of_deadlines_leaves_every_slot_in_use(
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Twenty workers on ten slots, 80 requests each, each request with 0 to 40 ms of its own."""
    chance, cut = random.Random(1), 0
    handler = serving(answer_a_little_later)
    async with FaultServer(handler, tls=certificate_of(tls=tls)) as server:
        url, transport = address_of(server), new_transport(connections=10, tls=tls)

        async def work(client: httpx.AsyncClient) -> None:
            nonlocal cut
            for _ in range(80):
                try:
                    async with asyncio.timeout(chance.uniform(0, 0.04)):
                        await client.get(f"{url}{chance.randrange(30)}")
                except TimeoutError:
                    cut += 1

        async with pooled(transport) as client:
            await asyncio.gather(*(work(client) for _ in range(20)))
            assert is_settled(transport), transport.statistics()
            answers = await asyncio.gather(*(client.get(f"{url}0") for _ in range(20)))
            assert [answer.content for answer in answers] == [ANSWER] * 20
            assert is_settled(transport), transport.statistics()
        assert cut > 0
        assert await all_alone()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_closing_a_pool_at_any_turn_leaves_no_connection_and_nobody_hanging(
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Requests that connect, that are answered and that wait end; what connects late is closed."""
    ends: set[type[object]] = set()
    for count in range(60):
        async with FaultServer(serving(in_pieces), tls=certificate_of(tls=tls)) as server:
            transport = new_transport(connections=2, tls=tls)
            client = pooled(transport)
            requests = [client.get(address_of(server)) for _ in range(4)]
            tasks = [asyncio.ensure_future(request) for request in requests]
            await turns(count)
            await transport.aclose()
            ends |= {kind_of(end) for end in await asyncio.gather(*tasks, return_exceptions=True)}
            assert is_settled(transport), transport.statistics()
            assert await all_alone(), f"turn {count}"
    assert ends >= {RuntimeError, httpx.RemoteProtocolError, httpx.Response}
    assert ends <= {
        RuntimeError,
        httpx.ConnectError,
        httpx.ReadError,
        httpx.RemoteProtocolError,
        httpx.Response,
    }
