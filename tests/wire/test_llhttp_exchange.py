"""HTTP/1.1 with both parsers: the same exchanges on sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from pool_helpers import hide_httptools

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

both_parsers = pytest.mark.usefixtures("http11")

Respond = Callable[[SeenRequest, Wire], Awaitable[None]]


def pool_client(http11: Http11 = "auto") -> httpx.AsyncClient:
    """Create an httpx client over the pool."""
    return httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11), timeout=20)


def send_each_time(data: bytes) -> Respond:
    """Return a handler that answers each request with ``data``."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)

    return respond


# Choosing the parser


async def uses_llhttp(client: httpx.AsyncClient) -> bool:
    """Return whether a response was parsed by llhttp, which refuses some bare line feeds."""
    data = b"HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 0\r\n\r\n"
    async with FaultServer(each_request(send_each_time(data))) as server, client:
        try:
            await client.get(server.url)
        except httpx.RemoteProtocolError:
            return True
        return False


async def test_httptools_is_used_if_it_can_be_imported(http11: Http11) -> None:
    """Otherwise, h11 is used without a warning."""
    assert await uses_llhttp(pool_client()) is (http11 == "llhttp")


async def test_a_parser_can_be_requested_by_name() -> None:
    """Including h11 when httptools is installed."""
    assert await uses_llhttp(pool_client("llhttp"))
    assert not await uses_llhttp(pool_client("h11"))


def test_requesting_llhttp_without_httptools_raises_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller who wants the strict parser never gets the other one silently."""
    hide_httptools(monkeypatch)
    with pytest.raises(ImportError, match="pip install httptools"):
        AsyncPoolTransport(http11="llhttp")


def test_an_unknown_parser_is_rejected() -> None:
    """The message contains the name."""
    with pytest.raises(ValueError, match="'hyper'"):
        AsyncPoolTransport(http11="hyper")  # type: ignore[arg-type]  # deliberately wrong


# Both parsers


@both_parsers
async def test_a_connection_is_reused_after_every_kind_of_exchange() -> None:
    """Content-Length and chunked bodies both ways, HEAD, 204 and 304 leave it clean."""

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

    async with FaultServer(each_request(respond)) as server, pool_client() as client:
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
async def test_abandoning_a_streamed_body_closes_its_connection() -> None:
    """The next request opens a new one."""
    async with FaultServer(answer(200, b"x" * 500_000)) as server, pool_client() as client:
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
    ids=["Connection: close", "partial second response"],
)
async def test_a_connection_that_is_not_clean_after_a_response_is_not_reused(rest: bytes) -> None:
    """The server leaves it open, and would receive the next request on it."""
    server = FaultServer(each_request(send_each_time(b"HTTP/1.1 200 OK\r\n" + rest)))
    async with server, pool_client() as client:
        for _ in range(3):
            assert (await client.get(server.url)).content == b"ok"
        assert server.connections == 3


@both_parsers
@pytest.mark.parametrize(
    ("connection", "opened"), [(b"Keep-Alive", 1), (b"close, keep-alive", 2), (b"x-a", 2)]
)
async def test_an_http_1_0_connection_is_reused_if_the_server_says_so(
    connection: bytes, opened: int
) -> None:
    """RFC 9112 section 9.3: with ``keep-alive``, and without ``close``."""
    data = b"HTTP/1.0 200 OK\r\nConnection: %b\r\nContent-Length: 2\r\n\r\nok" % connection
    server = FaultServer(each_request(send_each_time(data)))
    async with server, pool_client() as client:
        for _ in range(2):
            assert (await client.get(server.url)).content == b"ok"
        assert server.connections == opened


@both_parsers
async def test_an_upgraded_connection_belongs_to_the_caller() -> None:
    """It first returns bytes that came with the response, then passes data both ways."""

    async def switch(wire: Wire) -> None:
        await wire.read_request()
        head = b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
        await wire.send(head + b"hello")
        while data := await wire.read(100):
            await wire.send(data)

    async with FaultServer(switch) as server, pool_client() as client:
        headers = {"Upgrade": "echo", "Connection": "upgrade"}
        async with client.stream("GET", server.url, headers=headers) as response:
            stream = response.extensions["network_stream"]
            assert await stream.read(3) == b"hel"
            assert await stream.read(100) == b"lo"
            await stream.write(b"ping")
            assert await stream.read(100) == b"ping"
            assert stream.get_extra_info("server_addr")[1] == server.port


@both_parsers
async def test_bytes_after_an_upgrade_are_not_a_body() -> None:
    """Whether the response is read whole or streamed."""

    async def switch(wire: Wire) -> None:
        await wire.read_request()
        head = b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
        await wire.send(head + b"hello")
        await wire.stall()

    async with FaultServer(switch) as server, pool_client() as client:
        headers = {"Upgrade": "echo", "Connection": "upgrade"}
        assert (await client.get(server.url, headers=headers)).content == b""
        async with client.stream("GET", server.url, headers=headers) as response:
            assert [part async for part in response.aiter_raw()] == []


@both_parsers
async def test_the_trace_extension_is_called_at_each_stage() -> None:
    """With the names that httpcore uses."""
    traced: list[str] = []

    async def trace(name: str, _: object) -> None:
        traced.append(name)

    async with FaultServer(answer()) as server, pool_client() as client:
        await client.get(server.url, extensions={"trace": trace})
    stages = ["send_request_headers", "send_request_body", "receive_response_headers"]
    expected = ["connection.connect_tcp", *(f"http11.{stage}" for stage in stages)]
    assert [name for name in traced if name.endswith(".started")][:4] == [
        f"{name}.started" for name in expected
    ]
    assert traced[-1] == "http11.response_closed.complete"


@both_parsers
async def test_a_resilient_client_works_with_either_parser() -> None:
    """A thousand requests share a few connections, and each has its result."""
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


@both_parsers
async def test_trailers_are_reported() -> None:
    """In a response extension, once the body has been read."""
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Checksum: 42\r\n\r\n"
    )
    async with FaultServer(each_request(send_each_time(data))) as server, pool_client() as client:
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
    ids=["header value", "header name", "long body", "short body"],
)
@both_parsers
async def test_an_invalid_request_is_refused(options: dict[str, object]) -> None:
    """With httpx's error for local faults, before any of it is sent."""
    async with FaultServer(answer()) as server, pool_client() as client:
        request = client.build_request("POST", server.url, **options)  # type: ignore[arg-type]  # deliberately invalid
        with pytest.raises(httpx.LocalProtocolError):
            await client.send(request)
        assert server.requests == []
        assert (await client.get(server.url)).status_code == 200
