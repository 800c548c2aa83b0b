"""After ``Upgrade`` and ``CONNECT`` the raw connection is the caller's, over every transport here."""

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
    "resilient around httpx's": lambda: ResilientTransport(httpx.AsyncHTTPTransport()),
}
over_each_transport = pytest.mark.parametrize("new", TRANSPORTS.values(), ids=TRANSPORTS)


async def shout(wire: Wire) -> None:
    """Accept a WebSocket, and send back each text in upper case, each row of bytes reversed."""
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


async def echo(wire: Wire) -> None:
    """Send back in upper case whatever comes, once it is switched to."""
    while data := await wire.read(65536):
        await wire.send(data.upper())


@over_each_transport
async def test_a_websocket_talks_both_ways_and_gives_its_slot_back(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """Text and bytes, through httpx-ws."""
    async with no_leaks(), FaultServer(shout) as server:
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


async def test_a_websocket_works_over_a_plain_client_too() -> None:
    """The same transport class, around httpx's plain one."""
    async with no_leaks(), FaultServer(shout) as server:

        def talk() -> str:
            socket: WebSocketSession
            with (
                httpx.Client(transport=ResilientTransport()) as client,
                connect_ws(server.url, client) as socket,
            ):
                socket.send_text("hello")
                return socket.receive_text()

        assert await asyncio.to_thread(talk) == "HELLO"


@over_each_transport
async def test_a_tunnel_made_by_hand_carries_bytes_both_ways_and_gives_its_slot_back(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """``CONNECT`` with the ``target`` extension; what follows is written and read raw."""
    async with no_leaks(), FaultServer(echo) as server, FaultServer(tunnel_proxy()) as gateway:
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
async def test_a_refused_tunnel_is_an_answer_like_any_other(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """Its body can be read, and its connection serves again."""
    async with (
        FaultServer(answer(403, b"not there")) as gateway,
        httpx.AsyncClient(transport=new()) as client,
    ):
        for _ in range(2):
            response = await client.request(
                "CONNECT", gateway.url, extensions={"target": b"a.test:443"}
            )
            assert (response.status_code, response.content) == (403, b"not there")


@over_each_transport
async def test_bytes_that_come_with_the_switch_are_not_lost(
    new: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """A server may speak first, in the same segment as its 101."""

    async def speak_first(_: SeenRequest, wire: Wire) -> None:
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\n"
        await wire.send(head.encode() + b"me first")
        await echo(wire)

    async with (
        no_leaks(),
        FaultServer(each_request(speak_first)) as server,
        httpx.AsyncClient(transport=new()) as client,
    ):
        headers = {"Connection": "Upgrade", "Upgrade": "shout"}
        async with client.stream("GET", ip_url(server), headers=headers) as response:
            assert response.status_code == 101
            connection = response.extensions["network_stream"]
            assert await connection.read(100) == b"me first"
            await connection.write(b"and now you")
            assert await connection.read(100) == b"AND NOW YOU"
