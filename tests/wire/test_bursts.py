"""Much may come in one turn of the event loop, and its end with it: all of it counts."""

import pytest
from fault_handlers import close_without_close_notify, respond_with
from pool_helpers import in_order, new_transport, pool_client
from tls_contexts import server_context

from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("http11")

STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
UNTOLD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
TOLD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
KIB = 1024


@pytest.mark.parametrize("size", [100, 20 * KIB, 100 * KIB])
async def test_an_early_answer_that_came_before_a_reset_is_read(size: int) -> None:
    """The upload meets the reset in the same turn, and that is the end of the connection."""

    async def refuse(wire: Wire) -> None:
        await wire.read(1000)
        await wire.send(TOLD % size + bytes(size))
        wire.reset()

    async with FaultServer(refuse) as server, pool_client(new_transport()) as client:
        response = await client.post(server.url, content=bytes(20_000_000))
        assert len(response.content) == size


@pytest.mark.parametrize("size", [1, 8 * KIB, 30 * KIB, 60 * KIB, 120 * KIB, 300 * KIB])
@pytest.mark.parametrize("head", [UNTOLD, TOLD], ids=["to the end", "of a told length"])
async def test_a_body_with_the_end_of_its_connection_behind_it_is_whole(
    head: bytes, size: int
) -> None:
    """It would be cut, and nobody could tell where it goes to the end, if some of it came later."""
    body = bytes(range(256)) * (size // 256) + b"!"
    start = head % len(body) if head is TOLD else head
    async with FaultServer(
        respond_with(start + body, close_without_close_notify), tls=server_context()
    ) as server:
        for _ in range(5):
            async with pool_client(new_transport(tls=True)) as client:
                assert (await client.get(server.url)).content == body


@pytest.mark.parametrize("size", [8 * KIB, 16 * KIB, 24 * KIB, 32 * KIB, 56 * KIB])
async def test_what_comes_with_an_answer_is_not_the_next_one(size: int) -> None:
    """An answer fills what there is room for, and a stray one lies behind it when it is read."""
    head = TOLD % (size - len(TOLD % size))
    filling = head + bytes(size - len(head))

    async def answer_twice(wire: Wire) -> None:
        await respond_with(filling + STRAY, answer_well)(wire)

    async def answer_well(wire: Wire) -> None:
        await respond_with(TOLD % 4 + b"good")(wire)

    async with FaultServer(in_order(answer_twice, answer_well), tls=server_context()) as server:
        async with pool_client(new_transport(tls=True)) as client:
            await client.get(server.url)
            assert (await client.get(server.url)).content == b"good"
        assert server.connections == 2
