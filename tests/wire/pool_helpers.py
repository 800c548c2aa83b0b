"""Helpers for the tests of the pool: handlers, clients and checks of its state."""

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

from typed_async_client.pool.pool import PoolStatistics
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire
from typed_async_client.testing.server import Handler

__all__ = [
    "ConnectionCounter",
    "HoldingHandler",
    "answer_in_pieces",
    "expected_statistics",
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
    """Counts the connections to some servers whenever one of them accepts a new one.

    It counts the client's sockets, because a server's task learns of a closed connection only
    some turns of the loop after the client.

    Attributes:
        peak: the most connections at the same time.
        servers: whose connections are counted.
    """

    def __init__(self) -> None:
        self.peak: int = 0
        self.servers: list[FaultServer] = []

    def update(self) -> None:
        """Count the connections now."""
        self.peak = max(self.peak, sum(count_sockets_to(server.port) for server in self.servers))

    def wrap(self, handler: Handler) -> Handler:
        """Return a handler that counts, and then calls ``handler``."""

        async def wrapped(wire: Wire) -> None:
            self.update()
            await handler(wire)

        return wrapped


def in_order(*handlers: Handler) -> Handler:
    """Serve the first connection with the first handler, and so on; the last serves the rest."""
    remaining = list(handlers)

    async def handler(wire: Wire) -> None:
        await (remaining.pop(0) if len(remaining) > 1 else remaining[0])(wire)

    return handler


def serve_requests(respond: Callable[[SeenRequest, Wire], Awaitable[Any]]) -> Handler:
    """Call ``respond`` for each request until the client closes or resets the connection."""

    async def handler(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError):
            while (request := await wire.read_request()) is not None:
                await respond(request, wire)

    return handler


async def answer_in_pieces(request: SeenRequest, wire: Wire) -> None:
    """Answer in a few pieces, with a few turns of the loop between them."""
    for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 12\r\n\r\n", b"whole", b" answer"):
        await wire.send(piece)
        await run_loop_turns(3)


async def run_loop_turns(count: int) -> None:
    """Run ``count`` turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def ip_url(server: FaultServer) -> str:
    """Return a server's URL with its IP address, so that no name is looked up."""
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
    """Create a transport with a pool."""
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
    """Create an httpx client over a transport."""
    return httpx.AsyncClient(transport=transport, timeout=20.0)


def verify_option(*, tls: bool) -> ssl.SSLContext | bool:
    """Return httpx's ``verify`` option: the client's context, or False without TLS."""
    return client_context() if tls else False


def server_context_or_none(*, tls: bool) -> ssl.SSLContext | None:
    """Return the server's context, or None without TLS."""
    return server_context() if tls else None


def result_type(result: object) -> type[object]:
    """Return the class of an error, or ``httpx.Response`` for any response."""
    return httpx.Response if isinstance(result, httpx.Response) else type(result)


def is_idle(transport: AsyncPoolTransport) -> bool:
    """Whether no request holds a connection of the pool or waits for one."""
    stats = transport.statistics()
    return (stats.active, stats.waiting, stats.connecting) == (0, 0, 0)


async def wait_until_stale(transport: AsyncPoolTransport) -> None:
    """Wait until each idle connection has received something unexpected."""
    await wait_until(lambda: all(slot.has_pending_input for slot in transport._pool._slots.all))


async def other_tasks_end() -> bool:
    """Whether all other tasks, including the servers', end soon."""
    try:
        await wait_until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    except TimeoutError:
        return False
    return True


def hide_httptools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test as if httptools weren't installed."""
    monkeypatch.setitem(sys.modules, "httptools", None)
    monkeypatch.delitem(sys.modules, "typed_async_client.http1.parser", raising=False)


class HoldingHandler:
    """Holds each request until it is released."""

    def __init__(self) -> None:
        self.held: list[asyncio.Event] = []

    async def __call__(self, request: SeenRequest, wire: Wire) -> None:
        """Hold a request until it is released, then answer with its target."""
        self.held.append(asyncio.Event())
        await self.held[-1].wait()
        await wire.answer(200, request.target.encode())

    def release(self) -> None:
        """Answer the held requests."""
        for event in self.held:
            event.set()


def expected_statistics(
    *, active: int = 0, idle: int = 0, connecting: int = 0, waiting: int = 0, opened: int = 0,
    **closed: int,
) -> PoolStatistics:  # fmt: skip
    """Build statistics, with every counter 0 by default."""
    return PoolStatistics(
        active=active,
        idle=idle,
        connecting=connecting,
        waiting=waiting,
        opened=opened,
        closed={reason.replace("_", " "): count for reason, count in closed.items()},
    )
