"""Requests that wait for a stream when their HTTP/2 connection is lost: nothing of them was sent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from h2_servers import H2Wire
from h2_setups import ALL_SETUPS, H2Setup
from pool_helpers import result_type

from typed_async_client.pool.resend import REFUSALS, RESENDS
from typed_async_client.testing import FaultServer

pytestmark = [ALL_SETUPS, pytest.mark.usefixtures("no_leaks")]


async def parts() -> AsyncIterator[bytes]:
    """Yield a body that can't be sent again."""
    yield b"once"


def server_losing(setup: H2Setup, accepted: int) -> FaultServer:
    """Allow so many streams; close the first connection once all of them have arrived."""

    async def lose_the_connection(wire: H2Wire) -> None:
        await wire.receive(accepted)

    return setup.server(lose_the_connection, max_streams=accepted)


BODIES: dict[str, Callable[[], Any]] = {"bytes": lambda: b"once", "generator": parts}


@pytest.mark.parametrize("resend_on_closed", [True, False])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_requests_that_were_never_sent_move_to_another_connection(
    setup: H2Setup, body: Callable[[], Any], *, resend_on_closed: bool
) -> None:
    """Whatever their method and their body; the three that were sent fail."""
    transport = setup.transport(resend_on_closed=resend_on_closed)
    async with (
        server_losing(setup, 3) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        tasks = [client.post(server.url, content=body()) for _ in range(10)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = Counter(map(result_type, results))
        assert kinds[httpx.Response] == 7
        assert sum(kinds.values()) == 10
        for response in results:
            if isinstance(response, httpx.Response):
                assert not {RESENDS, REFUSALS} & response.extensions.keys()


async def test_only_what_was_sent_counts_as_resent(setup: H2Setup) -> None:
    """On a reused connection, idempotent requests all succeed: two were sent twice."""

    async def answer_one_and_lose_two(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await wire.receive(3)

    transport = setup.transport()
    async with (
        setup.server(answer_one_and_lose_two, max_streams=2) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        await client.get(server.url)
        responses = await asyncio.gather(*(client.get(server.url) for _ in range(6)))
        counts = Counter(response.extensions.get(RESENDS, 0) for response in responses)
        assert counts == {1: 2, 0: 4}
