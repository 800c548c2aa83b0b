"""Keeps the cancellations of asyncio away from a pool of httpcore's own, which they would harm.

httpcore shields its bookkeeping from anyio's cancellations alone. So each thing asked of its pool
runs in a task of its own, which is cancelled anyio's way; and no request waits in its queue.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio.lowlevel
import httpx

from typed_async_client.private import max_connections_of
from typed_async_client.wire.messages import timeout_of

__all__ = ["ShelteredTransport"]

_T = TypeVar("_T")
_DEFAULT_CONNECTIONS = 100
"""What httpx's transport allows by default."""

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete")

_UNWIND = 1.0
"""Seconds that what was cancelled gets to unwind, before it is cancelled the hard way."""


class ShelteredTransport(httpx.AsyncBaseTransport):
    """Stands before an ``httpx.AsyncHTTPTransport``, so that no cancellation costs it a connection.

    Args:
        transport: the transport; it is closed with this one.
        max_connections: requests that may hold one of its connections at once: at most what it
            allows itself; None reads it off the transport.

    Raises:
        ValueError: ``max_connections`` is no number >= 1.
    """

    def __init__(self, transport: httpx.AsyncHTTPTransport, max_connections: int | None) -> None:
        if max_connections is None:
            max_connections = _connections_of(transport)
        elif type(max_connections) is not int or max_connections < 1:
            raise ValueError(
                f"max_connections must be a whole number >= 1 or None, got {max_connections!r}"
            )
        self._max_connections = max_connections
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._permits = asyncio.Semaphore(max_connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its permit is given back when the body of the response is closed.

        Raises:
            httpx.PoolTimeout: no permit was free for the ``pool`` timeout of the request.
        """
        permits = self._permits_here()
        await _acquire(permits, timeout_of(request, "pool"))
        opening = _Opening(request.extensions.get("trace"))
        inner = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "trace": opening},
        )
        try:
            response = await _shelter(
                self._transport.handle_async_request(inner), too_late=httpx.Response.aclose
            )
        except BaseException:
            try:
                await _shelter(opening.give_up())
            finally:
                permits.release()
            raise
        response.stream = _ShelteredBody(response.stream, permits.release)
        return response

    async def aclose(self) -> None:
        """Close the transport."""
        await _shelter(self._transport.aclose())

    def _permits_here(self) -> asyncio.Semaphore:
        """Give the permits of the running loop; what an earlier one left is of no use to it."""
        running = asyncio.get_running_loop()
        if self._loop is not running:
            self._loop = running
            self._permits = asyncio.Semaphore(self._max_connections)
        return self._permits


async def _acquire(permits: asyncio.Semaphore, timeout: float | None) -> None:
    try:
        async with asyncio.timeout(timeout):
            await permits.acquire()
    except TimeoutError as error:
        raise httpx.PoolTimeout(f"no connection was free within {timeout} s") from error


class _Opening:
    """Watches how a connection opens, which httpcore loses when it is cancelled at that moment.

    It is the ``trace`` extension of a request, and passes all that it is told on to the given one.
    """

    def __init__(self, trace: Callable[[str, dict[str, Any]], Awaitable[None]] | None) -> None:
        self._trace = trace
        self._socket: Any = None
        self._unowned: Any = None

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        """Take what httpcore tells, and let a cancellation in where it does no harm."""
        if name.endswith(_CONNECTED):
            self._socket = info["return_value"]
        if self._trace is not None:
            await self._trace(name, info)
        if name.endswith((*_CONNECTED, "start_tls.started", "start_tls.complete")):
            self._unowned = self._socket
            await anyio.lowlevel.checkpoint_if_cancelled()
        if name.endswith((*_CONNECTED, "start_tls.complete")):
            self._unowned = None

    async def give_up(self) -> None:
        """Close a socket that no connection owns yet."""
        if self._unowned is not None:
            await self._unowned.aclose()


class _ShelteredBody(httpx.AsyncByteStream):
    """The body of a response, each part of which is read in shelter."""

    def __init__(self, body: Any, release: Callable[[], None]) -> None:
        self._body = body
        self._release = release
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._body)
        while (part := await _shelter(_next(parts))) is not None:
            yield part

    async def aclose(self) -> None:
        """Close the body, and give the permit back."""
        if self._is_open:
            self._is_open = False
            try:
                await _shelter(self._body.aclose())
            finally:
                self._release()


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)


async def _shelter(
    work: Coroutine[Any, Any, _T],
    *,
    too_late: Callable[[_T], Coroutine[Any, Any, None]] | None = None,
) -> _T:
    """Do some work that asyncio's cancellations do not reach; the caller waits until it is over.

    Args:
        work: what to do.
        too_late: undoes what it gave, when the caller was cancelled as it came.
    """
    scope = anyio.CancelScope()

    async def inside() -> Any:
        with scope:
            return await work

    task = asyncio.create_task(inside())
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        scope.cancel()
        task.add_done_callback(_look_at)
        await _until_over(task)
        if too_late is not None and _has_result(task):
            await _shelter(too_late(task.result()))
        raise
    result: _T = task.result()
    return result


def _look_at(task: "asyncio.Task[Any]") -> None:
    """Keep asyncio from logging an error that came too late for anybody."""
    if not task.cancelled():
        task.exception()


def _has_result(task: "asyncio.Task[Any]") -> bool:
    return (
        task.done()
        and not task.cancelled()
        and task.exception() is None
        and task.result() is not None
    )


async def _until_over(task: "asyncio.Task[Any]") -> None:
    """Wait for a task whatever happens; past its time it is cancelled the hard way, then left."""
    await _outlast(task)
    if not task.done():
        task.cancel()
        await _outlast(task)


async def _outlast(task: "asyncio.Task[Any]") -> None:
    """Wait for a task for its time to unwind; a cancellation is on its way to the caller already."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _UNWIND
    while not task.done() and (left := end - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=left)


def _connections_of(transport: httpx.AsyncHTTPTransport) -> int:
    return min(max_connections_of(transport, _DEFAULT_CONNECTIONS), 1_000_000)
