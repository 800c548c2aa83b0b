"""Enters the transports of a client when it starts, and leaves them when it closes.

httpx does both in ``async with``. A resilient client also starts with its first request, and may be
closed by any task, but a transport may have to be left by the task that has entered it: one that
opens an anyio task group does. So each client has one task for both.
"""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx

from typed_async_client.errors import ClientClosedError
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.private import forget_task, mark_closed, transports_of
from typed_async_client.record import RequestRecord
from typed_async_client.sent import SentLog, begin_attempt
from typed_async_client.transports.backends.foreign import ForeignTransport
from typed_async_client.unclosed import WarnsUnclosed

__all__ = ["OwnClient"]

_NOT_ENTERED = (
    "the client was closed, or its event loop was shut down, before its transport was entered"
)


class OwnClient(WarnsUnclosed):
    """The httpx client that a resilient client has built, and its transports.

    Transports are entered if entering at least one of them does anything. Those of httpx only need
    to be closed. Our pool may be shared, so it is entered too, but that takes no task.

    Args:
        client: the httpx client.

    Attributes:
        client: the httpx client.
        is_entered: whether the transports have been entered, where needed.
        error: the exception that ends the ``async with`` of the resilient client, if any.
    """

    _has_owner = True

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self._visit: _Visit | None = None
        self._joined: list[AsyncPoolTransport] = []
        self.is_entered: bool = False
        self.error: BaseException | None = None

    @property
    def _is_unclosed(self) -> bool:
        """Whether a transport was entered, or one made for this client has open connections."""
        is_inside = self._visit is not None and self._visit.is_inside
        return is_inside or super()._is_unclosed

    @property
    def _parts(self) -> list[Any]:
        """The transports."""
        return transports_of(self.client)

    def _abandon(self) -> None:
        """Leave the transports that were entered, and close idle connections."""
        if self._visit is not None:
            self._visit.abandon()
        super()._abandon()

    def begin_attempt(self, record: RequestRecord) -> SentLog:
        """Start a new log of what the running task's attempt sends."""
        log = SentLog(None, record)
        begin_attempt(log)
        return log

    async def enter(self) -> None:
        """Enter the transports, once: concurrent calls wait for the first one.

        If a transport raises, those entered before it are left, and the next call enters them
        again.

        Raises:
            ClientClosedError: the client was closed in the meantime.
            Exception: whatever a transport raises.
        """
        if self.is_entered:
            return
        if self._visit is None or self._visit.has_failed:
            transports = [entry for entry in transports_of(self.client) if entry is not None]
            if not any(map(_needs_entering, transports)):
                await self._join(transports)
                self.is_entered = True
                return
            self._visit = _Visit(transports)
        await self._visit.until_entered()
        self.is_entered = True

    async def leave(self) -> None:
        """Leave the transports, or close them if they weren't entered."""
        error, self.error = self.error, None
        if self._visit is not None and await self._visit.has_succeeded():
            mark_closed(self.client)
            await self._visit.end(error)
        elif self._joined:
            mark_closed(self.client)
            await self._leave_joined()
        else:
            await self.client.aclose()

    async def _join(self, transports: Sequence[Any]) -> None:
        """Enter our pools, which never waits."""
        for transport in transports:
            if type(transport) is AsyncPoolTransport:
                await transport.__aenter__()
                self._joined.append(transport)

    async def _leave_joined(self) -> None:
        """Leave our pools, and close the other transports, whatever they raise."""
        joined, self._joined = self._joined, []
        async with contextlib.AsyncExitStack() as stack:
            for transport in transports_of(self.client):
                if type(transport) is not AsyncPoolTransport and transport is not None:
                    stack.push_async_callback(transport.aclose)
            for pool in joined:
                stack.push_async_callback(pool.__aexit__)


