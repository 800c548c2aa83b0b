"""The clients of httpx2 over our pool, on real sockets."""

import asyncio
import contextlib
import gzip
from typing import Any

import httpx2
import pytest
from fault_handlers import wait_until
from httpx2.websockets import WebSocketNetworkError
from leak_checks import no_leaks
from test_raw_connections import websocket_echo

from typed_async_client import AsyncPoolTransport, ResilientTransport, for_httpx2
from typed_async_client.testing import FaultServer, Wire, answer, half_body, stall

TRANSPORTS = [AsyncPoolTransport, ResilientTransport]
each_transport = pytest.mark.parametrize("make", TRANSPORTS)


def client_on(transport: Any, **options: Any) -> httpx2.AsyncClient:
    """Create a client of httpx2 on a transport of ours."""
    return httpx2.AsyncClient(transport=for_httpx2(transport), **options)


@each_transport
async def test_a_compressed_response_is_decoded_by_httpx2(make: Any) -> None:
    """The adapter passes on the bytes of the wire."""
    body = gzip.compress(b"hello " * 1000)
    async with (
        FaultServer(answer(200, body, "Content-Encoding: gzip")) as server,
        client_on(make()) as client,
    ):
        response = await client.get(server.url)
        assert response.content == b"hello " * 1000
        assert response.num_bytes_downloaded == len(body)
        async with client.stream("GET", server.url) as streamed:
            assert b"".join([part async for part in streamed.aiter_raw()]) == body
        assert server.connections == 1


async def test_trailers_arrive_with_the_end_of_the_body() -> None:
    """They are added to the extensions of the response that the caller holds."""

    async def with_trailers(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
        )

    async with FaultServer(with_trailers) as server, client_on(AsyncPoolTransport()) as client:
        response = await client.get(server.url)
    assert response.extensions["trailing_headers"] == [(b"X-Sum", b"7")]


@each_transport
async def test_a_body_that_is_cut_raises_the_error_of_httpx2(make: Any) -> None:
    """After the headers, while the body is read."""
    async with FaultServer(half_body) as server, client_on(make()) as client:
        async with client.stream("GET", server.url) as response:
            with pytest.raises(httpx2.RemoteProtocolError):
                await response.aread()
        with pytest.raises(httpx2.RemoteProtocolError) as raised:
            await client.get(server.url)
    assert type(raised.value.request) is httpx2.Request


@each_transport
async def test_a_timeout_of_httpx2_is_kept(make: Any) -> None:
    """It travels with the request."""
    async with FaultServer(stall) as server, client_on(make(), timeout=0.05) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(server.url)


@each_transport
async def test_the_trace_of_a_request_is_called(make: Any) -> None:
    """It is an extension like any other."""
    seen: list[str] = []

    async def trace(name: str, _: Any) -> None:
        seen.append(name)

    async with FaultServer(answer(200)) as server, client_on(make()) as client:
        await client.get(server.url, extensions={"trace": trace})
    assert "http11.send_request_headers.complete" in seen


@each_transport
@pytest.mark.parametrize("turns", range(0, 24, 2))
async def test_a_cancelled_request_leaves_nothing_behind(make: Any, turns: int) -> None:
    """At any point: the cancellation passes through the adapter unchanged."""
    async with no_leaks(), FaultServer(answer(200)) as server, client_on(make()) as client:
        task = asyncio.ensure_future(client.get(server.url))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # or it was answered in time
            await task
        assert (await client.get(server.url)).status_code == 200


@each_transport
async def test_a_websocket_of_httpx2_works_both_ways(make: Any) -> None:
    """It reads and writes the connection of our pool."""
    async with (
        FaultServer(websocket_echo) as server,
        client_on(make()) as client,
        client.websocket(server.url) as socket,
    ):
        await socket.send_text("hello")
        assert await socket.receive_text() == "HELLO"


@each_transport
async def test_a_websocket_whose_connection_is_reset_raises_the_error_of_httpx2(make: Any) -> None:
    """The raw connection raises what the WebSocket expects, an error of httpcore2."""
    wires: list[Wire] = []

    async def accept(wire: Wire) -> None:
        wires.append(wire)
        await websocket_echo(wire)

    async with (
        FaultServer(accept) as server,
        client_on(make()) as client,
        client.websocket(server.url) as socket,
    ):
        await socket.send_text("hello")
        assert await socket.receive_text() == "HELLO"
        wires[0].reset()
        with pytest.raises(WebSocketNetworkError):
            await socket.receive_text()


async def test_a_websocket_works_synchronously() -> None:
    """Reset in the end too."""
    wires: list[Wire] = []

    async def accept(wire: Wire) -> None:
        wires.append(wire)
        await websocket_echo(wire)

    def talk(url: str, reset: Any) -> str:
        with (
            httpx2.Client(transport=for_httpx2(ResilientTransport())) as client,
            client.websocket(url) as socket,
        ):
            socket.send_text("hello")
            text = socket.receive_text()
            reset()
            with pytest.raises(WebSocketNetworkError):
                socket.receive_text()
            return str(text)

    loop = asyncio.get_running_loop()
    async with FaultServer(accept) as server:
        text = await asyncio.to_thread(
            talk, server.url, lambda: loop.call_soon_threadsafe(wires[0].reset)
        )
        await wait_until(lambda: len(wires) == 1)
    assert text == "HELLO"
