"""No cancellation, wherever it lands, costs the pool a slot, a socket or a task."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from cancellation_sweeps import (
    ANSWER,
    Sweep,
    fetch_resiliently,
    fetch_streamed,
    fetch_whole,
    resilient_client,
)
from pool_helpers import (
    answer_in_pieces,
    ip_url,
    is_idle,
    new_transport,
    other_tasks_end,
    pool_client,
    result_type,
    run_loop_turns,
    serve_requests,
    server_context_or_none,
    verify_option,
)

from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = [pytest.mark.usefixtures("http11"), pytest.mark.bulk]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    ("fetch", "new_client"),
    [
        (fetch_whole, pool_client),
        (fetch_streamed, pool_client),
        (fetch_resiliently, resilient_client),
    ],
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
    await sweep.run(0, 8, slots=3)
    await sweep.run(4, slots=1)
    for others in (2, 4, 1, 6, 3, 7, 5):  # the fewer turns an exchange takes, the more company
        if sweep.points < 360:
            await sweep.run(others, slots=3)
    assert sweep.failures == []
    assert sweep.points >= 360


async def test_the_same_sweep_sees_that_httpx_alone_loses_slots() -> None:
    """So the sweep can fail; no company is needed to see it."""
    sweep = Sweep(
        new_transport=lambda slots: httpx.AsyncHTTPTransport(
            verify=verify_option(tls=False), limits=httpx.Limits(max_connections=slots)
        ),
        slot_timeout=0.2,
    )
    await sweep.run(0, slots=1)
    assert "a slot was lost" in {it.rpartition(": ")[2] for it in sweep.failures}


async def answer_a_little_later(request: SeenRequest, wire: Wire) -> None:
    """Answer within 30 ms, in pieces, so that a deadline can fall into each of them."""
    await asyncio.sleep(int(request.target.rpartition("/")[2]) / 1000)
    await answer_in_pieces(request, wire)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_churn_of_deadlines_leaves_every_slot_in_use(
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Twenty workers on ten slots, 80 requests each, each request with 0 to 40 ms of its own."""
    chance, cut = random.Random(1), 0
    handler = serve_requests(answer_a_little_later)
    async with FaultServer(handler, tls=server_context_or_none(tls=tls)) as server:
        url, transport = ip_url(server), new_transport(connections=10, tls=tls)

        async def work(client: httpx.AsyncClient) -> None:
            nonlocal cut
            for _ in range(80):
                try:
                    async with asyncio.timeout(chance.uniform(0, 0.04)):
                        await client.get(f"{url}{chance.randrange(30)}")
                except TimeoutError:
                    cut += 1

        async with pool_client(transport) as client:
            await asyncio.gather(*(work(client) for _ in range(20)))
            assert is_idle(transport), transport.statistics()
            answers = await asyncio.gather(*(client.get(f"{url}0") for _ in range(20)))
            assert [answer.content for answer in answers] == [ANSWER] * 20
            assert is_idle(transport), transport.statistics()
        assert cut > 0
        assert await other_tasks_end()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_closing_a_pool_at_any_turn_leaves_no_connection_and_nobody_hanging(
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Requests that connect, that are answered and that wait end; what connects late is closed."""
    ends: set[type[object]] = set()
    for count in range(60):
        async with FaultServer(
            serve_requests(answer_in_pieces), tls=server_context_or_none(tls=tls)
        ) as server:
            transport = new_transport(connections=2, tls=tls)
            client = pool_client(transport)
            requests = [client.get(ip_url(server)) for _ in range(4)]
            tasks = [asyncio.ensure_future(request) for request in requests]
            await run_loop_turns(count)
            await transport.aclose()
            ends |= {
                result_type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)
            }
            assert is_idle(transport), transport.statistics()
            assert await other_tasks_end(), f"turn {count}"
    assert ends >= {RuntimeError, httpx.RemoteProtocolError, httpx.Response}
    assert ends <= {
        RuntimeError,
        httpx.ConnectError,
        httpx.ReadError,
        httpx.RemoteProtocolError,
        httpx.Response,
    }
