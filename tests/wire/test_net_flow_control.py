"""Data transfer on real sockets: intact, in bounded memory, until EOF or an error."""

import asyncio
import hashlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpcore
import httpx
import pytest
from fault_handlers import never_read, reset_connection, reset_on_connect, respond_with, wait_until
from leak_checks import count_sockets_to
from pool_helpers import run_loop_turns
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

pytestmark = pytest.mark.usefixtures("no_leaks")

PAYLOAD = random.Random(20).randbytes(20_000_000)
PAYLOAD_DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
BUFFER_LIMIT = 1_000_000  # well above what may be buffered, well below what is sent

ServerTLS = Callable[[], ssl.SSLContext] | None
with_and_without_tls = pytest.mark.parametrize(
    "tls", [None, server_context], ids=["cleartext", "TLS"]
)


async def connect_to(server: FaultServer, tls: ServerTLS) -> AsyncioStream:
    """Connect to a server, with a TLS handshake if it uses TLS."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
    return await stream.start_tls(client_context(), "localhost", timeout=20) if tls else stream


class DelayedReader:
    """A server that reads nothing until ``proceed`` is set, and then everything."""

    def __init__(self) -> None:
        self.proceed = asyncio.Event()
        self.digest = hashlib.sha256()
        self.read = 0

    async def __call__(self, wire: Wire) -> None:
        """Serve one connection."""
        wire.transport.pause_reading()
        await self.proceed.wait()
        wire.transport.resume_reading()
        while self.read < len(PAYLOAD):
            part = await wire.read(1 << 20)
            self.digest.update(part)
            self.read += len(part)


# Flow control


@with_and_without_tls
async def test_reading_pauses_while_the_caller_does_not_read(tls: ServerTLS) -> None:
    """Less than 1 MB of 20 MB is buffered at each pause, and all of it arrives intact."""

    async def send_payload(wire: Wire) -> None:
        await wire.send(PAYLOAD)

    async with FaultServer(send_payload, tls=tls and tls()) as server:
        stream = await connect_to(server, tls)
        await wait_until(lambda: stream.protocol._reading_paused)
        for _ in range(200):
            await asyncio.sleep(0)
        assert stream.received < BUFFER_LIMIT
        digest = hashlib.sha256()
        while stream.received < 4 * BUFFER_LIMIT:
            digest.update(await stream.read(65536, timeout=20))
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(stream.protocol._unread) < BUFFER_LIMIT
        while data := await stream.read(65536, timeout=20):
            digest.update(data)
            assert len(stream.protocol._unread) < BUFFER_LIMIT
        assert digest.hexdigest() == PAYLOAD_DIGEST
        await stream.aclose()
        assert stream._read_timer._timer is None


@with_and_without_tls
@pytest.mark.parametrize("piece", [65536, len(PAYLOAD)], ids=["many pieces", "one piece"])
async def test_writing_pauses_while_the_server_does_not_read(tls: ServerTLS, piece: int) -> None:
    """Less than 1 MB of 20 MB is buffered, and all of it arrives intact."""
    reader = DelayedReader()
    async with FaultServer(reader, tls=tls and tls()) as server:
        stream = await connect_to(server, tls)

        async def write_all() -> None:
            for start in range(0, len(PAYLOAD), piece):
                await stream.write(PAYLOAD[start : start + piece], timeout=30)

        writing = asyncio.ensure_future(write_all())
        await wait_until(lambda: stream.protocol._writing_paused)
        for _ in range(200):
            await asyncio.sleep(0)
        assert not writing.done()
        assert stream.transport.get_write_buffer_size() < BUFFER_LIMIT
        reader.proceed.set()
        await writing
        await wait_until(lambda: reader.read == len(PAYLOAD))
        assert reader.digest.hexdigest() == PAYLOAD_DIGEST
        await stream.aclose()
        assert stream._write_timer._timer is None


async def test_a_long_write_that_makes_progress_does_not_time_out() -> None:
    """The timeout is measured from the last progress, not from the start."""
    reader = DelayedReader()
    reader.proceed.set()
    async with FaultServer(reader) as server:
        stream = await connect_to(server, None)
        loop, protocol = asyncio.get_running_loop(), stream.protocol
        time, resume, late = loop.time, protocol.resume_writing, 0.0

        def resume_late() -> None:
            nonlocal late
            late += 5.0
            resume()

        loop.time = lambda: time() + late  # type: ignore[method-assign]  # the clock jumps
        protocol.resume_writing = resume_late  # type: ignore[method-assign]  # on progress
        await stream.write(PAYLOAD, timeout=7.0)
        assert late > 7.0
        await stream.aclose()


# Timeouts


@with_and_without_tls
async def test_a_read_from_a_silent_server_times_out(tls: ServerTLS) -> None:
    """The stream stays usable: data that arrives later is read."""

    async def echo_once(wire: Wire) -> None:
        await wire.send(await wire.read(10))

    async with FaultServer(echo_once, tls=tls and tls()) as server:
        stream = await connect_to(server, tls)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(10, timeout=0.02)
        await stream.write(b"late")
        assert await stream.read(10, timeout=20) == b"late"
        await stream.aclose()


@with_and_without_tls
async def test_a_write_to_a_server_that_does_not_read_times_out(tls: ServerTLS) -> None:
    """Once the kernel's buffers are full."""
    async with FaultServer(never_read, tls=tls and tls()) as server:
        stream = await connect_to(server, tls)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(PAYLOAD, timeout=0.05)
        await stream.aclose()


