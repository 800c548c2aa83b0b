"""Servers that respond while they receive a request body, bodies to send to them, and routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pool_helpers import server_context_or_none
from proxy_handlers import Socks5Proxy, relay, tunnel_proxy
from tls_contexts import client_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Handler, Wire

__all__ = [
    "CHUNKED_HEAD",
    "OK",
    "REFUSAL",
    "ROUTES",
    "Source",
    "after_head",
    "each_route",
    "echo_chunks",
    "never_reads",
    "reach",
]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

_HEAD_END, _LAST_CHUNK = b"\r\n\r\n", b"0\r\n\r\n"

# Servers


async def read_head(wire: Wire) -> bytes | None:
    """Read the head of a request; return what came of its body, or None without a request."""
    data = b""
    while _HEAD_END not in data:
        part = await wire.read(65536)
        if not part:
            return None
        data += part
    return data.partition(_HEAD_END)[2]


def after_head(*pieces: bytes, then: Callable[[Wire], Awaitable[None]] = Wire.stall) -> Handler:
    """Send ``pieces`` once a head has arrived, and call ``then``, which by default reads on."""

    async def handler(wire: Wire) -> None:
        if await read_head(wire) is not None:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    await wire.send(piece)
                await then(wire)

    return handler


async def never_reads(wire: Wire) -> None:
    """Read nothing more, so that the kernel's buffers fill up."""
    wire.transport.pause_reading()
    await asyncio.Event().wait()


async def echo_chunks(wire: Wire) -> None:
    """Send the body of each request back while it arrives; a chunked one, in larger chunks."""
    with contextlib.suppress(ConnectionError):
        while (data := await read_head(wire)) is not None:
            await wire.send(CHUNKED_HEAD)
            end = b""
            while data or not end:
                end = (end + data)[-len(_LAST_CHUNK) :]
                await wire.send(b"%x\r\n%b\r\n" % (len(data), data) if data else b"")
                if end == _LAST_CHUNK:
                    break
                data = await wire.read(65536)
            await wire.send(_LAST_CHUNK)


async def _forward_as_it_comes(wire: Wire) -> None:
    """Forward one connection as a proxy, without waiting for the end of a body."""
    data = b""
    while _HEAD_END not in data:
        part = await wire.read(65536)
        if not part:
            return
        data += part
    method, target, rest = data.split(b" ", 2)
    url = urlsplit(target.decode())
    assert url.hostname is not None
    assert url.port is not None
    first = [b"%b %b %b" % (method, url.path.encode(), rest)]

    async def read(size: int) -> bytes:
        return first.pop() if first else await wire.read(size)

    await relay(read, wire.send, url.hostname, url.port)


# Routes to them

ROUTES: dict[str, tuple[str, bool, Handler | None]] = {
    "direct": ("", False, None),
    "TLS": ("", True, None),
    "forward proxy": ("http", False, _forward_as_it_comes),
    "tunnel": ("http", True, tunnel_proxy()),
    "SOCKS": ("socks5", False, Socks5Proxy()),
    "SOCKS and TLS": ("socks5", True, Socks5Proxy()),
}
"""The scheme of the proxy, whether TLS is used, and what the proxy does."""

each_route = pytest.mark.parametrize("route", ROUTES)


@contextlib.asynccontextmanager
async def reach(
    handler: Handler, route: str = "direct", **options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, FaultServer, AsyncPoolTransport]]:
    """Yield a client, a server and the client's transport; at the end, the pool must be idle."""
    scheme, tls, proxy_handler = ROUTES[route]
    transport_options: dict[str, Any] = {"verify": client_context()}
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            FaultServer(handler, tls=server_context_or_none(tls=tls))
        )
        if proxy_handler is not None:
            proxy = await stack.enter_async_context(FaultServer(proxy_handler))
            transport_options["proxy"] = f"{scheme}://127.0.0.1:{proxy.port}"
        transport = AsyncPoolTransport(**transport_options)
        client = httpx.AsyncClient(transport=transport, **{"timeout": 20, **options})
        await stack.enter_async_context(client)
        yield client, server, transport
        stats = transport.statistics()
        assert (stats.active, stats.waiting, stats.connecting) == (0, 0, 0)


# Bodies


class Source:
    """The source of a body that is generated on the way.

    Args:
        count: how many parts there are; None is no limit.
        size: bytes per part.
        between: awaited after each part.

    Attributes:
        closed: how many of its generators have ended.
        produced: how many parts were taken.
        started: how many of its generators were started.
    """

    def __init__(
        self,
        count: int | None = None,
        size: int = 65536,
        between: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self.closed: int = 0
        self.produced: int = 0
        self.started: int = 0
        self._between = between
        self._count = count
        self._size = size

    async def parts(self) -> AsyncIterator[bytes]:
        """Generate the parts."""
        self.started += 1
        produced = 0
        try:
            while produced != self._count:
                produced += 1
                self.produced += 1
                yield bytes(self._size)
                if self._between is not None:
                    await self._between()
        finally:
            try:
                await asyncio.sleep(0)  # the end of a generator may have to wait
            finally:
                self.closed += 1
