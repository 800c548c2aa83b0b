"""A submitted request while it runs, and the register of all that run.

Owns the promise that each ends in exactly one terminal event, whenever its task is cancelled.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from typed_async_client.engine.drivers import drive
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.story import Story
from typed_async_client.events import AsyncEvent, EventType

if TYPE_CHECKING:
    import httpx

__all__ = ["Flight", "Register", "ResponseTask"]

ResponseTask: TypeAlias = "asyncio.Task[httpx.Response]"
"""The task of one request: its result is the response, cancelling it cancels the request."""

Life: TypeAlias = "Coroutine[Any, Any, httpx.Response]"


class Flight:
    """One request on its way to its terminal event.

    Args:
        story: the request's counters.
        monitor: takes its events.
        landed: called once, right after the terminal event.

    Attributes:
        has_landed: whether the terminal event was published.
        request_id: the name of the request.
        task: the request's task, once it is made.
    """

    __slots__ = ("_caller", "_landed", "_monitor", "_story", "has_landed", "request_id", "task")

    def __init__(self, story: Story, monitor: Monitor, landed: Callable[["Flight"], None]) -> None:
        self.has_landed: bool = False
        self.request_id: str = story.context.request_id
        self.task: ResponseTask | None = None
        self._story = story
        self._caller = contextvars.copy_context()
        self._landed = landed
        self._monitor = monitor

    def launch(self, send: Callable[[], Life]) -> Life:
        """Give the coroutine of the request, which has begun already.

        A task that is cancelled before its first step runs none of a fresh coroutine, its
        ``finally`` included. One that has begun hears of it like of any other cancellation.
        """
        life = drive(request_flow(self._story), send, self._emit)
        life.send(None)
        return life

    def abandon(self) -> None:
        """Publish the terminal event for a request that does not get to do so itself."""
        self._emit(self._story.cancelled(asyncio.CancelledError()))

    def _emit(self, event: AsyncEvent) -> None:
        if self.has_landed:  # given up already by a client that could not wait for it
            return
        self._monitor.publish(event, self._caller)
        if event.event_type is not EventType.RETRY:
            self.has_landed = True
            self._landed(self)
            if isinstance(event.error, Exception):
                _silence(cast("asyncio.Task[Any]", asyncio.current_task()))


def _silence(task: "asyncio.Task[Any]") -> None:
    """Keep asyncio from logging an error that nobody awaited: it stays in the result."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


class Register:
    """The requests in flight, by request id."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[Flight]] = {}
        self._count = 0
        self._arrival: asyncio.Event | None = None  # made when someone waits for one

    def add(self, flight: Flight) -> None:
        """Take a request in."""
        self._by_id.setdefault(flight.request_id, []).append(flight)
        self._count += 1
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    def remove(self, flight: Flight) -> None:
        """Let a request go."""
        namesakes = self._by_id[flight.request_id]
        namesakes.remove(flight)
        self._count -= 1
        if not namesakes:
            del self._by_id[flight.request_id]

    async def wait_for_arrival(self) -> None:
        """Wait until one more request is launched."""
        if self._arrival is None:
            self._arrival = asyncio.Event()
        await self._arrival.wait()

    def flights(self) -> list[Flight]:
        """Give the requests in flight."""
        return [flight for namesakes in self._by_id.values() for flight in namesakes]

    def tasks(self) -> set[ResponseTask]:
        """Give the tasks of all requests in flight."""
        return {flight.task for flight in self.flights() if flight.task is not None}

    def named(self, request_id: str) -> set[ResponseTask]:
        """Give the tasks of the requests in flight that bear a request id."""
        namesakes = self._by_id.get(request_id, ())
        return {flight.task for flight in namesakes if flight.task is not None}

    def __len__(self) -> int:
        return self._count
