"""Shields a pool of httpcore from asyncio's cancellations, which would make it leak connections.

httpcore shields its bookkeeping from anyio's cancellation only. So every operation on its pool runs
in a separate task that is cancelled through anyio, and no request ever waits in the pool's queue.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio.lowlevel
import httpx

from typed_async_client.binding import running_loop
from typed_async_client.described import with_message
from typed_async_client.net.deadline import time_limit
from typed_async_client.policies.checks import require_count
from typed_async_client.pool.orphans import take_back_orphans
from typed_async_client.private import max_connections_of
from typed_async_client.wire.messages import timeout_of

__all__ = ["ShelteredTransport", "release_orphans", "send_sheltered"]

_T = TypeVar("_T")
_DEFAULT_CONNECTIONS = 100
"""Connections that httpx's transport allows by default."""

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete")

_UNWIND = 1.0
"""Seconds that a task gets to unwind through anyio, before asyncio cancels it."""


class ShelteredTransport(httpx.AsyncBaseTransport):
    """Wraps an ``httpx.AsyncHTTPTransport``, so that cancelled requests don't leak its connections.

    Args:
        transport: the transport to wrap; it is closed together with this one.
        max_connections: how many requests may use the transport at the same time; at most what the
            transport itself allows. None reads the limit from the transport.

    Raises:
        ValueError: ``max_connections`` isn't an integer >= 1.
    """

    def __init__(self, transport: httpx.AsyncHTTPTransport, max_connections: int | None) -> None:
        require_count("max_connections", max_connections, at_least=1, or_none=True)
        if max_connections is None:
            max_connections = _connections_of(transport)
        self._max_connections = max_connections
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._permits = asyncio.Semaphore(max_connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; it holds a permit until the response body is closed.

        Raises:
            httpx.PoolTimeout: no permit became free within the request's ``pool`` timeout.
        """
        permits = self._permits_of_loop()
        await _acquire(permits, request)

        def send(trace: Any) -> Coroutine[Any, Any, httpx.Response]:
            inner = httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "trace": trace},
            )
            return self._transport.handle_async_request(inner)

        try:
            response: httpx.Response = await send_sheltered(send, request.extensions.get("trace"))
        except BaseException:
            permits.release()
            raise
        response.stream = _ShelteredBody(response.stream, permits.release)
        return response

    def __repr__(self) -> str:
        return f"<{type(self).__name__} around {self._transport!r}>"

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        closing = self._transport.aclose()
        await (closing if self._loop is None else _shelter(closing))

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        leaving = self._transport.__aexit__(exc_type, exc, traceback)
        # A subclass may have to be left by the task that has entered it.
        is_stock = type(self._transport).__aexit__ is httpx.AsyncHTTPTransport.__aexit__
        await (_shelter(leaving) if is_stock and self._loop is not None else leaving)

    def _permits_of_loop(self) -> asyncio.Semaphore:
        """Return the semaphore of the running loop; one from an earlier loop can't be used."""
        running = running_loop()
        if self._loop is not running:
            self._loop = running
            self._permits = asyncio.Semaphore(self._max_connections)
        return self._permits


async def send_sheltered(
    send: Callable[[Any], Coroutine[Any, Any, Any]],
    trace: Callable[[str, dict[str, Any]], Awaitable[None]] | None,
) -> Any:
    """Send a request through a pool of httpcore, and let no cancellation leak a connection.

    Args:
        send: takes a ``trace`` extension, and returns the coroutine that sends the request with it;
            its result is a response.
        trace: the caller's own extension; None without one.
    """
    connecting = _ConnectWatcher(trace)
    try:
        return await _shelter(send(connecting), undo=lambda response: response.aclose())
    except BaseException:
        await _shelter(connecting.close_unowned())
        raise


async def _acquire(permits: asyncio.Semaphore, request: httpx.Request) -> None:
    try:
        async with time_limit(timeout_of(request, "pool"), extends=False):
            await permits.acquire()
    except TimeoutError as error:
        raise with_message(httpx.PoolTimeout(""), request) from error


class _ConnectWatcher:
    """Tracks the socket of a connection being opened, which httpcore leaks if cancelled then.

    It is the ``trace`` extension of a request, and forwards every event to the caller's own trace.
    """

    def __init__(self, trace: Callable[[str, dict[str, Any]], Awaitable[None]] | None) -> None:
        self._trace = trace
        self._socket: Any = None
        self._unowned: Any = None

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        """Handle a trace event, and let a cancellation in where it does no harm."""
        if name.endswith(_CONNECTED):
            self._socket = info["return_value"]
        if self._trace is not None:
            await self._trace(name, info)
        if name.endswith((*_CONNECTED, "start_tls.started", "start_tls.complete")):
            self._unowned = self._socket
            await anyio.lowlevel.checkpoint_if_cancelled()
        if name.endswith((*_CONNECTED, "start_tls.complete")):
            self._unowned = None

    async def close_unowned(self) -> None:
        """Close the socket if no connection owns it yet."""
        if self._unowned is not None:
            await self._unowned.aclose()


class _ShelteredBody(httpx.AsyncByteStream):
    """A response body, each part of which is read under the same shield."""

    def __init__(self, body: Any, release: Callable[[], None]) -> None:
        self._body = body
        self._release = release
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._body)
        while (part := await _shelter(_next(parts))) is not None:
            yield part

    async def aclose(self) -> None:
        """Close the body, and release the permit."""
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
    undo: Callable[[_T], Coroutine[Any, Any, None]] | None = None,
) -> _T:
    """Run ``work`` out of reach of asyncio's cancellations, and wait until it has finished.

    If the caller is cancelled, ``work`` is cancelled through anyio instead.

    Args:
        work: the coroutine to run.
        undo: undoes the result of ``work`` if it finished although the caller was cancelled.
    """
    scope = anyio.CancelScope()

    async def in_scope() -> Any:
        with scope:
            return await work

    task = asyncio.create_task(in_scope())
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        scope.cancel()
        task.add_done_callback(_retrieve_exception)
        await _wait_or_cancel(task)
        if undo is not None and _has_result(task):
            await _shelter(undo(task.result()))
        raise
    result: _T = task.result()
    return result


async def release_orphans(pool: Any) -> None:
    """Let a pool take back connections that it lost when a request was cancelled.

    Args:
        pool: any asynchronous pool; None for none.
    """
    for replaced in take_back_orphans(pool):
        await _shelter(replaced.aclose())


def _retrieve_exception(task: "asyncio.Task[Any]") -> None:
    """Keep asyncio from logging an exception that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def _has_result(task: "asyncio.Task[Any]") -> bool:
    return (
        task.done()
        and not task.cancelled()
        and task.exception() is None
        and task.result() is not None
    )


async def _wait_or_cancel(task: "asyncio.Task[Any]") -> None:
    """Wait for a task to unwind; if it takes too long, cancel it, wait again, then abandon it."""
    await _wait_uncancelled(task)
    if not task.done():
        task.cancel()
        await _wait_uncancelled(task)


async def _wait_uncancelled(task: "asyncio.Task[Any]") -> None:
    """Wait for a task, at most ``_UNWIND`` seconds, even if cancelled: the caller already is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _UNWIND
    while not task.done() and (left := end - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=left)


def _connections_of(transport: httpx.AsyncHTTPTransport) -> int:
    return min(max_connections_of(transport, _DEFAULT_CONNECTIONS), 1_000_000)
