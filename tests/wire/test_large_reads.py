"""While a large body arrives, asyncio allocates each read; otherwise the shared buffer is used."""

import asyncio
import random
import socket

import httpcore
import pytest
from fault_handlers import wait_until

from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("no_leaks")

LARGE = random.Random(7).randbytes(100_000)


class Told:
    """A server that sends what it is told to, piece by piece."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.ended = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        """Serve one connection, until it may end."""
        self.wires.append(wire)
        await self.ended.wait()


async def opened(server: FaultServer, told: Told) -> AsyncioStream:
    """Return a stream to the server, which has accepted it."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
    room = 1_000_000  # so that all of a large part arrives before any of it is read
    stream.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    await wait_until(lambda: len(told.wires) == 1)
    return stream


async def receive(stream: AsyncioStream, size: int) -> bytes:
    """Read that many bytes."""
    received = b""
    while len(received) < size:
        received += await stream.read(1_000_000, timeout=20)
    return received


async def receive_at_once(stream: AsyncioStream, wire: Wire, data: bytes) -> None:
    """Let the client read all of some bytes in one go: it doesn't read until they have arrived."""
    stream.transport.pause_reading()
    await wire.send(data)
    client = stream.get_extra_info("socket")

    def has_arrived() -> bool:
        with socket.socket(fileno=socket.dup(client.fileno())) as copy:
            return len(copy.recv(len(data), socket.MSG_PEEK)) == len(data)

    await wait_until(has_arrived)
    stream.transport.resume_reading()
    assert await receive(stream, len(data)) == data


def uses_shared_buffer(stream: AsyncioStream) -> bool:
    """Whether the next read goes through the buffer that all sockets share."""
    return stream.transport.get_protocol() is stream.protocol


async def test_a_large_read_is_followed_by_reads_without_a_copy_until_a_small_one() -> None:
    """Between them, all bytes arrive as they were sent."""
    told = Told()
    async with FaultServer(told) as server:
        stream = await opened(server, told)
        await receive_at_once(stream, told.wires[0], b"small")
        assert uses_shared_buffer(stream)
        for _ in range(2):
            await receive_at_once(stream, told.wires[0], LARGE)
            assert not uses_shared_buffer(stream)
        await receive_at_once(stream, told.wires[0], b"small")
        assert uses_shared_buffer(stream)
        stream.abort()
        told.ended.set()


@pytest.mark.parametrize("resets", [True, False])
async def test_the_end_of_the_connection_is_noticed_between_large_reads(*, resets: bool) -> None:
    """As an error if it was reset."""
    told = Told()
    async with FaultServer(told) as server:
        stream = await opened(server, told)
        await receive_at_once(stream, told.wires[0], LARGE)
        if resets:
            told.wires[0].reset()
            with pytest.raises(httpcore.ReadError):
                await stream.read(1, timeout=20)
        else:
            told.ended.set()
            assert await stream.read(1, timeout=20) == b""
        assert stream.has_ended
        told.ended.set()
        stream.abort()


async def test_writing_pauses_and_resumes_between_large_reads() -> None:
    """A peer that doesn't read holds up a write until it does."""
    told = Told()
    async with FaultServer(told) as server:
        stream = await opened(server, told)
        await receive_at_once(stream, told.wires[0], LARGE)
        told.wires[0].transport.pause_reading()
        writing = asyncio.create_task(stream.write(bytes(20_000_000), timeout=20))
        await wait_until(lambda: stream.protocol._writing_paused)
        assert not writing.done()
        told.wires[0].transport.resume_reading()
        left = 20_000_000
        while left > 0:
            left -= len(await told.wires[0].read(1_000_000))
        await writing
        stream.abort()
        told.ended.set()
