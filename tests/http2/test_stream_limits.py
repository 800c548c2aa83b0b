"""MAX_CONCURRENT_STREAMS, RFC 9113 section 5.1.2: nothing is lost that has to wait for a stream."""

import asyncio
import functools
from collections import Counter
from typing import Any

import httpx
import pytest
from frame_builders import MAX_CONCURRENT_STREAMS, go_away_frame, settings_frame
from frame_server import FramePeer, FrameServer
from h2_client_kit import ONE_CONNECTION, fetch, generated, open_client, quiet_loop, result_of


def limit(streams: int) -> dict[int, int]:
    """Return settings that allow so many streams."""
    return {MAX_CONCURRENT_STREAMS: streams}


async def answer_all(peer: FramePeer, *stream_ids: int) -> None:
    """Answer some streams with their paths."""
    for stream_id in stream_ids:
        await peer.send(peer.response(stream_id, peer.heads[stream_id][":path"].encode()))


async def test_a_limit_of_zero_is_waited_out() -> None:
    """Section 5.1.2: a server may set it for a short time, before it is ready."""
    async with (
        FrameServer(settings=limit(0)).open() as server,
        open_client(ONE_CONNECTION) as client,
    ):
        tasks = [fetch(client, f"{server.url}{number}") for number in range(3)]
        peer = await server.peer()
        await peer.until(lambda: peer.counts["SettingsFrame"] >= 2)  # its own, and ACK
        await settle()
        sent_before = list(peer.streams)
        await peer.send(settings_frame(limit(10)))
        await peer.until(lambda: len(peer.ended) == 3)
        await answer_all(peer, *peer.ended)
        assert [await result_of(task) for task in tasks] == [b"/0", b"/1", b"/2"]
        assert len(sent_before) <= 1  # one may be sent before the settings have arrived


