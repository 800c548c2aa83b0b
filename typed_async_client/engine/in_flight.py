"""A submitted request while it runs, and the register of all that run.

Owns the promise that each ends in exactly one terminal event, whenever its task is cancelled.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from typed_async_client.engine.drivers import drive
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.state import RequestState
from typed_async_client.events import AsyncEvent, EventType

if TYPE_CHECKING:
    import httpx

__all__ = ["InFlight", "InFlightRequests", "ResponseTask", "wait_for_tasks"]

ResponseTask: TypeAlias = "asyncio.Task[httpx.Response]"
"""The task of one request: its result is the response, cancelling it cancels the request."""

Life: TypeAlias = "Coroutine[Any, Any, httpx.Response]"


class InFlight:
    """One request on its way to its terminal event.

    Args:
        state: the request's counters.
        monitor: takes its events.
        on_end: called once, right after the terminal event.

    Attributes:
        ending: the terminal event, once it was published.
        request_id: the name of the request.
        task: the request's task, once it is made.
    """

    __slots__ = ("_caller", "_monitor", "_on_end", "_state", "ending", "request_id", "task")

    def __init__(
        self, state: RequestState, monitor: Monitor, on_end: Callable[["InFlight"], None]
    ) -> None:
        self.ending: AsyncEvent | None = None
        self.request_id: str = state.context.request_id
        self.task: ResponseTask | None = None
        self._caller = contextvars.copy_context()
        self._on_end = on_end
        self._monitor = monitor
        self._state = state

    def launch(self, send: Callable[[], Life]) -> Life:
        """Give the coroutine of the request, which has begun already.

        A task that is cancelled before its first step runs none of a fresh coroutine, its
        ``finally`` included. One that has begun hears of it like of any other cancellation.
        """
        life = drive(request_flow(self._state), send, self._emit)
        life.send(None)
        return life

    def abandon(self) -> None:
        """Publish the terminal event for a request that does not get to do so itself."""
        self._emit(self._state.cancelled(asyncio.CancelledError()))

    def _emit(self, event: AsyncEvent) -> None:
        if self.ending is not None:  # given up already by a client that could not wait for it
            return
        if event.event_type is not EventType.RETRY:
            self.ending = event
        self._monitor.publish(event, self._caller)
        if self.ending is not None:
            self._on_end(self)
            if isinstance(event.error, Exception):
                _silence(cast("asyncio.Task[Any]", asyncio.current_task()))


def _silence(task: "asyncio.Task[Any]") -> None:
    """Keep asyncio from logging an error that nobody awaited: it stays in the result."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


class InFlightRequests:
    """The requests in flight, by request id."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[InFlight]] = {}
        self._count = 0
        self._awaited: dict[str, asyncio.Event] = {}

    def add(self, request: InFlight) -> None:
        """Take a request in."""
        self._by_id.setdefault(request.request_id, []).append(request)
        self._count += 1
        if self._awaited:
            arrival = self._awaited.pop(request.request_id, None)
            if arrival is not None:
                arrival.set()

    def remove(self, request: InFlight) -> None:
        """Let a request go."""
        namesakes = self._by_id[request.request_id]
        namesakes.remove(request)
        self._count -= 1
        if not namesakes:
            del self._by_id[request.request_id]

    async def wait_for_arrival(self, request_id: str) -> None:
        """Wait until a request of that id is launched."""
        arrival = self._awaited.setdefault(request_id, asyncio.Event())
        try:
            await arrival.wait()
        finally:
            self._awaited.pop(request_id, None)
            arrival.set()  # others who wait for it look again, and wait anew

    def active(self, besides: "asyncio.Task[Any] | None" = None) -> list[InFlight]:
        """Give the requests in flight, but for the one that a task makes itself."""
        present = [request for namesakes in self._by_id.values() for request in namesakes]
        return _still_active(present, besides)

    def named(self, request_id: str, besides: "asyncio.Task[Any] | None") -> list[InFlight]:
        """Give those of them that bear a request id."""
        return _still_active(list(self._by_id.get(request_id, ())), besides)

    def __len__(self) -> int:
        return self._count


def _still_active(requests: list[InFlight], besides: "asyncio.Task[Any] | None") -> list[InFlight]:
    """Leave out those that have ended; end those whose task has ended without a word.

    Only an error outside the ``Exception`` tree can end a task so.
    """
    for request in requests:
        if request.task is not None and request.task.done():
            request.abandon()
    return [one for one in requests if one.ending is None and one.task is not besides]


async def wait_for_tasks(
    requests: Iterable[InFlight],
    timeout: float | None = None,  # noqa: ASYNC109 - asyncio.wait's own
) -> None:
    """Wait until the tasks of some requests have ended, ``timeout`` seconds at most."""
    tasks = [request.task for request in requests if request.task is not None]
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)
    else:
        await asyncio.sleep(0)  # eager ones are being launched in this very turn
