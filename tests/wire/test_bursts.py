"""All data that arrives in one turn of the event loop is read, even if the connection ends too."""

import pytest
from fault_handlers import close_without_close_notify, respond_with
from pool_helpers import in_order, new_transport, pool_client
from tls_contexts import server_context

from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("http11")

STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
NO_LENGTH = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
KIB = 1024


@pytest.mark.parametrize("size", [100, 20 * KIB, 100 * KIB])
async def test_an_early_response_before_a_reset_is_read(size: int) -> None:
    """Although the upload fails because of the reset in the same turn."""

    async def refuse(wire: Wire) -> None:
        await wire.read(1000)
        await wire.send(WITH_LENGTH % size + bytes(size))
        wire.reset()

    async with FaultServer(refuse) as server, pool_client(new_transport()) as client:
        response = await client.post(server.url, content=bytes(20_000_000))
        assert len(response.content) == size


@pytest.mark.parametrize("size", [1, 8 * KIB, 30 * KIB, 60 * KIB, 120 * KIB, 300 * KIB])
@pytest.mark.parametrize("head", [NO_LENGTH, WITH_LENGTH], ids=["no length", "Content-Length"])
async def test_a_body_followed_by_the_end_of_its_connection_is_complete(
    head: bytes, size: int
) -> None:
    """Without a length, nobody could detect that a part of it was lost."""
    body = bytes(range(256)) * (size // 256) + b"!"
    start = head % len(body) if head is WITH_LENGTH else head
    async with FaultServer(
        respond_with(start + body, close_without_close_notify), tls=server_context()
    ) as server:
        for _ in range(5):
            async with pool_client(new_transport(tls=True)) as client:
                assert (await client.get(server.url)).content == body


@pytest.mark.parametrize("size", [8 * KIB, 16 * KIB, 24 * KIB, 32 * KIB, 56 * KIB])
async def test_a_stray_response_does_not_answer_the_next_request(size: int) -> None:
    """The first response fills the read buffer exactly, with the stray one behind it."""
    head = WITH_LENGTH % (size - len(WITH_LENGTH % size))
    filling = head + bytes(size - len(head))

    async def answer_twice(wire: Wire) -> None:
        await respond_with(filling + STRAY, answer_good)(wire)

    async def answer_good(wire: Wire) -> None:
        await respond_with(WITH_LENGTH % 4 + b"good")(wire)

    async with FaultServer(in_order(answer_twice, answer_good), tls=server_context()) as server:
        async with pool_client(new_transport(tls=True)) as client:
            await client.get(server.url)
            assert (await client.get(server.url)).content == b"good"
        assert server.connections == 2
