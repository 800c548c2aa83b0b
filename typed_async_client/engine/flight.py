"""A submitted request while it runs, and the register of all that run.

Owns the promise that each ends in exactly one terminal event, whenever its task is cancelled.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from typed_async_client.engine.drivers import drive
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.story import Story
from typed_async_client.events import AsyncEvent

if TYPE_CHECKING:
    import httpx

__all__ = ["Flight", "Register", "ResponseTask"]

ResponseTask: TypeAlias = "asyncio.Task[httpx.Response]"
"""The task of one request: its result is the response, cancelling it cancels the request."""


class Flight:
    """One request on its way to its terminal event.

    Args:
        story: the request's counters.
        monitor: takes its events.
        landed: called once, right after the terminal event.

    Attributes:
        has_landed: whether the terminal event was published.
        request_id: the name of the request.
    """

    __slots__ = ("_caller", "_landed", "_monitor", "has_landed", "request_id", "story")

    def __init__(self, story: Story, monitor: Monitor, landed: Callable[["Flight"], None]) -> None:
        self.has_landed = False
        self.request_id = story.context.request_id
        self.story = story
        self._caller = contextvars.copy_context()
        self._landed = landed
        self._monitor = monitor

    def launch(
        self, send: Callable[[], Coroutine[Any, Any, "httpx.Response"]]
    ) -> Coroutine[Any, Any, "httpx.Response"]:
        """Give the coroutine of the request, which stands at its first line already.

        A task that is cancelled before its first step runs none of a fresh coroutine, its
        ``finally`` included. One that has begun hears of it like of any other cancellation.
        """
        life = self._live(send)
        life.send(None)
        return life

    def abandon(self) -> None:
        """Publish the terminal event for a request that does not get to do so itself."""
        if not self.has_landed:
            self._emit(self.story.cancelled(asyncio.CancelledError()))

    async def _live(
        self, send: Callable[[], Coroutine[Any, Any, "httpx.Response"]]
    ) -> "httpx.Response":
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.abandon()
            raise
        try:
            return await drive(request_flow(self.story), send, self._emit)
        except Exception:
            _silence(asyncio.current_task())
            raise

    def _emit(self, event: AsyncEvent) -> None:
        if self.has_landed:  # given up already by a client that could not wait for it
            return
        self._monitor.publish(event, self._caller)
        if event.event_type.is_terminal:
            self.has_landed = True
            self._landed(self)


def _silence(task: "asyncio.Task[Any] | None") -> None:
    """Keep asyncio from logging an error that nobody awaited: it stays in the result."""
    if task is not None:
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


class Register:
    """The requests in flight and their tasks, by request id."""

    def __init__(self) -> None:
        self._tasks: dict[Flight, ResponseTask] = {}
        self._by_id: dict[str, dict[Flight, ResponseTask]] = {}
        self._arrival: asyncio.Event | None = None  # made when someone waits for one

    def add(self, flight: Flight, task: ResponseTask) -> None:
        """Take a request in."""
        self._tasks[flight] = task
        self._by_id.setdefault(flight.request_id, {})[flight] = task
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    def remove(self, flight: Flight) -> None:
        """Let a request go; one that was never taken in is none of ours."""
        if self._tasks.pop(flight, None) is None:
            return
        namesakes = self._by_id[flight.request_id]
        del namesakes[flight]
        if not namesakes:
            del self._by_id[flight.request_id]

    async def wait_for_arrival(self) -> None:
        """Wait until one more request is launched."""
        if self._arrival is None:
            self._arrival = asyncio.Event()
        await self._arrival.wait()

    def named(self, request_id: str) -> list[ResponseTask]:
        """Give the tasks in flight that bear a request id."""
        return list(self._by_id.get(request_id, {}).values())

    def tasks(self) -> set[ResponseTask]:
        """Give all tasks in flight."""
        return set(self._tasks.values())

    def flights(self) -> list[Flight]:
        """Give all requests in flight."""
        return list(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)
