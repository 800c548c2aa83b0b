"""GOAWAY, RFC 9113 section 6.8: what is finished, what is sent again, and what fails."""

from asyncio import Task
from typing import Any

import httpx
import pytest
from frame_builders import (
    ENHANCE_YOUR_CALM,
    INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS,
    MAX_STREAM_ID,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    go_away_frame,
    window_frame,
)
from frame_server import FramePeer, FrameServer
from h2_client_kit import ONE_CONNECTION, fetch, generated, open_client, quiet_loop, result_of

BODIES = ["none", "bytes", "generator"]


def start(client: httpx.AsyncClient, url: str, kind: str) -> Task[httpx.Response]:
    """Start a request with a kind of body."""
    content: Any = {"none": None, "bytes": b"body", "generator": generated(b"bo", b"dy")}[kind]
    return fetch(client, url, "GET" if kind == "none" else "POST", content)


async def test_a_graceful_shutdown_loses_nothing() -> None:
    """First GOAWAY with the highest ID, then with the last one that was processed."""
    with quiet_loop():
        async with FrameServer().open() as server, open_client() as client:
            early = [start(client, f"{server.url}{number}", "bytes") for number in range(5)]
            peer = await server.peer()
            await peer.until(lambda: len(peer.ended) == 5)
            await peer.send(go_away_frame(MAX_STREAM_ID))
            await peer.sync()
            late = [start(client, f"{server.url}{number}", "generator") for number in range(5, 9)]
            expected = [f"/{number}body".encode() for number in range(5, 9)]
            assert [await result_of(task) for task in late] == expected
            assert len(peer.streams) == 5
            await peer.send(go_away_frame(9))
            await peer.send(*(peer.response(stream_id, b"early") for stream_id in peer.ended))
            assert [await result_of(task) for task in early] == [b"early"] * 5
            await peer.wait_closed()
            assert len(server.peers) == 2


async def test_streams_above_the_last_one_go_elsewhere() -> None:
    """Whatever their method; the others are answered on the connection."""
    async with FrameServer().open() as server, open_client() as client:
        tasks = [start(client, f"{server.url}{number}", "bytes") for number in range(6)]
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 6)
        await peer.send(go_away_frame(MAX_STREAM_ID), go_away_frame(5))
        await peer.send(*(peer.response(stream_id, b"early") for stream_id in (1, 3, 5)))
        results = [await result_of(task) for task in tasks]
        assert results == [b"early"] * 3 + [b"/3body", b"/4body", b"/5body"]


@pytest.mark.parametrize("code", [NO_ERROR, INTERNAL_ERROR, ENHANCE_YOUR_CALM, REFUSED_STREAM])
@pytest.mark.parametrize("kind", ["none", "bytes"])
async def test_a_goaway_with_last_id_0_has_processed_nothing(kind: str, code: int) -> None:
    """Every request goes elsewhere, section 8.7, even with an error code."""
    async with FrameServer().open() as server, open_client() as client:
        tasks = [start(client, f"{server.url}{number}", kind) for number in range(4)]
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 4)
        await peer.send(go_away_frame(0, code))
        expected = b"" if kind == "none" else b"body"
        for number, task in enumerate(tasks):
            assert await result_of(task) == f"/{number}".encode() + expected


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays open"])
@pytest.mark.parametrize("code", [INTERNAL_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, 0xFFFF])
async def test_an_error_code_ends_the_streams_that_were_processed(
    code: int, *, closes: bool
) -> None:
    """They fail, as nobody knows how far they came; those above the last one go elsewhere."""
    async with FrameServer().open() as server, open_client() as client:
        tasks = [start(client, f"{server.url}{number}", "bytes") for number in range(4)]
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 4)
        await peer.send(go_away_frame(3, code, b"debug data"))
        if closes:
            peer.half_close()
        numbers = [int(peer.heads[stream_id][":path"][1:]) for stream_id in peer.streams]
        for number in numbers[:2]:
            assert isinstance(await result_of(tasks[number]), httpx.RemoteProtocolError)
        for number in numbers[2:]:
            assert await result_of(tasks[number]) == f"/{number}body".encode()
        await peer.wait_closed()


async def test_a_response_that_has_arrived_before_an_error_code_is_delivered() -> None:
    """It is complete; another one that has only begun fails."""
    async with FrameServer().open() as server, open_client() as client:
        tasks = [fetch(client, server.url) for _ in range(2)]
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1, 3])
        await peer.send(
            peer.response(1, b"whole"),
            peer.head(3),
            peer.data(3, b"part"),
            go_away_frame(3, INTERNAL_ERROR),
        )
        assert await result_of(tasks[0]) == b"whole"
        assert isinstance(await result_of(tasks[1]), httpx.RemoteProtocolError)


async def test_an_early_end_of_a_draining_connection_fails_what_was_accepted() -> None:
    """A request up to the last ID may have been processed: a POST isn't sent again."""
    async with FrameServer().open() as server, open_client() as client:
        task = start(client, server.url, "bytes")
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(go_away_frame(1))
        peer.half_close()
        assert isinstance(await result_of(task), httpx.RemoteProtocolError | httpx.ReadError)
        assert len(server.peers) == 1


