"""A cancellation at any point leaks no slot, socket or task of the pool."""

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


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize(
    ("fetch", "new_client"),
    [
        (fetch_whole, pool_client),
        (fetch_streamed, pool_client),
        (fetch_resiliently, resilient_client),
    ],
    ids=["whole", "streamed", "resilient"],
)
async def test_a_cancellation_at_any_point_leaks_no_slot_socket_or_task(
    fetch: Callable[[Any, str], Awaitable[bytes]],
    new_client: Callable[[httpx.AsyncBaseTransport], Any],
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """While connecting, in the TLS handshake, queued, sending, reading or closing."""
    sweep = Sweep(
        new_transport=lambda slots: new_transport(connections=slots, tls=tls),
        fetch=fetch,
        new_client=new_client,
        tls=tls,
    )
    await sweep.run(0, 8, slots=3)
    await sweep.run(4, slots=1)
    for others in (2, 4, 1, 6, 3, 7, 5):  # until there are enough points
        if sweep.points < 360:
            await sweep.run(others, slots=3)
    assert sweep.failures == []
    assert sweep.points >= 360


async def test_the_same_sweep_finds_slots_leaked_by_httpxs_own_pool() -> None:
    """It shows that the sweep can fail, even without concurrent requests."""
    sweep = Sweep(
        new_transport=lambda slots: httpx.AsyncHTTPTransport(
            verify=verify_option(tls=False), limits=httpx.Limits(max_connections=slots)
        ),
        slot_timeout=0.2,
    )
    await sweep.run(0, slots=1)
    assert "a slot was lost" in {it.rpartition(": ")[2] for it in sweep.failures}


async def answer_after_a_delay(request: SeenRequest, wire: Wire) -> None:
    """Answer within 30 ms, in pieces, so that a deadline can expire during each of them."""
    await asyncio.sleep(int(request.target.rpartition("/")[2]) / 1000)
    await answer_in_pieces(request, wire)


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
async def test_expiring_deadlines_leak_no_slot(
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Twenty workers share ten slots; each of their 80 requests has a deadline of 0 to 40 ms."""
    rng, expired = random.Random(1), 0
    handler = serve_requests(answer_after_a_delay)
    async with FaultServer(handler, tls=server_context_or_none(tls=tls)) as server:
        url, transport = ip_url(server), new_transport(connections=10, tls=tls)

        async def work(client: httpx.AsyncClient) -> None:
            nonlocal expired
            for _ in range(80):
                try:
                    async with asyncio.timeout(rng.uniform(0, 0.04)):
                        await client.get(f"{url}{rng.randrange(30)}")
                except TimeoutError:
                    expired += 1

        async with pool_client(transport) as client:
            await asyncio.gather(*(work(client) for _ in range(20)))
            assert is_idle(transport), transport.statistics()
            answers = await asyncio.gather(*(client.get(f"{url}0") for _ in range(20)))
            assert [answer.content for answer in answers] == [ANSWER] * 20
            assert is_idle(transport), transport.statistics()
        assert expired > 0
        assert await other_tasks_end()


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
async def test_closing_a_pool_at_any_point_leaves_no_connection_or_waiting_request(
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Every request ends, and connections established late are closed."""
    result_types: set[type[object]] = set()
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
            result_types |= {
                result_type(result)
                for result in await asyncio.gather(*tasks, return_exceptions=True)
            }
            await transport.aclose()  # those that start only now have opened it again
            assert is_idle(transport), transport.statistics()
            assert await other_tasks_end(), f"turn {count}"
    assert result_types == {RuntimeError, httpx.ReadError, httpx.Response}
