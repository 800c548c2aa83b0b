"""Flow control, RFC 9113 section 5.2, and the sizes of frames: no upload stalls, no reader blocks others."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from frame_builders import (
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    data_frame,
    settings_frame,
    window_frame,
)
from frame_server import FramePeer, FrameServer
from h2_client_kit import fetch, generated, open_client, result_of
from hyperframe.frame import DataFrame

WINDOW = 65_535
LARGE = bytes(range(256)) * 1000
"""Almost four windows."""
MOST_UNREAD = 4 * 1024 * 1024
"""Bytes that the client may keep for a response that isn't read."""


async def upload_of(peer: FramePeer, stream_id: int, size: int) -> None:
    """Wait until so many bytes of an upload have arrived, and check that no more follows."""
    await peer.until(lambda: stream_id in peer.bodies and len(peer.bodies[stream_id]) >= size)
    await peer.sync()
    assert len(peer.bodies[stream_id]) == size


def sizes_of(peer: FramePeer) -> list[int]:
    """Return the lengths of the DATA frames that have arrived."""
    return [len(frame.data) for frame in peer.frames if isinstance(frame, DataFrame)]


async def finish(peer: FramePeer, task: "asyncio.Task[object]", body: bytes) -> None:
    """Wait for a complete upload on stream 1, and answer it."""
    await peer.until(lambda: 1 in peer.ended)
    assert peer.bodies[1] == body
    await peer.send(peer.response(1, b"stored"))
    await task


async def test_a_lowered_initial_window_may_leave_a_negative_one() -> None:
    """Nothing is sent until updates have made it positive again, section 6.9.2."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url, "POST", LARGE)
        peer = await server.peer()
        peer.grants = False
        await upload_of(peer, 1, WINDOW)
        await peer.send(window_frame(0, 1_000_000), settings_frame({INITIAL_WINDOW_SIZE: 1000}))
        await peer.sync()
        await peer.send(window_frame(1, WINDOW - 1000))  # the window is 0 now
        await upload_of(peer, 1, WINDOW)
        await peer.send(window_frame(1, 10))
        await upload_of(peer, 1, WINDOW + 10)
        await peer.send(settings_frame({INITIAL_WINDOW_SIZE: 2000}))
        await upload_of(peer, 1, WINDOW + 1010)
        await peer.send(settings_frame({INITIAL_WINDOW_SIZE: 2**31 - 1}))
        await finish(peer, task, LARGE)


@pytest.mark.parametrize("content", ["bytes", "generator"])
async def test_an_initial_window_of_zero_is_respected(content: str) -> None:
    """The head is sent, and the body when a window is granted."""
    server_settings = {INITIAL_WINDOW_SIZE: 0}
    async with FrameServer(settings=server_settings).open() as server, open_client() as client:
        first = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.streams == [1])
        await peer.send(peer.response(1, b"first"))
        assert await result_of(first) == b"first"
        peer.grants = False
        body = LARGE[:100] if content == "bytes" else generated(LARGE[:50], LARGE[50:100])
        task = fetch(client, server.url, "POST", body)
        await upload_of(peer, 3, 0)
        await peer.send(window_frame(3, 60))
        await upload_of(peer, 3, 60)
        await peer.send(settings_frame({INITIAL_WINDOW_SIZE: 40}))
        await peer.until(lambda: 3 in peer.ended)
        assert peer.bodies[3] == LARGE[:100]
        await peer.send(peer.response(3, b"stored"))
        assert await result_of(task) == b"stored"


async def test_an_empty_body_needs_no_window() -> None:
    """Section 6.9.1: a DATA frame of length zero may be sent in any case."""
    async with (
        FrameServer(settings={INITIAL_WINDOW_SIZE: 0}).open() as server,
        open_client() as client,
    ):
        task = fetch(client, server.url, "POST", generated(b"", b""))
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.response(1, b"stored"))
        assert await result_of(task) == b"stored"


async def test_a_window_of_zero_for_a_long_time_delays_other_streams_by_nothing() -> None:
    """They need no window; the upload continues when there is room."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url, "POST", LARGE)
        peer = await server.peer()
        peer.grants = False
        await upload_of(peer, 1, WINDOW)
        for number in range(50):
            other = fetch(client, server.url)
            stream_id = 3 + 2 * number
            await peer.until(lambda seen=stream_id: seen in peer.ended)  # type: ignore[misc]  # of a loop variable
            await peer.send(peer.response(stream_id, b"other"))
            assert await result_of(other) == b"other"
        await upload_of(peer, 1, WINDOW)
        await peer.send(window_frame(0, 1_000_000), window_frame(1, 1_000_000))
        await finish(peer, task, LARGE)


