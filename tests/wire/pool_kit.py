"""What the tests of the pool share: servers that count, clients over a pool, checks of its peace."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import until
from leftovers import sockets_to
from tls_contexts import trusted, trusting

from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire
from typed_async_client.testing.server import Handler

__all__ = [
    "Crowd",
    "address_of",
    "all_alone",
    "certificate_of",
    "in_pieces",
    "is_settled",
    "kind_of",
    "new_transport",
    "one_by_one",
    "pooled",
    "serving",
    "turns",
    "until_stale",
    "verify_of",
    "without_httptools",
]


class Crowd:
    """Counts the connections to some servers whenever one of them accepts another.

    It counts the client's sockets: a server's task hears of an end some turns after the client.

    Attributes:
        peak: how many there were at the same time.
        servers: who is looked at.
    """

    def __init__(self) -> None:
        self.peak: int = 0
        self.servers: list[FaultServer] = []

    def look(self) -> None:
        """Count now."""
        self.peak = max(self.peak, sum(sockets_to(server.port) for server in self.servers))

    def counting(self, handler: Handler) -> Handler:
        """Serve connections with ``handler``, and count at the start of each."""

        async def counted(wire: Wire) -> None:
            self.look()
            await handler(wire)

        return counted


def one_by_one(*handlers: Handler) -> Handler:
    """Serve the first connection with the first handler, and so on; the last serves the rest."""
    waiting = list(handlers)

    async def handler(wire: Wire) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(wire)

    return handler


def serving(respond: Callable[[SeenRequest, Wire], Awaitable[Any]]) -> Handler:
    """Call ``respond`` for each request until the client hangs up, however it does."""

    async def handler(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError):
            while (request := await wire.read_request()) is not None:
                await respond(request, wire)

    return handler


async def in_pieces(request: SeenRequest, wire: Wire) -> None:
    """Answer with a few pieces, each a few turns after the last."""
    for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 12\r\n\r\n", b"whole", b" answer"):
        await wire.send(piece)
        await turns(3)


async def turns(count: int) -> None:
    """Let the event loop turn ``count`` times."""
    for _ in range(count):
        await asyncio.sleep(0)


def address_of(server: FaultServer) -> str:
    """Give the URL of a server by its number, so that no name is looked up."""
    return server.url.replace("localhost", "127.0.0.1")


def new_transport(
    *,
    connections: int | None = 100,
    idle: int | None = 20,
    expiry: float | None = 60.0,
    tls: bool = False,
    http2: bool = False,
    max_connection_age: float | None = None,
) -> AsyncPoolTransport:
    """Make a transport over a pool."""
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=idle, keepalive_expiry=expiry
    )
    return AsyncPoolTransport(
        verify=verify_of(tls=tls),
        http2=http2,
        limits=limits,
        max_connection_age=max_connection_age,
    )


def pooled(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Make an httpx client over a transport."""
    return httpx.AsyncClient(transport=transport, timeout=20.0)


def verify_of(*, tls: bool) -> ssl.SSLContext | bool:
    """Give httpx's ``verify``: the authority of the tests, or nothing."""
    return trusting() if tls else False


def certificate_of(*, tls: bool) -> ssl.SSLContext | None:
    """Give the server's side of TLS, or of none."""
    return trusted() if tls else None


def kind_of(end: object) -> type[object]:
    """Give the class of an error, and httpx's for any response."""
    return httpx.Response if isinstance(end, httpx.Response) else type(end)


def is_settled(transport: AsyncPoolTransport) -> bool:
    """Say whether nobody holds a connection of a pool or waits for one."""
    told = transport.statistics()
    return (told.active, told.waiting, told.connecting) == (0, 0, 0)


async def until_stale(transport: AsyncPoolTransport) -> None:
    """Wait until something that nobody asked for has come on each idle connection."""
    await until(lambda: all(slot.has_pending_input for slot in transport._pool._slots.all))


async def all_alone() -> bool:
    """Say whether the calling task soon runs alone: every other one, servers' included, ends."""
    try:
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    except TimeoutError:
        return False
    return True


def without_httptools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test as if httptools weren't installed."""
    monkeypatch.setitem(sys.modules, "httptools", None)
    for name in ("connection", "parser", "expect"):
        monkeypatch.delitem(sys.modules, f"typed_async_client.http1.{name}", raising=False)
