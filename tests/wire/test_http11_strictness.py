"""Responses that could be read in two ways, or have no end, on real sockets and with both parsers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from pool_helpers import is_idle, new_transport, pool_client, serve_requests

from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = pytest.mark.usefixtures("http11")

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"

Ends = tuple[str | None, str | None]
"""What comes of a response with llhttp and with h11: its body, or None where it is refused."""

ENDS: dict[str, tuple[bytes, Ends]] = {
    "two lengths": (
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        (None, None),
    ),
    "two lengths in one line": (HEAD + b"Content-Length: 2, 3\r\n\r\nok!", (None, None)),
    "the same length twice": (
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        (None, "ok"),
    ),
    "a length beside chunks": (
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, "ok"),
    ),
    "a folded line": (HEAD + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok", (None, "ok")),
    "a coding in a folded line": (
        HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, "ok"),
    ),
    "bare line feeds": (WHOLE.replace(b"\r\n", b"\n"), (None, "ok")),
    "one bare line feed": (HEAD + b"Content-Length: 2\nX-A: 1\r\n\r\nok", (None, "ok")),
    "a bare carriage return": (HEAD + b"X-A: 1\r2\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "a control character in a value": (
        HEAD + b"X-A: 1\x012\r\nContent-Length: 2\r\n\r\nok",
        (None, "ok"),
    ),
    "NUL in a value": (HEAD + b"X-A: 1\x002\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "NUL in the reason": (WHOLE.replace(b"OK", b"O\x00K"), (None, None)),
    "a control character in the reason": (WHOLE.replace(b"OK", b"O\x01K"), (None, "ok")),
    "a space before the colon": (WHOLE.replace(b"Length:", b"Length :"), (None, None)),
    "no name": (HEAD + b": 1\r\nContent-Length: 2\r\n\r\nok", (None, None)),
    "a negative length": (HEAD + b"Content-Length: -2\r\n\r\nok", (None, None)),
    "a length with a sign": (HEAD + b"Content-Length: +2\r\n\r\nok", (None, None)),
    "a hexadecimal length": (HEAD + b"Content-Length: 0x2\r\n\r\nok", (None, None)),
    "a length with an underscore": (HEAD + b"Content-Length: 0_2\r\n\r\nok", (None, None)),
    "an empty length": (HEAD + b"Content-Length:\r\n\r\nok", (None, None)),
    "a length of 30 digits": (HEAD + b"Content-Length: %s\r\n\r\nok" % (b"9" * 30), (None, None)),
    "a chunk size with 0x": (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size with a sign": (CHUNKED + b"+2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a negative chunk size": (CHUNKED + b"-2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size with an underscore": (CHUNKED + b"0_2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size behind a space": (CHUNKED + b" 2\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size before a space": (CHUNKED + b"2 \r\nok\r\n0\r\n\r\n", (None, "ok")),
    "a chunk size of 30 digits": (CHUNKED + b"f" * 30 + b"\r\nok\r\n0\r\n\r\n", (None, None)),
    "a chunk size of 30 digits that is small": (
        CHUNKED + b"0" * 29 + b"2\r\nok\r\n0\r\n\r\n",
        ("ok", None),
    ),
    "a chunk longer than it says": (CHUNKED + b"2\r\nok!\r\n0\r\n\r\n", (None, None)),
    "a chunk that ends with a line feed": (CHUNKED + b"2\r\nok\n0\r\n\r\n", (None, None)),
    "chunks in HTTP/1.0": (
        CHUNKED.replace(b"1.1", b"1.0") + b"2\r\nok\r\n0\r\n\r\n",
        ("ok", "ok"),
    ),
    "a coding behind chunked": (
        HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "a coding before chunked": (
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "chunked twice": (
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "chunked with a parameter": (
        HEAD + b"Transfer-Encoding: chunked;q=1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (None, None),
    ),
    "HTTP/2.0": (WHOLE.replace(b"1.1", b"2.0"), (None, "ok")),
    "RTSP": (WHOLE.replace(b"HTTP/1.1", b"RTSP/1.0"), (None, None)),
    "lower case": (WHOLE.replace(b"HTTP", b"http"), (None, None)),
    "a blank line in front": (b"\r\n" + WHOLE, (None, None)),
    "a blank line behind an interim response": (INTERIM + b"\r\n" + WHOLE, (None, None)),
    "RTSP behind an interim response": (
        INTERIM + WHOLE.replace(b"HTTP/1.1", b"RTSP/1.0"),
        (None, None),
    ),
    "status 99": (WHOLE.replace(b"200", b"099"), (None, None)),
    "a switch of protocols unasked": (
        b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nok",
        (None, None),
    ),
    "21 interim responses": (21 * INTERIM + WHOLE, (None, "ok")),
    "20 interim responses": (20 * INTERIM + WHOLE, ("ok", "ok")),
}
"""What one parser takes and the other refuses is told in ``pool/connector.py``."""


def always(data: bytes) -> Callable[[SeenRequest, Wire], Awaitable[None]]:
    """Answer each request with the same bytes, and end the connection."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)
        await wire.finish()

    return respond


