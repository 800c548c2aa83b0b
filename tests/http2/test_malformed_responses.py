"""A malformed response fails its own request, RFC 9113 section 8.1.1, and no other of the connection."""

from collections.abc import Callable

import httpx
import pytest
from frame_builders import FRAME_SIZE_ERROR, PROTOCOL_ERROR, Fields, headers_frame, raw_frame
from frame_play import Outcome, Row, State, play
from frame_server import FramePeer, FrameServer
from h2_client_kit import fetch, open_client, result_of

from typed_async_client.testing import FaultServer, Wire

FINE, STREAM = Outcome("fine"), Outcome("stream")

OK = (":status", "200")

HEADS: dict[str, tuple[tuple[str, str], ...]] = {
    "no :status": (("x-name", "1"),),
    "no field at all": (),
    "two :status": (OK, OK),
    "two different :status": (OK, (":status", "404")),
    ":status after a field": (("x-name", "1"), OK),
    "an unknown pseudo-header": (OK, (":name", "1")),
    "a pseudo-header of requests": (OK, (":path", "/")),
    "a name in upper case": (OK, ("X-Name", "1")),
    "an empty name": (OK, ("", "1")),
    "connection": (OK, ("connection", "close")),
    "keep-alive": (OK, ("keep-alive", "5")),
    "proxy-connection": (OK, ("proxy-connection", "close")),
    "transfer-encoding": (OK, ("transfer-encoding", "chunked")),
    "upgrade": (OK, ("upgrade", "websocket")),
    "a blank in a name": (OK, ("x name", "1")),
    "a colon in a name": (OK, ("x:name", "1")),
    "a control character in a name": (OK, ("x\x01name", "1")),
    "a line break in a name": (OK, ("x\nname", "1")),
    "a DEL in a name": (OK, ("x\x7fname", "1")),
    "a letter beyond ASCII in a name": (OK, ("x-näme", "1")),
    "a NUL in a value": (OK, ("x-name", "a\0b")),
    "a line feed in a value": (OK, ("x-name", "a\nset-cookie: b=c")),
    "a carriage return in a value": (OK, ("x-name", "a\rb")),
    "a status of two digits": ((":status", "20"),),
    "a status of four digits": ((":status", "2000"),),
    "a status of letters": ((":status", "abc"),),
    "an empty status": ((":status", ""),),
    "a status with a sign": ((":status", "+20"),),
    "a status with a blank": ((":status", " 20"),),
    "a status in other digits": ((":status", "\uff12\uff10\uff10"),),
    "status 000": ((":status", "000"),),
    "status 101": ((":status", "101"),),
    "a content-length that isn't a number": (OK, ("content-length", "many")),
    "an empty content-length": (OK, ("content-length", "")),
    "a negative content-length": (OK, ("content-length", "-4")),
    "a content-length with a sign": (OK, ("content-length", "+4")),
    "a content-length in other digits": (OK, ("content-length", "\uff14")),
    "a content-length with a fraction": (OK, ("content-length", "4.0")),
    "a content-length of 5000 digits": (OK, ("content-length", "4" * 5000)),
    "two different content-lengths": (OK, ("content-length", "4"), ("content-length", "5")),
    "a list of different content-lengths": (OK, ("content-length", "4, 5")),
    "a content-length that is too large": (OK, ("content-length", "5")),
    "a content-length that is too small": (OK, ("content-length", "3")),
    "a content-length of 0 and a body": (OK, ("content-length", "0")),
}
"""Heads of responses whose body is ``b"rest"``."""

TOLERATED: dict[str, tuple[tuple[str, str], ...]] = {
    "a blank before a value": (OK, ("x-name", " a")),
    "a tab behind a value": (OK, ("x-name", "a\t")),
    "twice the same content-length": (OK, ("content-length", "4"), ("content-length", "4")),
    "a list of equal content-lengths": (OK, ("content-length", "4, 4")),
}
"""Heads that may be refused, or read in the one way that is safe."""


def head_row(name: str, fields: Fields, *outcomes: Outcome) -> Row:
    """Play a head before the rest of the response."""
    state: tuple[State, ...] = ("waiting", "uploading")
    return Row(
        name,
        "8.1.1",
        lambda peer, stream: headers_frame(stream, peer.encode(fields)),
        dict.fromkeys(state, outcomes),
        has_head=True,
    )


ROWS = [
    *(head_row(name, fields, STREAM) for name, fields in HEADS.items()),
    *(head_row(name, fields, STREAM, FINE) for name, fields in TOLERATED.items()),
]


@pytest.mark.parametrize("state", ["waiting", "uploading"])
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_a_malformed_head_fails_one_request(row: Row, state: State) -> None:
    """With RemoteProtocolError, whether its request was sent in full or not."""
    outcome = await play(row, state)
    assert any(expected.covers(outcome) for expected in row.outcomes[state]), outcome


@pytest.mark.parametrize("state", ["head", "body"])
@pytest.mark.parametrize(
    "field",
    [("X-Name", "1"), ("connection", "close"), ("x-name", "a\nb"), ("x name", "1"), (":name", "1")],
    ids=lambda field: repr(field[0]),
)
async def test_malformed_trailers_fail_one_request(field: tuple[str, str], state: State) -> None:
    """The rules for fields are the same in trailers."""

    def trailers(peer: FramePeer, stream_id: int) -> bytes:
        return headers_frame(stream_id, peer.encode([field]), end=True)

    row = Row("trailers", "8.1", trailers, {}, finishes=False)
    assert STREAM.covers(await play(row, state))