async def test_data_that_arrived_while_the_loop_was_stalled_beats_the_timeout() -> None:
    """Data that arrived in time is returned, even if the loop notices it late."""

    async def send_later(wire: Wire) -> None:
        await wire.read(1)
        await wire.send(b"in time")

    async with FaultServer(send_later) as server:
        stream = await connect_to(server, None)
        await stream.write(b"?")
        await wait_until(lambda: stream.received > 0)
        assert await stream.read(100, timeout=0.0) == b"in time"
        await stream.aclose()


# EOF and connection errors


@with_and_without_tls
async def test_data_received_before_eof_is_read_first(tls: ServerTLS) -> None:
    """After that, every read returns nothing."""

    async def say_goodbye(wire: Wire) -> None:
        await wire.send(b"goodbye")

    async with FaultServer(say_goodbye, tls=tls and tls()) as server:
        stream = await connect_to(server, tls)
        await wait_until(lambda: bool(stream.get_extra_info("has_ended")))
        parts = [await stream.read(4, timeout=20) for _ in range(4)]
        assert parts == [b"good", b"bye", b"", b""]
        await stream.aclose()


async def test_a_reset_connection_is_a_read_error() -> None:
    """The operating system's error is its argument and its cause."""
    async with FaultServer(reset_on_connect) as server:
        stream = await connect_to(server, None)
        with pytest.raises(httpcore.ReadError) as caught:
            await stream.read(10, timeout=20)
        assert isinstance(caught.value.args[0], ConnectionResetError)
        assert caught.value.__cause__ is caught.value.args[0]
        await stream.aclose()


async def test_data_received_before_a_reset_is_read_first() -> None:
    """It may be the complete response."""
    proceed = asyncio.Event()

    async def send_and_reset(wire: Wire) -> None:
        await wire.send(b"last words")
        await proceed.wait()
        wire.reset()

    async with FaultServer(send_and_reset) as server:
        stream = await connect_to(server, None)
        await wait_until(lambda: stream.received > 0)
        proceed.set()
        await wait_until(lambda: stream.has_ended)
        assert [await stream.read(5), await stream.read(5)] == [b"last ", b"words"]
        with pytest.raises(httpcore.ReadError):
            await stream.read(5)
        await stream.aclose()


