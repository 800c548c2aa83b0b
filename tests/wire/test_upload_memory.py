"""What an upload holds in memory."""

import tracemalloc

import pytest
from upload_servers import OK, each_route, reach, read_head

from typed_async_client.testing import Wire

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

SIZE = 40_000_000


async def discard_body(wire: Wire) -> None:
    """Read the body of a request without keeping it, and respond."""
    start = await read_head(wire)
    if start is not None:
        missing = SIZE - len(start)
        while missing:
            missing -= len(await wire.read(65536))
        await wire.send(OK)
        await wire.stall()


@each_route
async def test_a_large_body_in_memory_is_not_copied(route: str) -> None:
    """It is written in pieces, after its head."""
    body = bytes(SIZE)
    async with reach(discard_body, route) as (client, server, _):
        tracemalloc.start()
        try:
            response = await client.post(server.url, content=body)
            assert response.text == "ok"
            assert tracemalloc.get_traced_memory()[1] < SIZE // 2
        finally:
            tracemalloc.stop()