def end_at_once(*fields: tuple[str, str]) -> Callable[[FramePeer, int], bytes]:
    """Answer with a head that ends the stream."""
    return lambda peer, stream: headers_frame(stream, peer.encode(fields), end=True)


def with_body(*fields: tuple[str, str]) -> Callable[[FramePeer, int], bytes]:
    """Answer with a body of four bytes."""
    return lambda peer, stream: (
        headers_frame(stream, peer.encode(fields)) + peer.data(stream, b"body", end=True)
    )


LENGTHS = {
    "HEAD with a length": ("HEAD", end_at_once(OK, ("content-length", "4")), FINE),
    "HEAD with an empty DATA": ("HEAD", lambda p, s: p.head(s) + p.data(s, b"", end=True), FINE),
    "HEAD with a body": ("HEAD", with_body(OK), STREAM),
    "HEAD with the announced body": ("HEAD", with_body(OK, ("content-length", "4")), STREAM),
    "204 without a body": ("GET", end_at_once((":status", "204")), FINE),
    "204 with a body": ("GET", with_body((":status", "204")), STREAM),
    "304 with a length": ("GET", end_at_once((":status", "304"), ("content-length", "4")), FINE),
    "304 with a body": ("GET", with_body((":status", "304")), STREAM),
    "304 with the announced body": (
        "GET",
        with_body((":status", "304"), ("content-length", "4")),
        STREAM,
    ),
    "205 without a body": ("GET", end_at_once((":status", "205")), FINE),
    "200 without the announced body": ("GET", end_at_once(OK, ("content-length", "4")), STREAM),
    "200 with the announced body": ("GET", with_body(OK, ("content-length", "4")), FINE),
    "200 with leading zeros": ("GET", with_body(OK, ("content-length", "0004")), FINE),
}


@pytest.mark.parametrize(("method", "frames", "expected"), LENGTHS.values(), ids=LENGTHS)
async def test_a_body_is_as_long_as_announced(
    method: str, frames: Callable[[FramePeer, int], bytes], expected: Outcome
) -> None:
    """RFC 9113 section 8.1.1 and RFC 9110 section 6.4.1; HEAD, 204 and 304 have none."""
    row = Row("length", "8.1.1", frames, {}, finishes=False, method=method)
    outcome = await play(row, "waiting")
    assert expected.covers(outcome), outcome


@pytest.mark.parametrize("status", [100, 102, 103])
async def test_too_many_interim_responses_fail_one_request(status: int) -> None:
    """A server could send them for ever; a few are fine."""
    few = Row("few", "8.1", lambda peer, s: peer.head(s, status) * 5, {})
    assert FINE.covers(await play(few, "waiting"))
    many = Row("many", "8.1", lambda peer, s: peer.head(s, status) * 200, {})
    assert STREAM.covers(await play(many, "waiting"))


@pytest.mark.parametrize("name", ["no :status", "connection", "a name in upper case"])
async def test_a_malformed_response_resets_its_stream(name: str) -> None:
    """With PROTOCOL_ERROR, section 8.1.1, so that the server stops sending."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        other = fetch(client, server.url)
        await peer.until(lambda: peer.streams == [1, 3])
        await peer.send(headers_frame(1, peer.encode(HEADS[name])), peer.data(1, b"x"))
        await peer.until(lambda: 1 in peer.resets)
        assert peer.resets[1] == PROTOCOL_ERROR
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        await peer.send(peer.response(3, b"fine"))
        assert await result_of(other) == b"fine"


async def test_a_malformed_head_keeps_the_compression_in_step() -> None:
    """Its fields are in the table that later heads refer to, section 4.3."""
    async with FrameServer().open() as server, open_client() as client:
        task, other = fetch(client, server.url), fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.streams == [1, 3])
        field = ("x-first", "one")
        await peer.send(headers_frame(1, peer.encode([field, OK, ("Bad", "1")])))
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        await peer.send(peer.head(3, 200, field, ("bad", "2")), peer.data(3, b"", end=True))
        assert (await other).headers["x-first"] == "one"


async def test_a_server_that_speaks_http11_is_reported() -> None:
    """Its answer to the preface isn't a frame."""

    async def answer(wire: Wire) -> None:
        await wire.read(65_536)
        await wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await wire.stall()

    async with FaultServer(answer) as server, open_client() as client:
        assert isinstance(await result_of(fetch(client, server.url)), httpx.RemoteProtocolError)


async def test_a_frame_after_the_end_of_its_stream_is_named() -> None:
    """Section 5.1: it ends the connection, of which the others are told the reason."""
    async with FrameServer().open() as server, open_client() as client:
        first = fetch(client, f"{server.url}first")
        peer = await server.peer()
        await peer.until(lambda: peer.streams == [1])
        other = fetch(client, f"{server.url}other")
        await peer.until(lambda: peer.ended == [1, 3])
        await peer.send(peer.response(1, b"first"), peer.head(1))
        assert await result_of(first) == b"first"
        with pytest.raises(httpx.RemoteProtocolError, match="on stream 1, which had ended"):
            await other


@pytest.mark.parametrize("kind", [0, 1, 4, 0x42], ids=["DATA", "HEADERS", "SETTINGS", "unknown"])
async def test_a_frame_that_is_too_large_is_refused_by_its_header(kind: int) -> None:
    """Section 4.2: its payload isn't waited for, and isn't kept."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.streams == [1])
        await peer.send(raw_frame(kind, 0, 0 if kind == 4 else 1, bytes(2**24 - 1))[:20])
        assert isinstance(await result_of(task), httpx.RemoteProtocolError)
        await peer.wait_closed()
        assert peer.go_aways[-1].error_code == FRAME_SIZE_ERROR
