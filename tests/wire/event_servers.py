"""A server of events: what each connection is answered with."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import httpx

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

__all__ = [
    "Answer",
    "active_in",
    "breaks",
    "chunk",
    "ends",
    "ids_sent",
    "no_content",
    "open_stream",
    "serving",
    "stalls",
]

Answer: TypeAlias = Callable[[Wire], Awaitable[None]]

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked body; empty for no data."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def open_stream(*parts: bytes, then: Answer | None = None) -> Answer:
    """Answer with an event stream, each part in a chunk of its own, and go on in some way."""

    async def answer(wire: Wire) -> None:
        await wire.send(HEAD + b"".join(map(chunk, parts)))
        if then is not None:
            await then(wire)

    return answer


def ends(*parts: bytes) -> Answer:
    """Answer with an event stream that ends normally."""
    return open_stream(*parts, then=lambda wire: wire.send(b"0\r\n\r\n"))


def breaks(*parts: bytes) -> Answer:
    """Answer with an event stream whose connection is cut."""
    return open_stream(*parts, then=Wire.finish)


def stalls(*parts: bytes) -> Answer:
    """Answer with an event stream that says no more, and stays open."""
    return open_stream(*parts, then=Wire.stall)


async def no_content(wire: Wire) -> None:
    """Answer 204: the client shall not connect again."""
    await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@contextlib.asynccontextmanager
async def serving(
    *answers: Answer, **options: Any
) -> AsyncIterator[tuple[FaultServer, AsyncResilientClient]]:
    """Run a server that gives the answers, the last again and again, and a client that retries fast."""
    left = [*answers]

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(wire)

    if "http_client" not in options:
        options.setdefault("limits", httpx.Limits(max_connections=1))
    if "resilience" not in options:
        options.setdefault("base_delay", 0.001)
    async with (
        FaultServer(each_request(respond)) as server,
        AsyncResilientClient(**options) as client,
    ):
        yield server, client


def ids_sent(server: FaultServer) -> list[str | None]:
    """Return the ``Last-Event-ID`` of each request, None without one."""
    sent = [request.headers.get("last-event-id") for request in server.requests]
    return [value if value is None else value.encode("latin-1").decode() for value in sent]


def active_in(client: AsyncResilientClient) -> int:
    """Return the connections in use."""
    pool: AsyncPoolTransport = client._client._transport
    return pool.statistics().active
