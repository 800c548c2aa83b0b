"""Server-sent events: one stream of events out of as many connections as it takes."""

import asyncio
import contextlib
import dataclasses
import math
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from typed_async_client.engine.reconnecting import StreamEnd, reconnection_flow, refund_flow
from typed_async_client.errors import GaveUpError, RejectedError
from typed_async_client.facts import fault_of
from typed_async_client.httpx_errors import as_httpx_error
from typed_async_client.policies.retry import RETRYABLE_FAULTS
from typed_async_client.sources.kinds import ADVICE, refused_again
from typed_async_client.streams.connections import EventConnection, StreamPlan

if TYPE_CHECKING:
    import httpx

    from typed_async_client.context import RequestContext
    from typed_async_client.engine.run import Run
    from typed_async_client.streams.parsing.server_sent import ServerSentEvent

__all__ = ["EventStream"]


class EventStream(
    contextlib.AbstractAsyncContextManager["EventStream"], AsyncIterator["ServerSentEvent"]
):
    """The events of a server, made by ``client.sse()``.

    The first connection is made on entering, and leaving closes the last one.

    Args:
        plan: what its connections have in common.
    """

    def __init__(self, plan: StreamPlan) -> None:
        self._connection: EventConnection | None = None
        self._count = 1  # connections, the next one included
        self._first_id = ""  # the request id of the first
        self._is_left = False
        self._is_over = False
        self._plan = plan
        self._ready: deque[ServerSentEvent] = deque()
        self._returned_id = plan.last_event_id
        self._until = math.inf
        self._withdrawn: tuple[Run, Any] | None = None  # for the current connection

    @property
    def response(self) -> "httpx.Response":
        """The response of the current connection, for its headers.

        Raises:
            RuntimeError: there is none: the stream wasn't entered, or was left.
        """
        return self._current.response

    @property
    def last_event_id(self) -> str:
        """The id of the last event that was returned and had one; empty for none.

        Pass it to another ``client.sse()`` to go on there, as after an error.
        """
        if self._ready or self._connection is None:
            return self._returned_id
        return self._connection.parser.last_event_id

    @property
    def _current(self) -> EventConnection:
        if self._connection is None:
            raise RuntimeError("the stream isn't open: use it in `async with`")
        return self._connection

    def __aiter__(self) -> Self:
        _ = self._current  # raises if it wasn't entered
        return self

    async def __anext__(self) -> "ServerSentEvent":
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            self._is_over = True  # an error ends the iteration, as it ends that of a generator
            self._is_over = await self._advance(self._current)
        event = self._ready.popleft()
        self._returned_id = event.id
        return event

    async def _advance(self, connection: EventConnection) -> bool:
        """Read some events, or connect again; return whether there won't be more."""
        broken: Exception | None = None
        try:
            events = await connection.read_events()
        except Exception as error:
            if not self._may_follow(connection, error):
                raise
            broken, events = error, None
        try:
            if events is None:
                is_last = self._is_left or not self._plan.reconnects or connection.spent_body
                return bool(is_last) or await self._reconnect(connection, broken)
        finally:
            del broken  # it refers to this frame
        self._ready.extend(events)
        if events and self._withdrawn is not None:
            withdrawn, self._withdrawn = self._withdrawn, None
            await connection.drive(refund_flow(*withdrawn))
        return False

    def _may_follow(self, failed: EventConnection, error: Exception) -> bool:
        """Whether another connection may follow one that has failed."""
        if self._is_left or not self._plan.reconnects or self._plan.is_closed():
            return False
        is_ours = isinstance(error, GaveUpError | RejectedError)
        if is_ours or fault_of(as_httpx_error(error)) not in RETRYABLE_FAULTS:
            return False
        if failed.spent_body:
            error.add_note(f"not connected again: {refused_again(failed.spent_body)}; {ADVICE}")
        return not failed.spent_body

    async def _reconnect(self, connection: EventConnection, broken: Exception | None) -> bool:
        """Connect again, as often as it takes and is allowed; return whether there won't be more."""
        try:
            while True:
                await connection.__aexit__(None, None, None)
                connection = await self._wait(connection, broken)
                try:
                    await connection.__aenter__()
                except Exception as error:
                    if not self._may_follow(connection, error):
                        raise
                    broken = error
                else:
                    await self._close_if_left(connection)
                    return connection.is_last
        finally:
            del broken  # it refers to this frame

    async def _wait(self, ended: EventConnection, broken: Exception | None) -> EventConnection:
        """Wait until another connection may be made, and return it; it must be entered."""
        run, retry = ended.run, ended.parser.retry
        # Its own retries count, too: they were attempts in a row without an event.
        failures = 0 if ended.has_event else run.context.current_attempt + 1
        end = StreamEnd(
            error=broken,
            request=ended.request,
            failures=failures,
            asked=None if retry is None else retry / 1000,
            deadline=self._until,
        )
        try:
            self._withdrawn = run, await ended.drive(reconnection_flow(run, end))
        finally:
            del broken, end  # the error refers to this frame
        await self._close_if_left(ended)
        self._count += 1
        context = dataclasses.replace(
            run.context.renew(),
            request_id=f"{self._first_id}-{self._count}",
            current_attempt=failures,
        )
        following = self._connect(context, ended.parser.last_event_id)
        following.parser.retry = retry
        return following

    async def _close_if_left(self, connection: EventConnection) -> None:
        if self._is_left:
            await connection.__aexit__(None, None, None)
            raise RuntimeError("the stream was left while another task was reading it")

    def _connect(self, context: "RequestContext | None", last_event_id: str) -> EventConnection:
        self._connection = EventConnection(self._plan, context, last_event_id, self._until)
        return self._connection

    async def __aenter__(self) -> Self:
        if self._connection is not None:
            raise RuntimeError("this stream was entered before: call client.sse() again")
        plan = self._plan
        if plan.deadline is not None:
            self._until = asyncio.get_running_loop().time() + plan.deadline
        first = self._connect(plan.context, plan.last_event_id)
        await first.__aenter__()
        self._first_id = first.run.context.request_id
        self._is_over = first.is_last
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_left = True
        await self._current.__aexit__(exc_type, exc, traceback)