async def settle() -> None:
    """Run the loop for a while: what could be sent is sent."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("lowered", [0, 1, 2])
async def test_a_lowered_limit_is_respected_and_loses_nothing(lowered: int) -> None:
    """Open streams continue; when it is raised again, the others follow, on any connection."""
    async with FrameServer(settings=limit(4)).open() as server, open_client() as client:
        first = fetch(client, f"{server.url}first")
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await answer_all(peer, 1)
        assert await result_of(first) == b"/first"
        tasks = [fetch(client, f"{server.url}{number}") for number in range(4)]
        await peer.until(lambda: len(peer.ended) == 5)
        await peer.send(settings_frame(limit(lowered)))
        await peer.sync()
        later = [fetch(client, f"{server.url}{number}") for number in range(4, 8)]
        await settle()
        assert len(peer.streams) == 5
        await peer.send(settings_frame(limit(100)))
        await answer_all(peer, *peer.ended[1:])
        assert [await result_of(task) for task in tasks] == [b"/0", b"/1", b"/2", b"/3"]
        answering = asyncio.ensure_future(answer_until_closed(peer, answered=5))
        assert [await result_of(task) for task in later] == [b"/4", b"/5", b"/6", b"/7"]
        answering.cancel()
        await asyncio.wait({answering})


async def answer_until_closed(peer: FramePeer, answered: int = 0) -> None:
    """Answer each request that follows."""
    while True:
        await peer.until(functools.partial(has_more, peer, answered))
        await answer_all(peer, *peer.ended[answered:])
        answered = len(peer.ended)


def has_more(peer: FramePeer, answered: int) -> bool:
    """Whether more requests have arrived than were answered."""
    return len(peer.ended) > answered


async def test_a_raised_limit_is_noticed_by_requests_that_wait_in_the_pool() -> None:
    """Without any other frame, and while no stream ends."""
    async with (
        FrameServer(settings=limit(2)).open() as server,
        open_client(ONE_CONNECTION) as client,
    ):
        first = fetch(client, f"{server.url}first")
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await answer_all(peer, 1)
        assert await result_of(first) == b"/first"
        tasks = [fetch(client, f"{server.url}{number}") for number in range(12)]
        await peer.until(lambda: len(peer.ended) == 3)
        await settle()
        assert len(peer.streams) == 3
        await peer.send(settings_frame(limit(6)))
        await peer.until(lambda: len(peer.ended) == 7)
        await settle()
        assert len(peer.streams) == 7
        await peer.send(settings_frame(limit(50)))
        await peer.until(lambda: len(peer.ended) == 13)
        await answer_all(peer, *peer.ended[1:])
        assert [await result_of(task) for task in tasks] == [f"/{n}".encode() for n in range(12)]


@pytest.mark.parametrize("streams", [1, 2, 3])
async def test_the_limit_is_never_exceeded(streams: int) -> None:
    """However many requests there are, and whether streams end or are reset."""
    most = 0

    async def count(peer: FramePeer, stream_id: int) -> None:
        nonlocal most
        most = max(most, len(peer.streams) - len(peer.sent) - len(peer.resets))
        await asyncio.sleep(0)
        await peer.send(peer.response(stream_id, peer.heads[stream_id][":path"].encode()))

    async with (
        FrameServer(0, limit(streams), count).open() as server,
        open_client(ONE_CONNECTION) as client,
    ):
        assert await result_of(fetch(client, f"{server.url}first")) == b"/first"
        tasks = [fetch(client, f"{server.url}{number}") for number in range(60)]
        await settle()
        for task in tasks[::7]:
            task.cancel()
        await asyncio.wait(tasks)
        for number, task in enumerate(tasks):
            assert task.cancelled() or task.result().content == f"/{number}".encode()
        assert 0 < most <= streams
        assert len(server.peers) == 1


class DyingServer:
    """Ends each connection after five responses, and goes on to receive.

    Attributes:
        processed: how often each request was processed, by its path.
    """

    def __init__(self, *, says_so: bool) -> None:
        self.processed: Counter[str] = Counter()
        self._says_so = says_so

    async def respond(self, peer: FramePeer, stream_id: int) -> None:
        """Answer five requests; then send GOAWAY, or just end the connection."""
        if len(peer.sent) >= 5:
            return
        path = peer.heads[stream_id][":path"]
        self.processed[path] += 1
        frames = peer.response(stream_id, path.encode() + peer.bodies[stream_id])
        if len(peer.sent) == 5 and self._says_so:
            frames += go_away_frame(stream_id)
        await peer.send(frames)
        if len(peer.sent) == 5:
            peer.half_close()


def ignored_by(server: FrameServer) -> set[str]:
    """Return the paths of requests that have arrived without being answered."""
    return {
        head[":path"]
        for peer in server.peers
        for stream_id, head in peer.heads.items()
        if stream_id not in peer.sent
    }


def body_of(kind: str, number: int) -> Any:
    """Return the body of a request."""
    text = f" {number}".encode()
    return {"none": None, "bytes": text, "generator": generated(text[:1], text[1:])}[kind]


async def send_200(server: FrameServer, dying: DyingServer, kind: str) -> set[str]:
    """Send 200 requests over three connections at most; return the paths of those that fail."""
    method = "GET" if kind == "none" else "POST"
    failed = set()
    async with open_client(httpx.Limits(max_connections=3)) as client:
        tasks = [
            fetch(client, f"{server.url}{number}", method, body_of(kind, number))
            for number in range(200)
        ]
        for number, task in enumerate(tasks):
            result = await result_of(task)
            if isinstance(result, httpx.TransportError):
                failed.add(f"/{number}")
            else:
                body = b"" if kind == "none" else f" {number}".encode()
                assert result == f"/{number}".encode() + body
                assert dying.processed[f"/{number}"] == 1
    return failed


@pytest.mark.parametrize("kind", ["none", "bytes", "generator"])
@pytest.mark.parametrize("streams", [1, 2, 3])
async def test_connections_that_die_politely_lose_no_request(streams: int, kind: str) -> None:
    """With GOAWAY after five responses: each of 200 requests is processed once, and succeeds.

    Only a generator that was begun on a connection before its GOAWAY came can't be sent again.
    """
    dying = DyingServer(says_so=True)
    with quiet_loop():
        async with FrameServer(0, limit(streams), dying.respond).open() as server:
            failed = await send_200(server, dying, kind)
            assert failed <= (ignored_by(server) if kind == "generator" else set())
            assert streams > 1 or not failed


@pytest.mark.parametrize("kind", ["none", "bytes", "generator"])
@pytest.mark.parametrize("streams", [1, 2, 3])
async def test_connections_that_just_end_lose_no_request_that_was_not_sent(
    streams: int, kind: str
) -> None:
    """A request may fail only if it had arrived on a connection that gave no answer to it."""
    dying = DyingServer(says_so=False)
    with quiet_loop():
        async with FrameServer(0, limit(streams), dying.respond).open() as server:
            failed = await send_200(server, dying, kind)
            assert failed <= ignored_by(server)


async def test_requests_on_a_cold_connection_are_served_in_order() -> None:
    """Two at a time, however many have come before the server has said so."""
    paths: list[str] = []

    async def answer(peer: FramePeer, stream_id: int) -> None:
        paths.append(peer.heads[stream_id][":path"])
        await peer.send(peer.response(stream_id, b"ok"))

    server = FrameServer(0, {MAX_CONCURRENT_STREAMS: 2}, answer)
    async with server.open(), open_client(ONE_CONNECTION) as client:
        tasks = [fetch(client, f"{server.url}{number:03}") for number in range(200)]
        await asyncio.gather(*tasks)
        assert paths == sorted(paths)
        assert len(server.peers) == 1