async def test_larger_frames_are_sent_only_after_the_setting_allows_them() -> None:
    """Section 4.2: 16,384 bytes before, and at most the new size after."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url, "POST", LARGE)
        peer = await server.peer()
        peer.grants = False
        await upload_of(peer, 1, WINDOW)
        assert max(sizes_of(peer)) <= 16_384
        before = len(sizes_of(peer))
        await peer.send(settings_frame({MAX_FRAME_SIZE: 40_000}))
        await peer.sync()
        await peer.send(window_frame(0, 1_000_000), window_frame(1, 1_000_000))
        await finish(peer, task, LARGE)
        assert 0 < max(sizes_of(peer)[before:]) <= 40_000


async def test_many_uploads_share_the_window_of_the_connection() -> None:
    """All of them complete, although it never has room for two, and none exceeds it."""
    count = 20
    async with FrameServer().open() as server, open_client() as client:
        tasks = [
            fetch(client, f"{server.url}{number}", "POST", LARGE[:20_000])
            for number in range(count)
        ]
        peer = await server.peer()
        peer.grants = False
        granted = WINDOW
        while len(peer.ended) < count:
            await peer.until(
                lambda: len(peer.ended) == count or sum(map(len, peer.bodies.values())) == granted  # noqa: B023 - it is called here
            )
            assert sum(map(len, peer.bodies.values())) <= granted
            granted += 7_001
            await peer.send(window_frame(0, 7_001))
        assert {peer.bodies[stream] for stream in peer.ended} == {LARGE[:20_000]}
        for stream_id in peer.ended:
            await peer.send(peer.response(stream_id, peer.heads[stream_id][":path"].encode()))
        for number, task in enumerate(tasks):
            assert await result_of(task) == f"/{number}".encode()


async def test_a_cancelled_upload_leaves_the_window_to_the_others() -> None:
    """The window of the connection is for those that remain."""
    async with FrameServer().open() as server, open_client() as client:
        cancelled = fetch(client, server.url, "POST", LARGE)
        peer = await server.peer()
        peer.grants = False
        await upload_of(peer, 1, WINDOW)
        task = fetch(client, server.url, "POST", LARGE[:1000])
        await upload_of(peer, 3, 0)
        cancelled.cancel()
        await peer.until(lambda: 1 in peer.resets)
        await peer.send(window_frame(0, 1000))
        await peer.until(lambda: 3 in peer.ended)
        await peer.send(peer.response(3, b"stored"))
        assert await result_of(task) == b"stored"


async def test_a_slow_reader_blocks_no_other_stream() -> None:
    """And the client keeps only a few MiB for it, however much the server would send."""
    size = 16 * MOST_UNREAD
    async with FrameServer().open() as server, open_client() as client:
        task = asyncio.ensure_future(
            client.send(client.build_request("GET", server.url), stream=True)
        )
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.head(1))
        response = await task
        sending = asyncio.ensure_future(peer.send_body(1, bytes(size)))
        for number in range(30):
            other = fetch(client, server.url)
            stream_id = 3 + 2 * number
            await peer.until(lambda seen=stream_id: seen in peer.ended)  # type: ignore[misc]  # of a loop variable
            await peer.send(peer.head(stream_id))
            await peer.send_body(stream_id, LARGE)
            assert await result_of(other) == LARGE
        assert not sending.done()
        assert peer.window(0) > 0
        assert len(peer.sent[1]) <= MOST_UNREAD + 16_384
        assert sum([len(part) async for part in response.aiter_raw()]) == size
        await sending


async def test_slow_readers_leave_the_connection_its_window() -> None:
    """Ten of them, none of which reads: an eleventh request still gets a large response."""
    async with FrameServer().open() as server, open_client() as client:
        tasks = [
            asyncio.ensure_future(client.send(client.build_request("GET", server.url), stream=True))
            for _ in range(10)
        ]
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 10)
        await peer.send(*(peer.head(stream_id) for stream_id in peer.ended))
        responses = [await task for task in tasks]
        sending = [
            asyncio.ensure_future(peer.send_body(stream_id, bytes(2 * MOST_UNREAD)))
            for stream_id in list(peer.ended)
        ]
        other = fetch(client, server.url)
        await peer.until(lambda: 21 in peer.ended)
        await peer.send(peer.head(21))
        await peer.send_body(21, LARGE)
        assert await result_of(other) == LARGE
        for response in responses:
            await response.aclose()
        await asyncio.wait(sending)


async def test_padding_counts_against_the_windows_and_is_given_back() -> None:
    """Section 6.1: more padding than the stream's window holds arrives, and none of it in the body."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.head(1))
        sent, room = 0, peer.window(0)
        while sent < MOST_UNREAD + 1_000_000:
            await peer.until(lambda: peer.window(1) >= 100 * 256 + 100)
            await peer.send(*(data_frame(1, b"x", padding=255) for _ in range(100)))
            peer.spend(1, 100 * 257)
            sent += 100 * 257
        await peer.sync()
        assert peer.window(0) > room - MOST_UNREAD
        await peer.send(data_frame(1, b"end", end=True))
        assert await result_of(task) == b"x" * (sent // 257) + b"end"


async def test_data_of_a_cancelled_request_is_given_back_to_the_connection() -> None:
    """Section 6.9: more than its window holds arrives for a stream that the client has reset."""
    async with FrameServer().open() as server, open_client() as client:
        other, cancelled = fetch(client, server.url), fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1, 3])
        await peer.send(peer.head(3))
        cancelled.cancel()
        await peer.until(lambda: 3 in peer.resets)
        room, sent = peer.window(0), 0
        while sent < room + 100_000:
            await peer.until(lambda: peer.window(0) >= 16_000)
            await peer.send(data_frame(3, bytes(16_000)))
            peer.spend(3, 16_000)
            sent += 16_000
        await peer.send(peer.response(1, b"fine"))
        assert await result_of(other) == b"fine"
        assert peer.go_aways == []


async def test_the_memory_of_a_generator_is_read_as_the_window_allows() -> None:
    """A body isn't taken from its source long before it can be sent."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield LARGE[:10_000]

    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url, "POST", body())
        peer = await server.peer()
        peer.grants = False
        await upload_of(peer, 1, WINDOW)
        assert taken <= 10
        await peer.send(window_frame(0, 2_000_000), window_frame(1, 2_000_000))
        await finish(peer, task, LARGE[:10_000] * 100)