@pytest.mark.parametrize("raised", [False, True], ids=["graceful", "with the last ID"])
async def test_requests_that_wait_for_a_stream_go_elsewhere(*, raised: bool) -> None:
    """Generators too: they are never begun on the connection that is draining."""
    settings = {MAX_CONCURRENT_STREAMS: 2}
    with quiet_loop():
        async with FrameServer(settings=settings).open() as server, open_client() as client:
            first = start(client, f"{server.url}first", "none")
            peer = await server.peer()
            await peer.until(lambda: peer.ended == [1])
            await peer.send(peer.response(1, b"first"))
            assert await result_of(first) == b"first"
            held = [start(client, f"{server.url}held", "none") for _ in range(2)]
            await peer.until(lambda: len(peer.ended) == 3)
            waiting = [
                start(client, f"{server.url}{number}", BODIES[number % 3]) for number in range(12)
            ]
            await peer.send(go_away_frame(5 if raised else MAX_STREAM_ID))
            for number, task in enumerate(waiting):
                body = b"body" if number % 3 else b""
                assert await result_of(task) == f"/{number}".encode() + body
            await peer.send(peer.response(3, b"held"), peer.response(5, b"held"))
            assert [await result_of(task) for task in held] == [b"held"] * 2
            assert len(peer.streams) == 3


async def test_requests_that_wait_for_the_only_connection_go_on_after_it() -> None:
    """With one connection allowed, they get the next one, as soon as this one has drained."""
    settings = {MAX_CONCURRENT_STREAMS: 1}
    async with (
        FrameServer(settings=settings).open() as server,
        open_client(ONE_CONNECTION) as client,
    ):
        tasks = [start(client, f"{server.url}{number}", BODIES[number % 3]) for number in range(9)]
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(go_away_frame(MAX_STREAM_ID))
        await peer.sync()
        await peer.send(go_away_frame(1), peer.response(1, b"first"))
        assert await result_of(tasks[0]) == b"first"
        for number, task in enumerate(tasks[1:], 1):
            assert await result_of(task) == f"/{number}".encode() + (b"body" if number % 3 else b"")


@pytest.mark.parametrize("kind", ["bytes", "generator"])
async def test_an_upload_continues_on_a_draining_connection(kind: str) -> None:
    """It was accepted: its window is still granted, and its response read."""
    body = bytes(200_000)
    async with FrameServer().open() as server, open_client() as client:
        content: Any = body if kind == "bytes" else generated(body[:100_000], body[100_000:])
        task = fetch(client, server.url, "POST", content)
        peer = await server.peer()
        peer.grants = False
        await peer.until(lambda: peer.streams == [1] and len(peer.bodies[1]) == 65_535)
        await peer.send(go_away_frame(1))
        await peer.sync()
        peer.grants = True
        await peer.send(window_frame(0, 65_535), window_frame(1, 65_535))
        await peer.until(lambda: 1 in peer.ended)
        assert peer.bodies[1] == body
        await peer.send(peer.response(1, b"stored"))
        assert await result_of(task) == b"stored"


@pytest.mark.parametrize("kind", ["bytes", "generator"])
async def test_an_upload_that_was_refused_midway_goes_elsewhere_if_it_can(kind: str) -> None:
    """Bytes can be sent again; a generator can't, and the error says who refused it."""
    body = bytes(200_000)
    content: Any = body if kind == "bytes" else generated(body[:100_000], body[100_000:])
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url, "POST", content)
        peer = await server.peer()
        peer.grants = False
        await peer.until(lambda: peer.streams == [1] and len(peer.bodies[1]) == 65_535)
        await peer.send(go_away_frame(0))
        if kind == "generator":
            assert isinstance(await result_of(task), httpx.RemoteProtocolError)
            return
        second = await server.peer(1)
        await second.until(lambda: second.ended == [1])
        assert second.bodies[1] == body
        assert isinstance(await result_of(task), httpx.RemoteProtocolError | bytes)


async def test_a_goaway_on_an_idle_connection_retires_it() -> None:
    """The next request uses another one."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.response(1, b"first"), go_away_frame(1))
        assert await result_of(task) == b"first"
        assert await result_of(start(client, f"{server.url}next", "generator")) == b"/nextbody"
        await peer.wait_closed()
        assert peer.streams == [1]


async def test_a_last_id_that_grows_revives_nothing() -> None:
    """Section 6.8: it mustn't grow, so what was refused stays refused."""
    async with FrameServer().open() as server, open_client() as client:
        tasks = [start(client, f"{server.url}{number}", "bytes") for number in range(3)]
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 3)
        await peer.send(go_away_frame(1), go_away_frame(5))
        await peer.send(peer.response(1, b"first"))
        results = [await result_of(task) for task in tasks]
        assert results[1:] == [b"/1body", b"/2body"]
        assert results[0] == b"first" or isinstance(results[0], httpx.RemoteProtocolError)


async def test_a_server_that_asks_for_calm_is_not_asked_again_and_again() -> None:
    """A request that it hasn't processed is sent once more, not on ten more connections."""

    async def ask_for_calm(peer: FramePeer, _: int) -> None:
        await peer.send(go_away_frame(0, ENHANCE_YOUR_CALM))

    server = FrameServer(0, responder=ask_for_calm)
    async with server.open(), open_client() as client:
        error = await result_of(fetch(client, server.url, "POST", b"x"))
        assert isinstance(error, httpx.RemoteProtocolError)
        assert "11 (ENHANCE_YOUR_CALM)" in str(error)
        assert len(server.peers) == 2
