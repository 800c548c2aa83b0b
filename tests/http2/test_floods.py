"""Floods of frames end the connection with an error that names them, before they cost much."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from frame_builders import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    continuation_frame,
    data_frame,
    headers_frame,
    ping_frame,
    priority_frame,
    raw_frame,
    reset_frame,
    settings_frame,
    window_frame,
)
from frame_server import FramePeer, FrameServer, leave_alone
from h2_client_kit import ONE_CONNECTION, fetch, open_client, result_of

COUNT = 100_000
BATCH = 500


async def flood(peer: FramePeer, frames: Iterator[bytes]) -> int:
    """Send frames until the client closes the connection; return how many were sent before."""
    count = 0
    while not peer.closed and (
        batch := [frame for frame, _ in zip(frames, range(BATCH), strict=False)]
    ):
        await peer.send(*batch)
        count += len(batch)
    return count


def repeated(frame: bytes, first: bytes = b"") -> Iterator[bytes]:
    """Yield a frame very often, after another one."""
    if first:
        yield first
    for _ in range(COUNT):
        yield frame


FLOODS: dict[str, tuple[str, Callable[[FramePeer], Iterator[bytes]]]] = {
    "empty DATA": ("DATA", lambda p: repeated(data_frame(1), p.head(1))),
    "empty padded DATA": ("DATA", lambda p: repeated(data_frame(1, padding=0), p.head(1))),
    "empty CONTINUATION": (
        "CONTINUATION|header",
        lambda p: repeated(continuation_frame(1, last=False), headers_frame(1, b"", last=False)),
    ),
    "CONTINUATION without end": (
        "CONTINUATION|header",
        lambda p: repeated(
            continuation_frame(1, b"\x00\x01a\x01b" * 1000, last=False),
            headers_frame(1, b"\x88", last=False),
        ),
    ),
    "PING": ("PING", lambda p: repeated(ping_frame())),
    "SETTINGS": ("SETTINGS", lambda p: repeated(settings_frame())),
    "SETTINGS with values": ("SETTINGS", lambda p: repeated(settings_frame({4: 65_535}))),
    "WINDOW_UPDATE of 1 byte": ("WINDOW_UPDATE", lambda p: repeated(window_frame(1, 1))),
    "WINDOW_UPDATE of the connection": ("WINDOW_UPDATE", lambda p: repeated(window_frame(0, 1))),
    "PRIORITY": ("PRIORITY", lambda p: repeated(priority_frame(1))),
    "unknown frames": ("unknown|frame", lambda p: repeated(raw_frame(0x42, 0, 1, b""))),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_ends_the_connection(name: str) -> None:
    """With RemoteProtocolError for its requests, and GOAWAY for the server."""
    pattern, frames = FLOODS[name]
    async with FrameServer().open() as server, open_client() as client:
        tasks = [fetch(client, server.url), fetch(client, server.url)]
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1, 3])
        sent = await flood(peer, frames(peer))
        for task in tasks:
            with pytest.raises(httpx.RemoteProtocolError, match=f"(?i){pattern}"):
                await task
        await peer.wait_closed()
        assert sent < COUNT
        assert peer.go_aways[-1].error_code in {ENHANCE_YOUR_CALM, 1}
        assert await result_of(fetch(client, f"{server.url}next")) == b"/next"


async def test_what_is_written_in_reply_to_a_flood_is_bounded() -> None:
    """A server that doesn't read gets no more than a few replies per frame that it sends."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        sent = await flood(peer, repeated(ping_frame()))
        await peer.wait_closed()
        assert peer.counts["PingFrame"] <= sent
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)


