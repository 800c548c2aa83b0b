"""What the tests of the pool share: servers that count, clients over a pool, checks of its peace."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from leak_checks import count_sockets_to
from tls_contexts import client_context, server_context

from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire
from typed_async_client.testing.server import Handler

__all__ = [
    "ConnectionCounter",
    "answer_in_pieces",
    "hide_httptools",
    "in_order",
    "ip_url",
    "is_idle",
    "new_transport",
    "other_tasks_end",
    "pool_client",
    "result_type",
    "run_loop_turns",
    "serve_requests",
    "server_context_or_none",
    "verify_option",
    "wait_until_stale",
]


class ConnectionCounter:
    """Counts the connections to some servers whenever one of them accepts another.

    It counts the client's sockets: a server's task hears of an end some turns after the client.

    Attributes:
        peak: how many there were at the same time.
        servers: who is looked at.
    """

    def __init__(self) -> None:
        self.peak: int = 0
        self.servers: list[FaultServer] = []

    def update(self) -> None:
        """Count now."""
        self.peak = max(self.peak, sum(count_sockets_to(server.port) for server in self.servers))

    def wrap(self, handler: Handler) -> Handler:
        """Serve connections with ``handler``, and count at the start of each."""

        async def counted(wire: Wire) -> None:
            self.update()
            await handler(wire)

        return counted


def in_order(*handlers: Handler) -> Handler:
    """Serve the first connection with the first handler, and so on; the last serves the rest."""
    waiting = list(handlers)

    async def handler(wire: Wire) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(wire)

    return handler


def serve_requests(respond: Callable[[SeenRequest, Wire], Awaitable[Any]]) -> Handler:
    """Call ``respond`` for each request until the client hangs up, however it does."""

    async def handler(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError):
            while (request := await wire.read_request()) is not None:
                await respond(request, wire)

    return handler


async def answer_in_pieces(request: SeenRequest, wire: Wire) -> None:
    """Answer with a few pieces, each a few turns after the last."""
    for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 12\r\n\r\n", b"whole", b" answer"):
        await wire.send(piece)
        await run_loop_turns(3)


async def run_loop_turns(count: int) -> None:
    """Let the event loop turn ``count`` times."""
    for _ in range(count):
        await asyncio.sleep(0)


def ip_url(server: FaultServer) -> str:
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
        verify=verify_option(tls=tls),
        http2=http2,
        limits=limits,
        max_connection_age=max_connection_age,
    )


def pool_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Make an httpx client over a transport."""
    return httpx.AsyncClient(transport=transport, timeout=20.0)


def verify_option(*, tls: bool) -> ssl.SSLContext | bool:
    """Give httpx's ``verify``: the authority of the tests, or nothing."""
    return client_context() if tls else False


def server_context_or_none(*, tls: bool) -> ssl.SSLContext | None:
    """Give the server's side of TLS, or of none."""
    return server_context() if tls else None


def result_type(end: object) -> type[object]:
    """Give the class of an error, and httpx's for any response."""
    return httpx.Response if isinstance(end, httpx.Response) else type(end)


def is_idle(transport: AsyncPoolTransport) -> bool:
    """Say whether nobody holds a connection of a pool or waits for one."""
    told = transport.statistics()
    return (told.active, told.waiting, told.connecting) == (0, 0, 0)


async def wait_until_stale(transport: AsyncPoolTransport) -> None:
    """Wait until something that nobody asked for has come on each idle connection."""
    await wait_until(lambda: all(slot.has_pending_input for slot in transport._pool._slots.all))


async def other_tasks_end() -> bool:
    """Say whether the calling task soon runs alone: every other one, servers' included, ends."""
    try:
        await wait_until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    except TimeoutError:
        return False
    return True


def hide_httptools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test as if httptools weren't installed."""
    monkeypatch.setitem(sys.modules, "httptools", None)
    for name in ("connection", "parser", "expect"):
        monkeypatch.delitem(sys.modules, f"typed_async_client.http1.{name}", raising=False)