@pytest.mark.parametrize(("data", "ends"), ENDS.values(), ids=ENDS.keys())
async def test_a_response_is_read_in_one_way_or_not_at_all(
    data: bytes, ends: Ends, http11: Http11
) -> None:
    """A body, or the error for what the server did wrong; the table has both parsers."""
    transport = new_transport()
    async with (
        FaultServer(serve_requests(always(data))) as server,
        pool_client(transport) as client,
    ):
        try:
            end: str | None = (await client.get(server.url)).text
        except httpx.RemoteProtocolError:
            end = None
        assert is_idle(transport)
    assert end == ends[0 if http11 == "llhttp" else 1]


async def test_a_length_beside_chunks_ends_the_connection_at_the_latest(http11: Http11) -> None:
    """h11 takes such a response; no other one is read behind it."""
    data, _ = ENDS["a length beside chunks"]

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)

    transport = new_transport()
    async with FaultServer(serve_requests(respond)) as server, pool_client(transport) as client:
        for _ in range(2):
            if http11 == "h11":
                assert (await client.get(server.url)).text == "ok"
            else:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(server.url)
        assert server.connections == 2
        told = transport.statistics()
        assert sum(told.closed.values()) == told.opened == 2


# What has no end


def endless(first: bytes, then: bytes) -> Callable[[SeenRequest, Wire], Awaitable[None]]:
    """Send something once, and something else for ever."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(first)
        while True:
            await wire.send(then)

    return respond


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (HEAD + b"X-A: ", b"a" * 1000),
        (HEAD, b"X-A: a\r\n" * 100),
        (b"HTTP/1.1 200 ", b"a" * 1000),
        (CHUNKED + b"2\r\nok\r\n0\r\nX-A: ", b"a" * 1000),
        (CHUNKED + b"2\r\nok\r\n0\r\n", b"X-A: a\r\n" * 100),
        (CHUNKED + b"2;", b"a" * 1000),
        (CHUNKED, b"0" * 1000),
    ],
    ids=[
        "one header",
        "many headers",
        "the reason",
        "one trailer",
        "many trailers",
        "an extension of a chunk",
        "the size of a chunk",
    ],
)
async def test_a_head_or_a_trailer_without_an_end_is_refused(first: bytes, then: bytes) -> None:
    """After a hundred kilobytes, and what a read may bring on top."""
    transport = new_transport()
    async with (
        FaultServer(serve_requests(endless(first, then))) as server,
        pool_client(transport) as client,
    ):
        async with asyncio.timeout(20):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(server.url)
        assert is_idle(transport)


@pytest.mark.parametrize("size", [90_000, 300_000])
async def test_a_head_may_have_a_hundred_kilobytes(size: int) -> None:
    """Less is read, and much more is refused."""
    data = HEAD + b"X-A: %s\r\nContent-Length: 2\r\n\r\nok" % (b"a" * size)
    async with (
        FaultServer(serve_requests(always(data))) as server,
        pool_client(new_transport()) as client,
    ):
        if size < 100_000:
            assert len((await client.get(server.url)).headers["X-A"]) == size
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(server.url)


async def test_interim_responses_without_an_end_are_refused_or_time_out(http11: Http11) -> None:
    """By llhttp after twenty; h11 reads on, and only a deadline ends it."""
    error = httpx.RemoteProtocolError if http11 == "llhttp" else TimeoutError
    transport = new_transport()
    respond = endless(b"", INTERIM)
    async with FaultServer(serve_requests(respond)) as server, pool_client(transport) as client:
        with pytest.raises(error):
            async with asyncio.timeout(20 if http11 == "llhttp" else 0.05):
                await client.get(server.url)
        assert is_idle(transport)


# What has no body, and what has another protocol's


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", HEAD + b"Content-Length: 100\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("HEAD", HEAD + b"\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"),
        ("GET", HEAD + b"Content-Length: 0\r\n\r\n"),
        ("GET", INTERIM + b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_a_response_without_a_body_leaves_the_connection_for_the_next(
    method: str, data: bytes
) -> None:
    """Whatever length it tells; nobody waits for bytes that do not come."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)

    async with (
        FaultServer(serve_requests(respond)) as server,
        pool_client(new_transport()) as client,
    ):
        for _ in range(3):
            assert (await client.request(method, server.url)).content == b""
        assert server.connections == 1


@pytest.mark.parametrize(
    "length", [b"", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"]
)
async def test_behind_a_connect_every_byte_is_the_tunnels(length: bytes) -> None:
    """Those that came with the answer first, whatever length it tells, RFC 9110 section 9.3.6."""

    async def open_tunnel(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(b"HTTP/1.1 200 Connected\r\n" + length + b"\r\n5\r\nhello")
        while data := await wire.read(100):
            await wire.send(data)

    async with (
        FaultServer(open_tunnel) as server,
        pool_client(new_transport()) as client,
        client.stream("CONNECT", server.url) as response,
    ):
        stream = response.extensions["network_stream"]
        assert await _exactly(stream, 8) == b"5\r\nhello"
        await stream.write(b"ping")
        assert await _exactly(stream, 4) == b"ping"


async def _exactly(stream: httpx.AsyncByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.read(size - len(data), timeout=20)  # type: ignore[attr-defined]  # httpcore's
    return data


async def parts() -> AsyncIterator[bytes]:
    """Give a body in parts."""
    yield b"a"
    yield b""
    yield b"b"


async def test_a_body_of_unknown_length_goes_out_in_chunks() -> None:
    """An empty part is not taken for the last one."""

    async def echo(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    async with FaultServer(serve_requests(echo)) as server, pool_client(new_transport()) as client:
        assert (await client.post(server.url, content=parts())).content == b"ab"
