"""Bytes both ways on real sockets: whole, in bounded memory, and to the end, good or bad."""

import asyncio
import hashlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpcore
import httpx
import pytest
from fault_handlers import cut, cut_at_once, never_read, sending, until
from leftovers import sockets_to
from tls_contexts import trusted, trusting

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

pytestmark = pytest.mark.usefixtures("nothing_left")

MUCH = random.Random(20).randbytes(20_000_000)
MUCH_DIGEST = hashlib.sha256(MUCH).hexdigest()
LITTLE = 1_000_000  # far above what may be held, far below what is sent

Secured = Callable[[], ssl.SSLContext] | None
plain_and_secured = pytest.mark.parametrize("tls", [None, trusted], ids=["plain", "tls"])


async def stream_to(server: FaultServer, tls: Secured) -> AsyncioStream:
    """Connect, and shake hands where TLS is spoken."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
    return await stream.start_tls(trusting(), "localhost", timeout=20) if tls else stream


class PatientReader:
    """A server that reads nothing until it is told to, and then everything."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.digest = hashlib.sha256()
        self.read = 0

    async def __call__(self, wire: Wire) -> None:
        """Serve one connection."""
        wire.transport.pause_reading()
        await self.go_on.wait()
        wire.transport.resume_reading()
        while self.read < len(MUCH):
            part = await wire.read(1 << 20)
            self.digest.update(part)
            self.read += len(part)


# Flow control


@plain_and_secured
async def test_a_server_is_held_up_while_nobody_reads(tls: Secured) -> None:
    """Of 20 MB less than 1 MB is held in memory at each stop, and all of it comes, unharmed."""

    async def send_much(wire: Wire) -> None:
        await wire.send(MUCH)

    async with FaultServer(send_much, tls=tls and tls()) as server:
        stream = await stream_to(server, tls)
        await until(lambda: stream.protocol._reading_paused)
        for _ in range(200):
            await asyncio.sleep(0)
        assert stream.received < LITTLE
        digest = hashlib.sha256()
        while stream.received < 4 * LITTLE:
            digest.update(await stream.read(65536, timeout=20))
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(stream.protocol._buffer) < LITTLE
        while data := await stream.read(65536, timeout=20):
            digest.update(data)
            assert len(stream.protocol._buffer) < LITTLE
        assert digest.hexdigest() == MUCH_DIGEST
        await stream.aclose()
        assert stream._read_timer._timer is None


@plain_and_secured
@pytest.mark.parametrize("piece", [65536, len(MUCH)], ids=["many pieces", "one piece"])
async def test_a_writer_is_held_up_while_the_server_does_not_read(tls: Secured, piece: int) -> None:
    """Of 20 MB less than 1 MB is held in memory, and then all of it goes, unharmed."""
    reader = PatientReader()
    async with FaultServer(reader, tls=tls and tls()) as server:
        stream = await stream_to(server, tls)

        async def write_all() -> None:
            for start in range(0, len(MUCH), piece):
                await stream.write(MUCH[start : start + piece], timeout=30)

        writing = asyncio.ensure_future(write_all())
        await until(lambda: stream.protocol._writing_paused)
        for _ in range(200):
            await asyncio.sleep(0)
        assert not writing.done()
        assert stream._transport.get_write_buffer_size() < LITTLE
        reader.go_on.set()
        await writing
        await until(lambda: reader.read == len(MUCH))
        assert reader.digest.hexdigest() == MUCH_DIGEST
        await stream.aclose()
        assert stream._write_timer._timer is None


async def test_a_long_write_that_goes_on_does_not_time_out() -> None:
    """The timeout counts from the last bytes that were taken, not from the first."""
    reader = PatientReader()
    reader.go_on.set()
    async with FaultServer(reader) as server:
        stream = await stream_to(server, None)
        loop, protocol = asyncio.get_running_loop(), stream.protocol
        time, resume, late = loop.time, protocol.resume_writing, 0.0

        def resume_late() -> None:
            nonlocal late
            late += 5.0
            resume()

        loop.time = lambda: time() + late  # type: ignore[method-assign]  # the clock jumps
        protocol.resume_writing = resume_late  # type: ignore[method-assign]  # when some are taken
        await stream.write(MUCH, timeout=7.0)
        assert late > 7.0
        await stream.aclose()


# Timeouts


@plain_and_secured
async def test_a_silent_server_ends_a_read_with_a_timeout(tls: Secured) -> None:
    """The stream is usable after it: what comes later is read."""

    async def echo_once(wire: Wire) -> None:
        await wire.send(await wire.read(10))

    async with FaultServer(echo_once, tls=tls and tls()) as server:
        stream = await stream_to(server, tls)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(10, timeout=0.02)
        await stream.write(b"late")
        assert await stream.read(10, timeout=20) == b"late"
        await stream.aclose()


@plain_and_secured
async def test_a_server_that_takes_nothing_ends_a_write_with_a_timeout(tls: Secured) -> None:
    """Once the buffers of the kernel are full."""
    async with FaultServer(never_read, tls=tls and tls()) as server:
        stream = await stream_to(server, tls)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(MUCH, timeout=0.05)
        await stream.aclose()


async def test_bytes_that_came_while_the_loop_stood_still_beat_the_timeout() -> None:
    """What has come counts, although it is seen when the time is over."""

    async def speak(wire: Wire) -> None:
        await wire.read(1)
        await wire.send(b"in time")

    async with FaultServer(speak) as server:
        stream = await stream_to(server, None)
        await stream.write(b"?")
        await until(lambda: stream.received > 0)
        assert await stream.read(100, timeout=0.0) == b"in time"
        await stream.aclose()


# The end of a connection


