"""HTTP/1.1 on both parsers: the same exchanges on the same sockets; what llhttp alone can do."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from pool_kit import without_httptools

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

both_parsers = pytest.mark.usefixtures("http11")

Respond = Callable[[SeenRequest, Wire], Awaitable[None]]


def pooled(http11: Http11 = "auto") -> httpx.AsyncClient:
    """Make a plain httpx client over the pool."""
    return httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11), timeout=20)


def sending(data: bytes) -> Respond:
    """Answer each request with those bytes."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)

    return respond


# Which parser speaks


async def speaks_llhttp(client: httpx.AsyncClient) -> bool:
    """Say whether an answer came through llhttp, which alone tells of trailers."""
    async with FaultServer(answer()) as server, client:
        return "trailing_headers" in (await client.get(server.url)).extensions


async def test_httptools_is_used_where_it_can_be_imported(http11: Http11) -> None:
    """And where it cannot, h11 is, without a word."""
    assert await speaks_llhttp(pooled()) is (http11 == "llhttp")


async def test_a_parser_can_be_asked_for_by_its_name() -> None:
    """h11 too, although httptools is there."""
    assert await speaks_llhttp(pooled("llhttp"))
    assert not await speaks_llhttp(pooled("h11"))


def test_requesting_llhttp_without_httptools_raises_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller who wants the strict parser never gets the other one silently."""
    without_httptools(monkeypatch)
    with pytest.raises(ImportError, match="pip install httptools"):
        AsyncPoolTransport(http11="llhttp")


def test_a_parser_that_does_not_exist_is_refused() -> None:
    """The message holds the name."""
    with pytest.raises(ValueError, match="'hyper'"):
        AsyncPoolTransport(http11="hyper")  # type: ignore[arg-type]  # that is the point


# What both do


@both_parsers
async def test_a_connection_is_used_again_for_every_kind_of_exchange() -> None:
    """Bodies with a length and in chunks both ways, HEAD, 204 and 304 leave it clean."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        if request.method == "HEAD":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        elif request.target == "/empty":
            await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif request.target == "/same":
            await wire.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")
        elif request.target == "/chunks":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await wire.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(request.body), request.body))
        else:
            await wire.answer(200, request.body)

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"a" * 70_000, b"", b"b"):
            yield part

    async with FaultServer(each_request(respond)) as server, pooled() as client:
        for _ in range(3):
            assert (await client.head(server.url)).status_code == 200
            assert (await client.get(f"{server.url}empty")).content == b""
            assert (await client.get(f"{server.url}same")).status_code == 304
            echoed = await client.post(f"{server.url}chunks", content=parts())
            assert echoed.content == b"a" * 70_000 + b"b"
            assert (await client.put(server.url, content=b"plain")).content == b"plain"
            assert (await client.get(server.url)).http_version == "HTTP/1.1"
        assert server.connections == 1


@both_parsers
async def test_a_streamed_body_that_is_left_closes_its_connection() -> None:
    """The next request has one of its own."""
    async with FaultServer(answer(200, b"x" * 500_000)) as server, pooled() as client:
        async with client.stream("GET", server.url) as response:
            async for _ in response.aiter_bytes(1000):
                break
        assert len((await client.get(server.url)).content) == 500_000
        assert server.connections == 2


@both_parsers
@pytest.mark.parametrize(
    "rest",
    [
        b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
        b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Le",
    ],
    ids=["to be closed", "with half an answer behind"],
)
async def test_a_connection_that_is_not_clean_behind_an_answer_is_used_no_more(rest: bytes) -> None:
    """The server leaves it open, and would hear of the next request there."""
    server = FaultServer(each_request(sending(b"HTTP/1.1 200 OK\r\n" + rest)))
    async with server, pooled() as client:
        for _ in range(3):
            assert (await client.get(server.url)).content == b"ok"
        assert server.connections == 3


@both_parsers
async def test_an_upgraded_connection_is_the_callers() -> None:
    """Bytes that came with the answer first, then whatever both sides say."""

    async def switch(wire: Wire) -> None:
        await wire.read_request()
        head = b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
        await wire.send(head + b"hello")
        while data := await wire.read(100):
            await wire.send(data)

    async with FaultServer(switch) as server, pooled() as client:
        headers = {"Upgrade": "echo", "Connection": "upgrade"}
        async with client.stream("GET", server.url, headers=headers) as response:
            stream = response.extensions["network_stream"]
            assert await stream.read(3) == b"hel"
            assert await stream.read(100) == b"lo"
            await stream.write(b"ping")
            assert await stream.read(100) == b"ping"
            assert stream.get_extra_info("server_addr")[1] == server.port


@both_parsers
async def test_bytes_behind_an_upgrade_are_no_body() -> None:
    """Neither for who reads the answer whole nor for who reads it in parts."""

    async def switch(wire: Wire) -> None:
        await wire.read_request()
        head = b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
        await wire.send(head + b"hello")
        await wire.stall()

    async with FaultServer(switch) as server, pooled() as client:
        headers = {"Upgrade": "echo", "Connection": "upgrade"}
        assert (await client.get(server.url, headers=headers)).content == b""
        async with client.stream("GET", server.url, headers=headers) as response:
            assert [part async for part in response.aiter_raw()] == []


@both_parsers
async def test_the_trace_extension_hears_of_each_stage() -> None:
    """By the names that httpcore has given them."""
    heard: list[str] = []

    async def trace(name: str, _: object) -> None:
        heard.append(name)

    async with FaultServer(answer()) as server, pooled() as client:
        await client.get(server.url, extensions={"trace": trace})
    stages = ["send_request_headers", "send_request_body", "receive_response_headers"]
    expected = ["connection.connect_tcp", *(f"http11.{stage}" for stage in stages)]
    assert [name for name in heard if name.endswith(".started")][:4] == [
        f"{name}.started" for name in expected
    ]
    assert heard[-1] == "http11.response_closed.complete"


@both_parsers
async def test_a_resilient_client_runs_on_it() -> None:
    """With its events and results, a thousand requests on few connections."""
    transport = AsyncPoolTransport(
        limits=httpx.Limits(max_connections=10, max_keepalive_connections=10)
    )
    async with (
        FaultServer(answer(200, b"ok")) as server,
        AsyncResilientClient(transport=transport, timeout=30) as client,
    ):
        for _ in range(1000):
            await client.get(server.url)
        results = await client.wait_for_all_requests()
        assert {result.unwrap().text for result in results.values()} == {"ok"}
        assert server.connections <= 10
        assert transport.statistics().active == 0


# What llhttp alone can do


async def test_trailers_are_told() -> None:
    """In an extension of the response, once its body was read."""
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Checksum: 42\r\n\r\n"
    )
    async with FaultServer(each_request(sending(data))) as server, pooled() as client:
        response = await client.get(server.url)
        assert response.text == "hello"
        assert response.extensions["trailing_headers"] == [(b"X-Checksum", b"42")]


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X A": "a"}},
        {"headers": {"Content-Length": "3"}, "content": b"four"},
        {"headers": {"Content-Length": "9"}, "content": b"four"},
    ],
    ids=["value", "name", "too long", "too short"],
)
async def test_what_cannot_stand_in_a_request_is_refused(options: dict[str, object]) -> None:
    """As httpx's error for what the caller did wrong, and nothing of it is sent."""
    async with FaultServer(answer()) as server, pooled() as client:
        request = client.build_request("POST", server.url, **options)  # type: ignore[arg-type]  # a table of bad ones
        with pytest.raises(httpx.LocalProtocolError):
            await client.send(request)
        assert server.requests == []
        assert (await client.get(server.url)).status_code == 200
