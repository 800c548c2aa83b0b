"""Ambiguous or endless responses, on real sockets and with both parsers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from odd_responses import CHUNKED, HEAD, INTERIM, RESPONSES, Bodies
from pool_helpers import is_idle, new_transport, pool_client, serve_requests

from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = pytest.mark.usefixtures("http11")


def respond_always(data: bytes) -> Callable[[SeenRequest, Wire], Awaitable[None]]:
    """Answer each request with the same bytes, and close the connection."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)
        await wire.finish()

    return respond


@pytest.mark.parametrize(("data", "bodies"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_response_has_one_meaning_or_is_refused(
    data: bytes, bodies: Bodies, http11: Http11
) -> None:
    """The table has the body with each parser, or None for a RemoteProtocolError."""
    transport = new_transport()
    async with (
        FaultServer(serve_requests(respond_always(data))) as server,
        pool_client(transport) as client,
    ):
        try:
            body: str | None = (await client.get(server.url)).text
        except httpx.RemoteProtocolError:
            body = None
        assert is_idle(transport)
    assert body == bodies[0 if http11 == "llhttp" else 1]


async def test_a_length_with_chunked_closes_the_connection(http11: Http11) -> None:
    """If h11 accepts such a response, nothing is read after it."""
    data, _ = RESPONSES["a length with chunked"]

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
        stats = transport.statistics()
        assert sum(stats.closed.values()) == stats.opened == 2


# Endless responses


def endless(start: bytes, repeated: bytes) -> Callable[[SeenRequest, Wire], Awaitable[None]]:
    """Send ``start`` once, and ``repeated`` forever."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(start)
        while True:
            await wire.send(repeated)

    return respond


@pytest.mark.parametrize(
    ("start", "repeated"),
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
        "the reason phrase",
        "one trailer",
        "many trailers",
        "a chunk extension",
        "a chunk size",
    ],
)
async def test_an_endless_head_or_trailer_is_refused(start: bytes, repeated: bytes) -> None:
    """After about a hundred kilobytes, plus at most one read."""
    transport = new_transport()
    async with (
        FaultServer(serve_requests(endless(start, repeated))) as server,
        pool_client(transport) as client,
    ):
        async with asyncio.timeout(20):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(server.url)
        assert is_idle(transport)


@pytest.mark.parametrize("size", [90_000, 300_000])
async def test_a_head_is_limited_to_a_hundred_kilobytes(size: int) -> None:
    """A smaller one is read, and a much larger one is refused."""
    data = HEAD + b"X-A: %s\r\nContent-Length: 2\r\n\r\nok" % (b"a" * size)
    async with (
        FaultServer(serve_requests(respond_always(data))) as server,
        pool_client(new_transport()) as client,
    ):
        if size < 100_000:
            assert len((await client.get(server.url)).headers["X-A"]) == size
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(server.url)


async def test_endless_interim_responses_are_refused() -> None:
    """There may be twenty."""
    transport = new_transport()
    respond = endless(b"", INTERIM)
    async with FaultServer(serve_requests(respond)) as server, pool_client(transport) as client:
        async with asyncio.timeout(20):
            with pytest.raises(httpx.RemoteProtocolError, match="more than 20 interim"):
                await client.get(server.url)
        assert is_idle(transport)


# Responses without a body, tunnels and chunked requests


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
async def test_after_a_response_without_a_body_the_connection_is_reused(
    method: str, data: bytes
) -> None:
    """Whatever its Content-Length is; the client doesn't wait for a body."""

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
async def test_after_a_connect_every_byte_belongs_to_the_tunnel(length: bytes) -> None:
    """Including those that arrived with the response; RFC 9110 section 9.3.6."""

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
        assert await _read_exactly(stream, 8) == b"5\r\nhello"
        await stream.write(b"ping")
        assert await _read_exactly(stream, 4) == b"ping"


async def _read_exactly(stream: httpx.AsyncByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.read(size - len(data), timeout=20)  # type: ignore[attr-defined]  # httpcore
    return data


async def in_parts() -> AsyncIterator[bytes]:
    """Yield a body in parts."""
    yield b"a"
    yield b""
    yield b"b"


async def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    """An empty part isn't sent as the last chunk."""

    async def echo(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    async with FaultServer(serve_requests(echo)) as server, pool_client(new_transport()) as client:
        assert (await client.post(server.url, content=in_parts())).content == b"ab"