async def test_a_reset_connection_is_a_write_error() -> None:
    """For the write that is blocked, and for every later one."""
    proceed = asyncio.Event()

    async def reset_later(wire: Wire) -> None:
        wire.transport.pause_reading()
        await proceed.wait()
        wire.reset()

    async with FaultServer(reset_later) as server:
        stream = await connect_to(server, None)
        writing = await _blocked_write(stream)
        proceed.set()
        with pytest.raises(httpcore.WriteError):
            await writing
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more", timeout=20)
        await stream.aclose()


async def _blocked_write(stream: AsyncioStream) -> "asyncio.Task[None]":
    """Write until a write blocks, and return its task."""
    while True:
        writing = asyncio.ensure_future(stream.write(bytes(65536), timeout=20))
        await run_loop_turns(3)  # one of them is for a write that lets other tasks run
        if not writing.done():
            return writing
        await writing


async def test_a_write_after_eof_is_a_write_error() -> None:
    """The server closed the connection cleanly, and so closed the stream."""

    async def close(wire: Wire) -> None:
        """Return immediately, which closes the connection."""

    async with FaultServer(close) as server:
        stream = await connect_to(server, None)
        await wait_until(lambda: bool(stream.get_extra_info("has_ended")))
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"too late", timeout=20)
        await stream.aclose()


async def test_a_connection_that_reached_eof_with_unsent_data_can_be_closed() -> None:
    """The server closes its side, then reads the rest."""
    has_ended = asyncio.Event()

    async def close_and_read(wire: Wire) -> None:
        wire.transport.pause_reading()
        wire.transport.write_eof()
        await has_ended.wait()
        wire.transport.resume_reading()
        await wire.stall()

    async with FaultServer(close_and_read) as server:
        stream = await connect_to(server, None)
        transport = stream.transport
        transport.write(PAYLOAD)
        await wait_until(lambda: bool(stream.get_extra_info("has_ended")))
        assert transport.get_write_buffer_size() > 0
        has_ended.set()
        await wait_until(lambda: transport.get_extra_info("socket").fileno() < 0)
        await stream.aclose()
        assert count_sockets_to(server.port) == 0


async def test_an_early_response_is_read_even_if_the_upload_fails() -> None:
    """The server answers 413 immediately, stops reading and closes."""
    refusal = b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

    async def refuse(wire: Wire) -> None:
        await wire.read(1000)
        await wire.send(refusal)
        wire.transport.write_eof()
        await wire.stall()

    async with FaultServer(refuse) as server, httpx.AsyncClient(transport=_transport()) as client:
        response = await client.post(server.url, content=PAYLOAD)
        assert (response.status_code, response.content) == (413, b"no")


# Complete exchanges


def _transport() -> AsyncPoolTransport:
    return AsyncPoolTransport(verify=client_context())


@with_and_without_tls
async def test_large_bodies_arrive_intact_both_ways(tls: ServerTLS) -> None:
    """20 MB each way, sent as bytes and as a stream."""

    async def send_back(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    async def streamed() -> AsyncIterator[bytes]:
        for start in range(0, len(PAYLOAD), 100_000):
            yield PAYLOAD[start : start + 100_000]

    server = FaultServer(each_request(send_back), tls=tls and tls())
    async with server, httpx.AsyncClient(transport=_transport(), timeout=30) as client:
        bodies: list[bytes | AsyncIterator[bytes]] = [PAYLOAD, streamed()]
        for body in bodies:
            response = await client.post(server.url, content=body)
            assert hashlib.sha256(response.content).hexdigest() == PAYLOAD_DIGEST


@pytest.mark.parametrize(
    ("end", "error"),
    [(Wire.finish, httpx.RemoteProtocolError), (reset_connection, httpx.ReadError)],
)
async def test_a_truncated_body_is_an_error(
    end: Callable[[Wire], Awaitable[None]], error: type[httpx.TransportError]
) -> None:
    """Whether the connection was closed or reset."""
    head_and_part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
    server = FaultServer(respond_with(head_and_part, end))
    async with server, httpx.AsyncClient(transport=_transport()) as client:
        with pytest.raises(error):
            await client.get(server.url)
