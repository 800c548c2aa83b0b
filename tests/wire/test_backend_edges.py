"""Features of httpx that other backends support only in part work, or are refused with an error."""

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

each_backend = pytest.mark.parametrize("setup", BACKENDS, ids=str)
with_pyreqwest = pytest.mark.parametrize("setup", BACKENDS[1:], ids=str)

ENOUGH = 10.0
"""Seconds after which a request that should have completed is considered stuck."""


# URLs and headers


@each_backend
async def test_credentials_in_a_url_are_sent_once(setup: ClientSetup) -> None:
    """In one Authorization header, as httpx does, and nowhere else."""
    async with FaultServer(answer()) as server, setup.client() as client:
        url = server.url.replace("//", "//us%40er:pass@") + "a/%20b?c=d"
        response = await (await client.get(url))
        (seen,) = server.requests
    assert str(response.url) == server.url + "a/%20b?c=d"
    assert seen.target == "/a/%20b?c=d"
    expected = base64.b64encode(b"us@er:pass").decode()
    assert seen.headers["authorization"] == f"Basic {expected}"


@each_backend
async def test_auth_takes_precedence_over_credentials_in_a_url(setup: ClientSetup) -> None:
    """As with our pool; the backend never sees the URL's credentials."""
    async with FaultServer(answer()) as server, setup.client() as client:
        url = server.url.replace("//", "//user:pass@")
        await (await client.get(url, auth=("other", "secret")))
        (seen,) = server.requests
    expected = base64.b64encode(b"other:secret").decode()
    assert seen.headers["authorization"] == f"Basic {expected}"


@each_backend
async def test_header_bytes_are_sent_unchanged(setup: ClientSetup) -> None:
    """Every backend can send UTF-8."""
    heads: list[bytes] = []

    async def record(wire: Any) -> None:
        heads.append(await wire.read(65536))
        await wire.answer()

    async with FaultServer(record) as server, setup.client() as client:
        await (await client.get(server.url, headers=[(b"X-A", "é€".encode()), (b"X-B", b"b")]))
    (head,) = heads
    assert b"\r\nx-a: \xc3\xa9\xe2\x82\xac\r\n" in head.replace(b"X-A", b"x-a")


@each_backend
async def test_header_bytes_that_the_backend_would_change_are_refused(setup: ClientSetup) -> None:
    """Before anything is sent; the message contains the name, but not the value."""
    async with FaultServer(answer()) as server, setup.client() as client:
        for headers in ([(b"X-A", b"caf\xe9")], [(b"X-A", b"caf\xe9"), (b"X-B", "é".encode())]):
            with pytest.raises(ValueError, match=r"X-A.*cannot send") as raised:
                await (await client.get(server.url, headers=headers))
            assert "caf" not in str(raised.value)
        assert server.connections == 0


@with_pyreqwest
async def test_unreadable_response_headers_are_a_remote_protocol_error(
    setup: ClientSetup,
) -> None:
    """The connection is released, and the request was sent once."""

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


# Timeouts


@each_backend
@pytest.mark.parametrize("phases", [("pool",), ("connect",), ("pool", "connect")])
async def test_a_phase_without_a_timeout_does_not_affect_the_others(
    setup: ClientSetup, phases: tuple[str, ...]
) -> None:
    """The read timeout still applies to a silent server."""
    timeout = httpx.Timeout(0.1, **dict.fromkeys(phases))
    async with FaultServer(stall) as server, setup.client(timeout=timeout) as client:
        with pytest.raises(httpx.ReadTimeout):
            async with asyncio.timeout(ENOUGH):
                await (await client.get(server.url))


@with_pyreqwest
async def test_without_a_read_timeout_the_response_may_take_any_time(setup: ClientSetup) -> None:
    """The timeouts of the other phases don't apply to it."""

    async def respond_late(request: Any, wire: Any) -> None:
        await asyncio.sleep(0.3)
        await wire.answer(200, b"late")

    timeout = httpx.Timeout(0.1, read=None)
    server = FaultServer(each_request(respond_late))
    async with server, setup.client(timeout=timeout) as client:
        assert (await (await client.get(server.url))).text == "late"


# Request bodies


@each_backend
@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf8", b"x", 0, 1, "bad"),
        OSError(5, "disk"),
        ConnectionResetError(104, "elsewhere"),
        TimeoutError("of the caller"),
        httpx.ReadError("upstream"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_error_of_a_body_reaches_the_caller(
    setup: ClientSetup, error: Exception, method: str
) -> None:
    """The same object, although the backend mistakes it for a network error."""

    async def body() -> AsyncIterator[bytes]:
        yield b"start"
        raise error

    async def read_and_stall(wire: Any) -> None:
        await wire.read(65536)
        await wire.stall()

    async with FaultServer(read_and_stall) as server, setup.client(max_retries=0) as client:
        with pytest.raises(type(error)) as raised:
            async with asyncio.timeout(ENOUGH):
                await (await client.request_async(method, server.url, content=body()))
    assert raised.value is error


# Closing


@each_backend
async def test_a_closed_client_that_is_still_referenced_has_no_open_connection(
    setup: ClientSetup,
) -> None:
    """Idle connections are closed by ``close``, not when the client is garbage-collected."""
    closed = []
    async with FaultServer(answer()) as server:
        for _ in range(10):
            async with setup.client() as client:
                await (await client.get(server.url))
            closed.append(client)
        await wait_until(lambda: count_sockets_to(server.port) == 0)
    assert len(closed) == 10


@with_pyreqwest
async def test_a_closed_transport_raises(setup: ClientSetup) -> None:
    """Closing it twice is allowed."""
    async with FaultServer(answer()) as server:
        async with setup.client() as client:
            await (await client.get(server.url))
            transport = client._client._transport
        await transport.aclose()
        with pytest.raises(httpx.TransportError, match="closed"):
            await transport.handle_async_request(httpx.Request("GET", server.url))
