"""What httpx lets a caller give or get, over engines that know less: kept, or refused in words."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from external_clients import BACKENDS, ClientSetup
from fault_handlers import wait_until
from leak_checks import count_sockets_to

from typed_async_client.testing import FaultServer, answer, each_request, stall

on_each_engine = pytest.mark.parametrize("setup", BACKENDS, ids=str)
on_pyreqwest = pytest.mark.parametrize("setup", BACKENDS[1:], ids=str)

ENOUGH = 10.0
"""Seconds after which a request that should have ended is taken to wait for ever."""


# URLs and headers


@on_each_engine
async def test_user_and_password_of_a_url_are_sent_once(setup: ClientSetup) -> None:
    """As httpx puts them, in one header, and nowhere else."""
    async with FaultServer(answer()) as server, setup.client() as client:
        url = server.url.replace("//", "//us%40er:pass@") + "a/%20b?c=d"
        response = await (await client.get(url))
        (seen,) = server.requests
    assert str(response.url) == url
    assert seen.target == "/a/%20b?c=d"
    wanted = base64.b64encode(b"us@er:pass").decode()
    assert seen.headers["authorization"] == f"Basic {wanted}"


@on_each_engine
async def test_auth_counts_before_user_and_password_of_a_url(setup: ClientSetup) -> None:
    """As on our own pool: the engine is not shown those of the URL."""
    async with FaultServer(answer()) as server, setup.client() as client:
        url = server.url.replace("//", "//user:pass@")
        await (await client.get(url, auth=("other", "secret")))
        (seen,) = server.requests
    wanted = base64.b64encode(b"other:secret").decode()
    assert seen.headers["authorization"] == f"Basic {wanted}"


@on_each_engine
async def test_bytes_of_a_header_arrive_as_they_are(setup: ClientSetup) -> None:
    """Those of UTF-8 can be told to every engine."""
    heads: list[bytes] = []

    async def note(wire: Any) -> None:
        heads.append(await wire.read(65536))
        await wire.answer()

    async with FaultServer(note) as server, setup.client() as client:
        await (await client.get(server.url, headers=[(b"X-A", "é€".encode()), (b"X-B", b"b")]))
    (head,) = heads
    assert b"\r\nx-a: \xc3\xa9\xe2\x82\xac\r\n" in head.replace(b"X-A", b"x-a")


@on_each_engine
async def test_bytes_of_a_header_that_would_be_changed_are_refused(setup: ClientSetup) -> None:
    """Before anything is sent; the message has the name, and not the value."""
    async with FaultServer(answer()) as server, setup.client() as client:
        for headers in ([(b"X-A", b"caf\xe9")], [(b"X-A", b"caf\xe9"), (b"X-B", "é".encode())]):
            with pytest.raises(ValueError, match=r"X-A.*cannot send") as raised:
                await (await client.get(server.url, headers=headers))
            assert "caf" not in str(raised.value)
        assert server.connections == 0


@on_pyreqwest
async def test_an_answer_whose_headers_cannot_be_read_is_the_servers_fault(
    setup: ClientSetup,
) -> None:
    """Its connection is given back, and the request was sent once."""

    async def respond(request: Any, wire: Any) -> None:
        extra = b"X-A: caf\xe9\r\n" if request.target == "/bad" else b""
        body = b"." * 200_000
        await wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), extra, body)
        )

    limits = httpx.Limits(max_connections=1)
    async with (
        FaultServer(each_request(respond)) as server,
        setup.client(limits=limits, timeout=ENOUGH) as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError, match="not ASCII") as raised:
            await (await client.post(f"{server.url}bad", content=b"5"))
        assert isinstance(raised.value.__cause__, ValueError)
        assert len((await (await client.get(server.url))).content) == 200_000
        assert [seen.target for seen in server.requests] == ["/bad", "/"]


# Time


@on_each_engine
@pytest.mark.parametrize("phases", [("pool",), ("connect",), ("pool", "connect")])
async def test_a_phase_without_a_limit_leaves_the_others_theirs(
    setup: ClientSetup, phases: tuple[str, ...]
) -> None:
    """A server that says nothing is not waited for without end."""
    timeout = httpx.Timeout(0.1, **dict.fromkeys(phases))
    async with FaultServer(stall) as server, setup.client(timeout=timeout) as client:
        with pytest.raises(httpx.ReadTimeout):
            async with asyncio.timeout(ENOUGH):
                await (await client.get(server.url))


@on_pyreqwest
async def test_without_a_limit_for_reading_the_answer_may_take_any_time(setup: ClientSetup) -> None:
    """The limits of the other phases are not held against it."""

    async def answer_late(request: Any, wire: Any) -> None:
        await asyncio.sleep(0.3)
        await wire.answer(200, b"late")

    timeout = httpx.Timeout(0.1, read=None)
    server = FaultServer(each_request(answer_late))
    async with server, setup.client(timeout=timeout) as client:
        assert (await (await client.get(server.url))).text == "late"


# Bodies of the caller


@on_each_engine
@pytest.mark.parametrize(
    "own",
    [
        UnicodeDecodeError("utf8", b"x", 0, 1, "bad"),
        OSError(5, "disk"),
        ConnectionResetError(104, "elsewhere"),
        TimeoutError("mine"),
        httpx.ReadError("upstream"),
    ],
    ids=lambda own: type(own).__name__,
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_a_body_fails_with_reaches_the_caller(
    setup: ClientSetup, own: Exception, method: str
) -> None:
    """The very error, though an engine takes it for one of the network."""

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise own

    async def read_and_stall(wire: Any) -> None:
        await wire.read(65536)
        await wire.stall()

    async with FaultServer(read_and_stall) as server, setup.client(max_retries=0) as client:
        with pytest.raises(type(own)) as raised:
            async with asyncio.timeout(ENOUGH):
                await (await client.request_async(method, server.url, content=body()))
    assert raised.value is own


# Closing


@on_each_engine
async def test_a_closed_client_that_is_still_held_holds_no_connection(setup: ClientSetup) -> None:
    """Those that were kept for further requests are closed with it, not when it is forgotten."""
    closed = []
    async with FaultServer(answer()) as server:
        for _ in range(10):
            async with setup.client() as client:
                await (await client.get(server.url))
            closed.append(client)
        await wait_until(lambda: count_sockets_to(server.port) == 0)
    assert len(closed) == 10


@on_pyreqwest
async def test_a_closed_transport_says_so(setup: ClientSetup) -> None:
    """And may be closed twice."""
    async with FaultServer(answer()) as server:
        async with setup.client() as client:
            await (await client.get(server.url))
            transport = client._client._transport
        await transport.aclose()
        with pytest.raises(httpx.TransportError, match="closed"):
            await transport.handle_async_request(httpx.Request("GET", server.url))
