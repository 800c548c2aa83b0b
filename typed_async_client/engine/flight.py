"""A submitted request while it runs, and the register of all that run.

Owns the promise that each ends in exactly one terminal event: also when its task is cancelled
before its first step, where no code of the task ever runs.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

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
    """

    __slots__ = ("_caller", "_ended", "_monitor", "story")

    def __init__(self, story: Story, monitor: Monitor) -> None:
        self.story = story
        self._monitor = monitor
        self._caller = contextvars.copy_context()
        self._ended = False

    def emit(self, event: AsyncEvent) -> None:
        """Publish an event, unless the terminal one was published already."""
        if not self._ended:
            self._ended = event.event_type.is_terminal
            self._monitor.publish(event, self._caller)

    def abandon(self) -> None:
        """Publish the terminal event for a request that did not get to do so itself."""
        if not self._ended:
            self.emit(self.story.cancelled(asyncio.CancelledError()))


class Register:
    """The requests in flight, by task and by request id.

    Args:
        landed: called once for each request whose task has ended.
    """

    def __init__(self, landed: Callable[[], None]) -> None:
        self._landed = landed
        self._flights: dict[ResponseTask, Flight] = {}
        self._by_id: dict[str, set[ResponseTask]] = {}
        self._arrival: asyncio.Event | None = None  # made when someone waits for one

    def add(self, flight: Flight, task: ResponseTask) -> None:
        """Watch over a request until its task has ended."""
        self._flights[task] = flight
        self._by_id.setdefault(flight.story.context.request_id, set()).add(task)
        task.add_done_callback(self._remove)
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    async def wait_for_arrival(self) -> None:
        """Wait until one more request is launched."""
        if self._arrival is None:
            self._arrival = asyncio.Event()
        await self._arrival.wait()

    def named(self, request_id: str) -> set[ResponseTask]:
        """Give the tasks in flight that bear a request id."""
        return set(self._by_id.get(request_id, ()))

    def tasks(self) -> set[ResponseTask]:
        """Give all tasks in flight."""
        return set(self._flights)

    def abandon(self, tasks: Iterable[ResponseTask]) -> None:
        """Publish the terminal events of requests that do not end although cancelled."""
        for task in tasks:
            self._flights[task].abandon()

    def __len__(self) -> int:
        return len(self._flights)

    def _remove(self, task: ResponseTask) -> None:
        flight = self._flights.pop(task)
        request_id = flight.story.context.request_id
        self._by_id[request_id].discard(task)
        if not self._by_id[request_id]:
            del self._by_id[request_id]
        if task.cancelled():
            flight.abandon()
        else:
            task.exception()  # seen, so that asyncio does not log it for a task nobody awaits
        self._landed()
