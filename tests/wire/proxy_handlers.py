"""Handlers that turn a ``FaultServer`` into a forward, tunnel or SOCKS5 proxy."""

import asyncio
import base64
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from typed_async_client.testing import Handler, SeenRequest, Wire

__all__ = ["Socks5Proxy", "basic_auth", "forward_proxy", "relay", "tunnel_proxy"]


def basic_auth(user: str, password: str) -> str:
    """Return the header value for basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def forward_proxy(*, required_auth: str | None = None) -> Handler:
    """Forward each HTTP request to the server in its absolute target.

    Args:
        required_auth: the required ``Proxy-Authorization``; anything else is answered with 407.
    """

    async def handler(wire: Wire) -> None:
        while (request := await wire.read_request()) is not None:
            if (
                required_auth is not None
                and request.headers.get("proxy-authorization") != required_auth
            ):
                await wire.answer(407, b"authentication required")
                continue
            await _forward(request, wire)

    return handler


async def _forward(request: SeenRequest, wire: Wire) -> None:
    target = urlsplit(request.target)
    assert target.hostname is not None
    reader, writer = await asyncio.open_connection(target.hostname, target.port or 80)
    try:
        lines = [f"{request.method} {target.path} HTTP/1.1", f"Host: {target.netloc}"]
        lines += [f"Content-Length: {len(request.body)}", "Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode() + request.body)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await wire.send(head + await reader.readexactly(size))
    finally:
        writer.close()


def tunnel_proxy(
    *,
    required_auth: str | None = None,
    reply: bytes = b"HTTP/1.1 200 Connected\r\n\r\n",
    then: Callable[[Wire], Awaitable[None]] | None = None,
) -> Handler:
    """Answer CONNECT, and relay data in both directions if the reply has a status 200.

    Args:
        required_auth: the required ``Proxy-Authorization``; anything else is answered with 407.
        reply: the reply to CONNECT.
        then: called instead of relaying data.
    """

    async def handler(wire: Wire) -> None:
        request = await wire.read_request()
        if request is None:
            return
        if (
            required_auth is not None
            and request.headers.get("proxy-authorization") != required_auth
        ):
            await wire.answer(407, b"authentication required")
            return
        host, _, port = request.target.rpartition(":")
        await wire.send(reply)
        if then is not None:
            await then(wire)
        elif b"HTTP/1.1 200 " in reply:
            await relay(wire.read, wire.send, host, int(port))

    return handler


async def relay(
    read: Callable[[int], Awaitable[bytes]],
    send: Callable[[bytes], Awaitable[None]],
    host: str,
    port: int,
) -> None:
    """Relay what a client sends to a server, and what the server sends back."""
    reader, writer = await asyncio.open_connection(host, port)
    upstream = asyncio.ensure_future(_pump(read, writer))
    try:
        while data := await reader.read(65536):
            await send(data)
    except ConnectionError:
        pass
    finally:
        upstream.cancel()
        await asyncio.wait({upstream})
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pump(read: Callable[[int], Awaitable[bytes]], writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await read(65536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


class Socks5Proxy:
    """A SOCKS5 proxy (RFC 1928), optionally with user and password (RFC 1929).

    Attributes:
        targets: host and port of each requested connection, in order.
    """

    def __init__(self, *, credentials: tuple[str, str] | None = None, reply: int = 0) -> None:
        self.targets: list[tuple[str, int]] = []
        self._credentials = credentials
        self._reply = reply

    async def __call__(self, wire: Wire) -> None:
        """Serve one connection."""
        await wire.read(100)  # version and methods
        if self._credentials is None:
            await wire.send(b"\x05\x00")
        elif not await self._authenticates(wire):
            return
        request = await wire.read(1000)
        if not request:
            return
        host, port = _socks_target(request)
        self.targets.append((host, port))
        await wire.send(b"\x05" + bytes([self._reply]) + b"\x00\x01" + bytes(6))
        if self._reply == 0:
            await relay(wire.read, wire.send, host, port)

    async def _authenticates(self, wire: Wire) -> bool:
        assert self._credentials is not None
        await wire.send(b"\x05\x02")
        user, password = (part.encode() for part in self._credentials)
        expected = b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
        accepted = await wire.read(1000) == expected
        await wire.send(b"\x01\x00" if accepted else b"\x01\x01")
        return accepted


def _socks_target(request: bytes) -> tuple[str, int]:
    kind, (port,) = request[3], struct.unpack("!H", request[-2:])
    address = request[4:-2]
    if kind == 3:
        return address[1:].decode(), port
    return socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, address), port