async def test_frames_that_do_something_are_no_flood() -> None:
    """A long response of small frames, with PING, WINDOW_UPDATE and empty DATA among them."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.head(1))
        for number in range(5000):
            extra = (ping_frame(), window_frame(1, 1), data_frame(1), b"")[number % 4]
            await peer.send(peer.data(1, b"x"), peer.data(1, b"y"), extra)
        await peer.send(data_frame(1, end=True))
        assert await result_of(task) == b"xy" * 5000


async def test_resetting_many_streams_at_once_is_bounded_work() -> None:
    """Each of them fails once, with no frame in reply, and another one on the connection goes on."""
    async with FrameServer().open() as server, open_client() as client:
        other = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        tasks = [fetch(client, server.url) for _ in range(100)]
        await peer.until(lambda: len(peer.ended) >= 100)
        frames, resets = len(peer.frames), peer.ended[1:]
        await peer.send(*(reset_frame(stream_id, CANCEL) for stream_id in resets * 5))
        await peer.until(lambda: len(peer.ended) == 101)
        await peer.send(*(reset_frame(stream_id, CANCEL) for stream_id in peer.ended[1:]))
        for task in tasks:
            assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        assert len(peer.frames) - frames <= 10
        await peer.send(peer.response(1, b"fine"))
        assert await result_of(other) == b"fine"
        assert len(server.peers) == 1


@pytest.mark.parametrize("refusals", [50])
async def test_a_server_that_refuses_everything_gets_bounded_attempts(refusals: int) -> None:
    """REFUSED_STREAM again and again ends as an error, after a few attempts of each request."""

    async def refuse(peer: FramePeer, stream_id: int) -> None:
        await peer.send(reset_frame(stream_id, 7))

    async with FrameServer(0, responder=refuse).open() as server, open_client() as client:
        tasks = [fetch(client, server.url) for _ in range(refusals)]
        for task in tasks:
            assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        assert sum(len(peer.streams) for peer in server.peers) <= refusals * 12


# Header lists


def long_fields(size: int) -> list[tuple[str, str]]:
    """Return fields that are about ``size`` bytes long."""
    return [(f"x-{number}", "v" * 1000) for number in range(size // 1000)]


async def send_block(peer: FramePeer, stream_id: int, block: bytes) -> None:
    """Send a block in as many frames as it needs, and end the stream."""
    pieces = [block[start : start + 16_000] for start in range(0, len(block), 16_000)]
    first, *rest = pieces
    await peer.send(headers_frame(stream_id, first, end=True, last=not rest))
    for number, piece in enumerate(rest, 1):
        await peer.send(continuation_frame(stream_id, piece, last=number == len(rest)))


async def test_a_header_list_of_60_kib_is_read() -> None:
    """The client accepts 64 KiB, with 32 bytes of overhead for each field."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        block = peer.encode([(":status", "200"), *long_fields(58_000)])
        await send_block(peer, 1, block)
        assert (await task).headers["x-57"] == "v" * 1000


async def test_a_header_list_that_is_too_large_is_an_error() -> None:
    """Of its request, or of its connection; it is never delivered."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await send_block(peer, 1, peer.encode([(":status", "200"), *long_fields(80_000)]))
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        assert await result_of(fetch(client, f"{server.url}next")) == b"/next" or peer.closed


async def test_a_small_block_that_expands_to_a_huge_list_is_an_error() -> None:
    """One large field in the table, then thousands of references to it, of one byte each."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        block = peer.encode([(":status", "200"), ("x-large", "v" * 3900)]) + b"\xbe" * 15_000
        await send_block(peer, 1, block)
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        await peer.wait_closed()


async def test_interim_responses_count_together() -> None:
    """Each of them is small enough; a server can't send large ones without end."""
    async with FrameServer().open() as server, open_client() as client:
        task, other = fetch(client, server.url), fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1, 3])
        await peer.send(peer.head(1, 103, ("link", "y" * 12_000)) * 25)
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        await peer.send(peer.response(3, b"fine"))
        assert await result_of(other) == b"fine"


async def test_large_heads_on_a_stream_that_was_reset_are_a_flood_sooner() -> None:
    """Each of them takes time to decode."""
    async with FrameServer().open() as server, open_client(ONE_CONNECTION) as client:
        first, other = fetch(client, server.url), fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 2)
        first.cancel()
        await peer.until(lambda: 1 in peer.resets)
        await peer.send(peer.head(1, 103, ("link", "y" * 12_000)) * 100)
        error = await result_of(other)
        assert isinstance(error, httpx.RemoteProtocolError)
        assert "a flood of HEADERS frames" in str(error)


@pytest.mark.parametrize("kind", ["RST_STREAM", "HEADERS", "DATA"])
async def test_a_flood_on_a_stream_that_was_reset_ends_the_connection(kind: str) -> None:
    """What was on its way is harmless, thousands of frames aren't."""
    server = FrameServer(1, responder=leave_alone)
    async with server.open(), open_client(ONE_CONNECTION) as client:
        first, other = fetch(client, server.url), fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 2)
        first.cancel()
        await peer.until(lambda: 1 in peer.resets)
        frames = {
            "RST_STREAM": lambda: reset_frame(1, 0),
            "HEADERS": lambda: peer.head(1, 103),
            "DATA": lambda: data_frame(1, b"x"),
        }
        await peer.send(*(frames[kind]() for _ in range(100)))
        await peer.sync()
        assert not other.done()
        await peer.send(*(frames[kind]() for _ in range(3000)))
        error = await result_of(other)
        assert isinstance(error, httpx.RemoteProtocolError)
        assert f"a flood of {kind} frames" in str(error)
