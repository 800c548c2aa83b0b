"""Open a WebSocket over the pool with ``httpx-ws``; its slot is released when it closes.

Requires ``pip install httpx-ws``. The server runs on a local port. Run it as it is:
``python examples/websocket.py``.
"""

import asyncio

import httpx
import wsproto
from httpx_ws import AsyncWebSocketSession, aconnect_ws
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Wire


async def shout(wire: Wire) -> None:
    """Accept a WebSocket, and send each message back in upper case."""
    socket = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    while data := await wire.read(65536):
        socket.receive_data(data)
        for event in socket.events():
            match event:
                case Request():
                    await wire.send(socket.send(AcceptConnection()))
                case TextMessage():
                    await wire.send(socket.send(TextMessage(data=event.data.upper())))
                case CloseConnection():
                    await wire.send(socket.send(event.response()))


async def main() -> None:
    """Send a message and read its echo."""
    transport = AsyncPoolTransport()
    async with FaultServer(shout) as server, httpx.AsyncClient(transport=transport) as client:
        socket: AsyncWebSocketSession
        async with aconnect_ws(server.url, client) as socket:
            await socket.send_text("hello")
            print(await socket.receive_text())
            print(f"while open: {transport.statistics().active} connection in use")
        print(f"after closing: {transport.statistics().active} connections in use")


if __name__ == "__main__":
    asyncio.run(main())
