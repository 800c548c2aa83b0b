"""The requests in flight.

Ensures that each ends with exactly one terminal event, whenever its task is cancelled.
"""

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from typed_async_client.engine.drivers import AsyncDriver, AsyncSender
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.run import Run
from typed_async_client.events import AsyncEvent, EventType

if TYPE_CHECKING:
    import httpx

    from typed_async_client.engine.steps import Flow

__all__ = ["Around", "InFlight", "InFlightRequests", "ResponseTask", "wait_for_tasks"]

ResponseTask: TypeAlias = "asyncio.Task[httpx.Response]"
"""The task of one request: its result is the response; cancelling it cancels the request."""

Around: TypeAlias = "Callable[[Callable[[AsyncEvent], None]], Flow[httpx.Response]]"
"""Given what publishes events, returns the flow of a request with its middleware."""

_RequestCoroutine: TypeAlias = "Coroutine[Any, Any, httpx.Response]"


class InFlight:
    """One request, from its submission to its terminal event.

    Args:
        run: the request's state.
        monitor: publishes its events.
        on_end: called once, right after the terminal event.
        reader: the task that reads its body, if that stays open when its own task has ended.

    Attributes:
        reader: the same.
        terminal_event: the terminal event; None until it's published.
        request_id: the id of the request.
        task: the request's task; None until it's created.
    """

    __slots__ = (
        "_caller",
        "_coroutine",
        "_ended",
        "_monitor",
        "_on_end",
        "_run",
        "reader",
        "request_id",
        "task",
        "terminal_event",
    )

    def __init__(
        self,
        run: Run,
        monitor: Monitor,
        on_end: Callable[["InFlight"], None],
        reader: "asyncio.Task[Any] | None" = None,
    ) -> None:
        self.reader: asyncio.Task[Any] | None = reader
        self._ended: asyncio.Future[None] | None = None
        self.request_id: str = run.context.request_id
        self.task: ResponseTask | None = None
        self.terminal_event: AsyncEvent | None = None
        self._coroutine: _RequestCoroutine | None = None
        self._caller = contextvars.copy_context()
        self._on_end = on_end
        self._monitor = monitor
        self._run = run

    def launch(
        self,
        loop: asyncio.AbstractEventLoop,
        sender: AsyncSender,
        around: "Around | None" = None,
    ) -> ResponseTask:
        """Create the request's task on the running loop, with its middleware, if it has any.

        The task factory of the event loop may wrap the coroutine, or run it right away. A task that
        is cancelled before its first step never runs the coroutine at all, not even its ``finally``
        blocks: the done callback publishes the terminal event then.

        Raises:
            Exception: the task factory refused; the request has ended as cancelled.
        """
        flow = request_flow(self._run) if around is None else around(self._emit)
        coroutine = AsyncDriver(sender, self._emit).drive(flow)
        try:
            task: ResponseTask = loop.create_task(coroutine)
        except BaseException:
            _close_unless_started(coroutine)
            self.abandon()
            raise
        self.task = task
        self._coroutine = coroutine
        try:  # noqa: SIM105 - suppress() is slower, for every request
            task.set_name(self._run.record.name)
        except (
            AttributeError,
            TypeError,
        ):  # the task factory has created something that can't be named
            pass
        task.add_done_callback(self._on_done)
        return task

    def fail(self, error: Exception) -> None:
        """Publish the terminal event of a request that has no task, as it wasn't admitted."""
        self._emit(self._run.failed_event(error))

    @property
    def is_open(self) -> bool:
        """Whether its task has ended, and its body is still being read."""
        return self._ended is not None and not self._ended.done()

    @property
    def end(self) -> "asyncio.Future[Any] | None":
        """What completes when the request has ended; None if its task is just being created."""
        return self.task if self._ended is None else self._ended

    def abandon(self) -> None:
        """Publish the terminal event of a request whose task can't do so itself."""
        self._emit(self._run.cancelled_event(asyncio.CancelledError()))

    def _emit(self, event: AsyncEvent) -> None:
        if self.terminal_event is not None:  # the client has closed and abandoned this request
            return
        is_terminal = event.event_type.is_terminal
        if is_terminal:
            self.terminal_event = event
        self._monitor.publish(event, self._caller)
        if is_terminal:
            self._on_end(self)
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)
            if event.error is None and self.task is not None:
                self.task.remove_done_callback(self._on_done)  # most requests succeed

    def _on_done(self, task: ResponseTask) -> None:
        """Ensure that the request has ended with its task.

        This is the task's first done callback, so the result exists when others are notified.
        """
        if self.terminal_event is None:
            if not task.cancelled() and task.exception() is None:
                self._ended = task.get_loop().create_future()
                self.task = None
                return
            self.abandon()
        event = cast("AsyncEvent", self.terminal_event)
        self.task = None  # its error refers back to this object
        if event.event_type is EventType.CANCELLED:
            _close_unless_started(cast("_RequestCoroutine", self._coroutine))
        else:
            with contextlib.suppress(asyncio.CancelledError):
                task.exception()  # retrieved, so asyncio doesn't log it: the result has it


def _close_unless_started(coroutine: _RequestCoroutine) -> None:
    """Close a coroutine that no task has run; Python would warn that it was never awaited."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


class InFlightRequests:
    """The requests in flight, by request id."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[InFlight]] = {}
        self._count = 0
        self._submissions: dict[str, asyncio.Event] = {}  # by awaited request id

    def add(self, request: InFlight) -> None:
        """Add a request."""
        self._by_id.setdefault(request.request_id, []).append(request)
        self._count += 1
        if self._submissions:
            submitted = self._submissions.pop(request.request_id, None)
            if submitted is not None:
                submitted.set()

    def remove(self, request: InFlight) -> None:
        """Remove a request."""
        same_id = self._by_id[request.request_id]
        same_id.remove(request)
        self._count -= 1
        if not same_id:
            del self._by_id[request.request_id]

    async def wait_for_submission(self, request_id: str) -> None:
        """Wait until a request with that id is launched; may return early."""
        submitted = self._submissions.setdefault(request_id, asyncio.Event())
        try:
            await submitted.wait()
        finally:
            self._submissions.pop(request_id, None)
            submitted.set()  # other waiters share this event: they look again and wait again

    def active(self, excluding: "asyncio.Task[Any] | None" = None) -> list[InFlight]:
        """Return the requests in flight, except the one whose task is ``excluding``."""
        requests = [request for same_id in self._by_id.values() for request in same_id]
        return _still_active(requests, excluding)

    def with_id(self, request_id: str, excluding: "asyncio.Task[Any] | None") -> list[InFlight]:
        """Return the active requests that have a request id."""
        return _still_active(list(self._by_id.get(request_id, ())), excluding)

    def __len__(self) -> int:
        return self._count


def _still_active(
    requests: list[InFlight], excluding: "asyncio.Task[Any] | None"
) -> list[InFlight]:
    """Filter out the requests that have ended."""
    return [
        one
        for one in requests
        if one.terminal_event is None
        and (excluding is None or (one.task is not excluding and one.reader is not excluding))
    ]


async def wait_for_tasks(
    requests: Iterable[InFlight],
    timeout: float | None = None,  # noqa: ASYNC109 - passed to asyncio.wait
) -> None:
    """Wait until some requests have ended, at most ``timeout`` seconds."""
    ends = [request.end for request in requests if request.end is not None]
    if ends:
        await asyncio.wait(ends, timeout=timeout)
    else:
        await asyncio.sleep(0)  # eager tasks are just being created
