"""After ``Upgrade`` or ``CONNECT``, each transport hands the raw connection to the caller."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import wsproto
from httpx_ws import AsyncWebSocketSession, WebSocketSession, aconnect_ws, connect_ws
from leak_checks import no_leaks
from pool_helpers import ip_url, is_idle
from proxy_handlers import tunnel_proxy
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request, TextMessage

from typed_async_client import AsyncPoolTransport, ResilientTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

TRANSPORTS: dict[str, Callable[[], httpx.AsyncBaseTransport]] = {
    "pool, h11": lambda: AsyncPoolTransport(http11="h11"),
    "pool, llhttp": lambda: AsyncPoolTransport(http11="llhttp"),
    "resilient": ResilientTransport,
    "resilient over httpx": lambda: ResilientTransport(httpx.AsyncHTTPTransport()),
}
over_each_transport = pytest.mark.parametrize("new", TRANSPORTS.values(), ids=TRANSPORTS)


async def websocket_echo(wire: Wire) -> None:
    """Accept a WebSocket; echo text in upper case and bytes in reverse."""
    socket = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    while data := await wire.read(65536):
        socket.receive_data(data)
        for event in socket.events():
            reply = _reply(socket, event)
            if reply is not None:
                await wire.send(socket.send(reply))


def _reply(socket: wsproto.WSConnection, event: Any) -> Any:
    match event:
        case Request():
            return AcceptConnection()
        case TextMessage():
            return TextMessage(data=event.data.upper())
        case BytesMessage():
            return BytesMessage(data=bytes(event.data)[::-1])
        case CloseConnection() if socket.state is not wsproto.connection.ConnectionState.CLOSED:
            return event.response()
    return None


async def echo_upper(wire: Wire) -> None:
    """Echo all data in upper case."""
    while data := await wire.read(65536):
        await wire.send(data.upper())


@over_each_transport
async def test_a_websocket_works_both_ways_and_frees_its_slot(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """Text and bytes, through httpx-ws."""
    async with no_leaks(), FaultServer(websocket_echo) as server:
        transport = new()
        async with httpx.AsyncClient(transport=transport) as client:
            socket: AsyncWebSocketSession
            async with aconnect_ws(server.url, client) as socket:
                for word in ("one", "two", "three"):
                    await socket.send_text(word)
                    assert await socket.receive_text() == word.upper()
                await socket.send_bytes(b"abc")
                assert await socket.receive_bytes() == b"cba"
                if isinstance(transport, AsyncPoolTransport):
                    assert transport.statistics().active == 1
            if isinstance(transport, AsyncPoolTransport):
                assert is_idle(transport)


async def test_a_websocket_works_with_a_sync_client() -> None:
    """With the same transport class, over httpx's synchronous transport."""
    async with no_leaks(), FaultServer(websocket_echo) as server:

        def exchange() -> str:
            socket: WebSocketSession
            with (
                httpx.Client(transport=ResilientTransport()) as client,
                connect_ws(server.url, client) as socket,
            ):
                socket.send_text("hello")
                return socket.receive_text()

        assert await asyncio.to_thread(exchange) == "HELLO"


@over_each_transport
async def test_a_tunnel_opened_by_the_caller_works_both_ways_and_frees_its_slot(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """``CONNECT`` with the ``target`` extension, followed by raw reads and writes."""
    async with (
        no_leaks(),
        FaultServer(echo_upper) as server,
        FaultServer(tunnel_proxy()) as gateway,
    ):
        transport = new()
        async with httpx.AsyncClient(transport=transport) as client:
            target = f"127.0.0.1:{server.port}".encode()
            async with client.stream(
                "CONNECT", gateway.url, extensions={"target": target}
            ) as tunnel:
                connection = tunnel.extensions["network_stream"]
                for word in (b"one", b"two", b"three"):
                    await connection.write(word)
                    assert await connection.read(100) == word.upper()
            if isinstance(transport, AsyncPoolTransport):
                assert is_idle(transport)
        assert [(seen.method, seen.target) for seen in gateway.requests] == [
            ("CONNECT", target.decode())
        ]


@over_each_transport
async def test_a_refused_tunnel_is_a_response_like_any_other(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """Its body can be read, and further requests can be sent."""
    async with (
        FaultServer(answer(403, b"refused")) as gateway,
        httpx.AsyncClient(transport=new()) as client,
    ):
        for _ in range(2):
            response = await client.request(
                "CONNECT", gateway.url, extensions={"target": b"a.test:443"}
            )
            assert (response.status_code, response.content) == (403, b"refused")


@over_each_transport
async def test_data_sent_with_the_101_response_is_not_lost(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """A server may send data first, in the same segment as its 101."""

    async def send_first(_: SeenRequest, wire: Wire) -> None:
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
        await wire.send(head.encode() + b"hello")
        await echo_upper(wire)

    async with (
        no_leaks(),
        FaultServer(each_request(send_first)) as server,
        httpx.AsyncClient(transport=new()) as client,
    ):
        headers = {"Connection": "Upgrade", "Upgrade": "echo"}
        async with client.stream("GET", ip_url(server), headers=headers) as response:
            assert response.status_code == 101
            connection = response.extensions["network_stream"]
            assert await connection.read(100) == b"hello"
            await connection.write(b"hello back")
            assert await connection.read(100) == b"HELLO BACK"