def _needs_entering(transport: Any) -> bool:
    """Whether entering a transport does anything, and leaving it does more than closing it."""
    if isinstance(transport, ForeignTransport):
        transport = transport.inner
    kind = type(transport)
    if kind in {AsyncPoolTransport, httpx.AsyncHTTPTransport} or not hasattr(kind, "__aenter__"):
        return False
    base = httpx.AsyncBaseTransport
    return (kind.__aenter__, kind.__aexit__) != (base.__aenter__, base.__aexit__)


class _Visit:
    """One stay in the transports, which ends at the latest when this object is freed."""

    def __init__(self, transports: Sequence[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._entered: asyncio.Future[None] = self._loop.create_future()
        self._leaving: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._task = self._loop.create_task(_visit(transports, self._entered, self._leaving))
        self._task.add_done_callback(functools.partial(_report_failure, self._entered))
        _staying.add(self._task)
        self._task.add_done_callback(_staying.discard)

    @property
    def is_inside(self) -> bool:
        """Whether the transports are being entered, or haven't been left yet."""
        return not self._task.done()

    @property
    def has_failed(self) -> bool:
        """Whether a transport couldn't be entered."""
        return self._entered.done() and self._entered.exception() is not None

    async def until_entered(self) -> None:
        await asyncio.wait({self._entered})  # cancelling one caller doesn't affect the others
        self._entered.result()

    async def has_succeeded(self) -> bool:
        """Whether the transports were entered; if that is still going on, it is cancelled."""
        if not self._entered.done():
            self._task.cancel()
            await asyncio.wait({self._entered})
        return not self.has_failed

    async def end(self, error: BaseException | None) -> None:
        _resolve(self._leaving, error)
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def __del__(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Let the transports be left, from any thread."""
        if self._loop.is_closed():
            forget_task(self._task)
            _staying.discard(self._task)
        elif not self._leaving.done():
            with contextlib.suppress(RuntimeError):  # it was closed in the meantime
                self._loop.call_soon_threadsafe(_resolve, self._leaving, None)


_staying: set["asyncio.Task[None]"] = set()
"""The tasks of all visits. The garbage collector would end one that is in a reference cycle before it
has left the transports. A loop that is dropped without being closed stays, if a visit hasn't ended."""


async def _visit(
    transports: Sequence[Any],
    entered: "asyncio.Future[None]",
    leaving: "asyncio.Future[BaseException | None]",
) -> None:
    """Enter the transports, wait, and leave them in reverse order."""
    async with contextlib.AsyncExitStack() as stack:
        for transport in transports:
            await _enter(transport, stack)
        entered.set_result(None)
        try:
            error = await leaving
        except GeneratorExit:  # the loop was closed, so that nothing can be awaited any more
            stack.pop_all()
            raise
        traceback = None if error is None else error.__traceback__
        await stack.pop_all().__aexit__(type(error) if error else None, error, traceback)


async def _enter(transport: Any, stack: contextlib.AsyncExitStack) -> None:
    kind = type(transport)
    if hasattr(kind, "__aenter__"):
        await transport.__aenter__()
        stack.push_async_exit(functools.partial(_exit, transport))
    else:  # httpx doesn't require it of a transport that is used outside ``async with``
        stack.push_async_callback(transport.aclose)


async def _exit(
    transport: Any,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    """Leave a transport; unlike ``__aexit__``, this can't suppress an exception."""
    await transport.__aexit__(exc_type, exc, traceback)


def _resolve(leaving: "asyncio.Future[BaseException | None]", error: BaseException | None) -> None:
    if not leaving.done():
        leaving.set_result(error)


def _report_failure(entered: "asyncio.Future[None]", task: "asyncio.Task[None]") -> None:
    """Pass the error that ended a visit to those who wait for the transports to be entered."""
    if entered.done():
        return
    error = None if task.cancelled() else task.exception()
    entered.set_exception(error or ClientClosedError(_NOT_ENTERED))
    entered.exception()  # keeps asyncio from logging it if every caller has gone