@plain_and_secured
async def test_what_came_before_the_end_is_read_before_it(tls: Secured) -> None:
    """Then comes nothing, as often as it is asked."""

    async def say_goodbye(wire: Wire) -> None:
        await wire.send(b"goodbye")

    async with FaultServer(say_goodbye, tls=tls and tls()) as server:
        stream = await stream_to(server, tls)
        await until(lambda: bool(stream.get_extra_info("has_ended")))
        parts = [await stream.read(4, timeout=20) for _ in range(4)]
        assert parts == [b"good", b"bye", b"", b""]
        await stream.aclose()


async def test_a_cut_connection_is_a_read_error() -> None:
    """The system's own error is behind it."""
    async with FaultServer(cut_at_once) as server:
        stream = await stream_to(server, None)
        with pytest.raises(httpcore.ReadError) as caught:
            await stream.read(10, timeout=20)
        assert isinstance(caught.value.args[0], ConnectionResetError)
        assert caught.value.__cause__ is caught.value.args[0]
        await stream.aclose()


async def test_what_came_before_a_cut_is_read_before_the_error() -> None:
    """It may be the whole answer."""
    go_on = asyncio.Event()

    async def speak_and_cut(wire: Wire) -> None:
        await wire.send(b"last words")
        await go_on.wait()
        wire.reset()

    async with FaultServer(speak_and_cut) as server:
        stream = await stream_to(server, None)
        await until(lambda: stream.received > 0)
        go_on.set()
        await until(lambda: stream.has_ended)
        assert [await stream.read(5), await stream.read(5)] == [b"last ", b"words"]
        with pytest.raises(httpcore.ReadError):
            await stream.read(5)
        await stream.aclose()


async def test_a_cut_connection_is_a_write_error() -> None:
    """For the write that waits when it is cut, and for each one after it."""
    go_on = asyncio.Event()

    async def cut_later(wire: Wire) -> None:
        wire.transport.pause_reading()
        await go_on.wait()
        wire.reset()

    async with FaultServer(cut_later) as server:
        stream = await stream_to(server, None)
        writing = await _write_that_waits(stream)
        go_on.set()
        with pytest.raises(httpcore.WriteError):
            await writing
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more", timeout=20)
        await stream.aclose()


async def _write_that_waits(stream: AsyncioStream) -> "asyncio.Task[None]":
    """Write little by little until a write waits; give it."""
    while True:
        writing = asyncio.ensure_future(stream.write(bytes(65536), timeout=20))
        await asyncio.sleep(0)
        if not writing.done():
            return writing
        await writing


async def test_a_write_after_the_end_is_a_write_error() -> None:
    """The server hung up in good order, and the stream was closed by it."""

    async def leave(wire: Wire) -> None:
        """Do nothing, so that the connection is closed."""

    async with FaultServer(leave) as server:
        stream = await stream_to(server, None)
        await until(lambda: bool(stream.get_extra_info("has_ended")))
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"too late", timeout=20)
        await stream.aclose()


async def test_a_connection_that_ended_while_it_had_still_to_write_can_be_closed() -> None:
    """The server ends its side, then takes what is still on its way."""
    has_ended = asyncio.Event()

    async def end_and_take(wire: Wire) -> None:
        wire.transport.pause_reading()
        wire.transport.write_eof()
        await has_ended.wait()
        wire.transport.resume_reading()
        await wire.stall()

    async with FaultServer(end_and_take) as server:
        stream = await stream_to(server, None)
        transport = stream._transport
        transport.write(MUCH)
        await until(lambda: bool(stream.get_extra_info("has_ended")))
        assert transport.get_write_buffer_size() > 0
        has_ended.set()
        await until(lambda: transport.get_extra_info("socket").fileno() < 0)
        await stream.aclose()
        assert sockets_to(server.port) == 0


async def test_an_early_answer_is_read_although_the_upload_was_cut_off() -> None:
    """The server answers 413 at once, does not read on, and closes."""
    refusal = b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

    async def refuse(wire: Wire) -> None:
        await wire.read(1000)
        await wire.send(refusal)
        wire.transport.write_eof()
        await wire.stall()

    async with FaultServer(refuse) as server, httpx.AsyncClient(transport=_transport()) as client:
        response = await client.post(server.url, content=MUCH)
        assert (response.status_code, response.content) == (413, b"no")


# Whole exchanges


def _transport() -> AsyncPoolTransport:
    return AsyncPoolTransport(verify=trusting())


@plain_and_secured
async def test_large_bodies_pass_both_ways_unharmed(tls: Secured) -> None:
    """20 MB up and down at once, as a whole and in parts."""

    async def send_back(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    async def in_parts() -> AsyncIterator[bytes]:
        for start in range(0, len(MUCH), 100_000):
            yield MUCH[start : start + 100_000]

    server = FaultServer(each_request(send_back), tls=tls and tls())
    async with server, httpx.AsyncClient(transport=_transport(), timeout=30) as client:
        bodies: list[bytes | AsyncIterator[bytes]] = [MUCH, in_parts()]
        for body in bodies:
            response = await client.post(server.url, content=body)
            assert hashlib.sha256(response.content).hexdigest() == MUCH_DIGEST


@pytest.mark.parametrize(
    ("end", "error"),
    [(Wire.finish, httpx.RemoteProtocolError), (cut, httpx.ReadError)],
)
async def test_a_body_that_ends_too_early_is_no_answer(
    end: Callable[[Wire], Awaitable[None]], error: type[httpx.TransportError]
) -> None:
    """Closed or cut."""
    head_and_part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
    server = FaultServer(sending(head_and_part, end))
    async with server, httpx.AsyncClient(transport=_transport()) as client:
        with pytest.raises(error):
            await client.get(server.url)
