"""A body that is generated without waiting, to a fast server, doesn't keep the event loop."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from h2_servers import H2Wire
from h2_setups import ALL_SETUPS, H2Setup
from upload_servers import each_route, reach

from typed_async_client.testing import answer

pytestmark = pytest.mark.usefixtures("no_leaks")

each_part = pytest.mark.parametrize(
    ("size", "count", "at_most"),
    [(64 * 1024, 200, 14), (1024, 1000, 64), (1, 1000, 64), (0, 1000, 65)],
    ids=["64 KiB", "1 KiB", "1 byte", "empty"],
)
"""The size of each part, how many there are, and how many may be sent in one turn of the loop."""


class TurnCounter:
    """Counts the parts that are taken in each turn of the event loop."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()
        self._turn = 0
        self._next_turn: asyncio.Handle | None = None

    @property
    def largest(self) -> int:
        """The most parts taken in one turn."""
        return max(self._taken.values())

    async def parts(self, size: int, count: int) -> AsyncIterator[bytes]:
        """Generate a body without waiting for anything."""
        self._count_turn()
        for _ in range(count):
            self._taken[self._turn] += 1
            yield bytes(size)
        if self._next_turn is not None:
            self._next_turn.cancel()

    def _count_turn(self) -> None:
        self._turn += 1
        self._next_turn = asyncio.get_running_loop().call_soon(self._count_turn)


@each_part
@each_route
@pytest.mark.usefixtures("http11")
async def test_other_tasks_run_while_a_body_is_sent(
    route: str, size: int, count: int, at_most: int
) -> None:
    """At least once for every MiB and every 64 parts."""
    turns = TurnCounter()
    async with reach(answer(), route) as (client, server, _):
        response = await client.post(server.url, content=turns.parts(size, count))
        assert response.status_code == 200
        assert [len(request.body) for request in server.requests] == [size * count]
    assert 0 < turns.largest <= at_most


@ALL_SETUPS
@each_part
async def test_other_tasks_run_while_a_body_is_sent_with_http2(
    setup: H2Setup, client: httpx.AsyncClient, size: int, count: int, at_most: int
) -> None:
    """The same, if the flow-control window never closes."""

    async def open_window(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        assert len(request.body) == size * count
        await wire.answer(request)
        await wire.read_to_end()

    turns = TurnCounter()
    async with setup.server(open_window) as server:
        response = await client.post(server.url, content=turns.parts(size, count))
        assert response.status_code == 200
    assert 0 < turns.largest <= at_most


@pytest.mark.usefixtures("http11")
async def test_other_tasks_run_while_a_response_is_read() -> None:
    """A body that arrives faster than it is read is delivered a few reads at a time."""
    turns = 0
    loop = asyncio.get_running_loop()
    handles: list[asyncio.Handle] = []

    def count_turn() -> None:
        nonlocal turns
        turns += 1
        handles[:] = [loop.call_soon(count_turn)]

    async with reach(answer(200, bytes(50_000_000))) as (client, server, _):
        count_turn()
        size, last, in_turn = 0, 0, 0
        async with client.stream("GET", server.url) as response:
            async for part in response.aiter_raw():
                in_turn = len(part) + (in_turn if turns == last else 0)
                last = turns
                size += len(part)
                assert in_turn <= 1024 * 1024
        handles[0].cancel()
    assert size == 50_000_000
