"""Clients with prior knowledge of HTTP/2, and what their requests end with."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from typed_async_client import AsyncPoolTransport

__all__ = [
    "ONE_CONNECTION",
    "fetch",
    "generated",
    "is_idle",
    "open_client",
    "quiet_loop",
    "result_of",
]

ONE_CONNECTION = httpx.Limits(max_connections=1, max_keepalive_connections=1)


@contextlib.asynccontextmanager
async def open_client(
    limits: httpx.Limits | None = None, *, patience: float = 10.0
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that speaks HTTP/2 without TLS, and check that its pool is idle at the end."""
    options: dict[str, Any] = {} if limits is None else {"limits": limits}
    transport = AsyncPoolTransport(http1=False, http2=True, trust_env=False, **options)
    waits = httpx.Timeout(patience, pool=None)
    async with httpx.AsyncClient(transport=transport, timeout=waits) as client:
        yield client
        assert is_idle(client), transport.statistics()


def is_idle(client: httpx.AsyncClient) -> bool:
    """Whether no request holds a connection of the pool or waits for one."""
    transport = client._transport
    assert isinstance(transport, AsyncPoolTransport)
    stats = transport.statistics()
    return (stats.active, stats.connecting, stats.waiting) == (0, 0, 0)


def fetch(
    client: httpx.AsyncClient, url: str, method: str = "GET", content: Any = None
) -> "asyncio.Task[httpx.Response]":
    """Start a request."""
    return asyncio.ensure_future(client.request(method, url, content=content))


async def result_of(task: "asyncio.Task[httpx.Response]") -> bytes | httpx.TransportError:
    """Return the body of a response, or the error of the request, which is one of httpx's for connections."""
    try:
        return (await task).content
    except httpx.TransportError as error:
        return error


async def generated(*parts: bytes) -> AsyncIterator[bytes]:
    """Yield a body that can't be sent again."""
    for part in parts:
        yield part


@contextlib.contextmanager
def quiet_loop() -> Iterator[None]:
    """Check that nothing is reported to the exception handler of the running loop."""
    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    try:
        yield
        gc.collect()  # a task that is collected reports the error that nobody has retrieved
    finally:
        loop.set_exception_handler(None)
    reports = [report for report in reports if not _is_of_server(report)]
    assert not reports, reports


def _is_of_server(report: dict[str, Any]) -> bool:
    """Whether asyncio's own server has lost a connection, which a future of its streams tells."""
    is_task = isinstance(report.get("future"), asyncio.Task)
    return isinstance(report.get("exception"), ConnectionError) and not is_task
