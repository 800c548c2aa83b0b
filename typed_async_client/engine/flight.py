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
from typed_async_client.engine.story import Story
from typed_async_client.events import AsyncEvent, EventType

if TYPE_CHECKING:
    import httpx

__all__ = ["Flight", "Register", "ResponseTask", "wait_for_landing"]

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
        ending: the terminal event, once it was published.
        request_id: the name of the request.
        task: the request's task, once it is made.
    """

    __slots__ = ("_caller", "_landed", "_monitor", "_story", "ending", "request_id", "task")

    def __init__(self, story: Story, monitor: Monitor, landed: Callable[["Flight"], None]) -> None:
        self.ending: AsyncEvent | None = None
        self.request_id: str = story.context.request_id
        self.task: ResponseTask | None = None
        self._caller = contextvars.copy_context()
        self._landed = landed
        self._monitor = monitor
        self._story = story

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
        if self.ending is not None:  # given up already by a client that could not wait for it
            return
        if event.event_type is not EventType.RETRY:
            self.ending = event
        self._monitor.publish(event, self._caller)
        if self.ending is not None:
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
        self._awaited: dict[str, asyncio.Event] = {}

    def add(self, flight: Flight) -> None:
        """Take a request in."""
        self._by_id.setdefault(flight.request_id, []).append(flight)
        self._count += 1
        if self._awaited:
            arrival = self._awaited.pop(flight.request_id, None)
            if arrival is not None:
                arrival.set()

    def remove(self, flight: Flight) -> None:
        """Let a request go."""
        namesakes = self._by_id[flight.request_id]
        namesakes.remove(flight)
        self._count -= 1
        if not namesakes:
            del self._by_id[flight.request_id]

    async def wait_for_arrival(self, request_id: str) -> None:
        """Wait until a request of that id is launched."""
        arrival = self._awaited.setdefault(request_id, asyncio.Event())
        try:
            await arrival.wait()
        finally:
            self._awaited.pop(request_id, None)
            arrival.set()  # others who wait for it look again, and wait anew

    def flights(self, besides: "asyncio.Task[Any] | None" = None) -> list[Flight]:
        """Give the requests in flight, but for the one that a task makes itself."""
        present = [flight for namesakes in self._by_id.values() for flight in namesakes]
        return _still_flying(present, besides)

    def named(self, request_id: str, besides: "asyncio.Task[Any] | None") -> list[Flight]:
        """Give those of them that bear a request id."""
        return _still_flying(list(self._by_id.get(request_id, ())), besides)

    def __len__(self) -> int:
        return self._count


def _still_flying(flights: list[Flight], besides: "asyncio.Task[Any] | None") -> list[Flight]:
    """Leave out those that have ended; end those whose task has ended without a word.

    Only an error outside the ``Exception`` tree can end a task so.
    """
    for flight in flights:
        if flight.task is not None and flight.task.done():
            flight.abandon()
    return [one for one in flights if one.ending is None and one.task is not besides]


async def wait_for_landing(
    flights: Iterable[Flight],
    timeout: float | None = None,  # noqa: ASYNC109 - asyncio.wait's own
) -> None:
    """Wait until the tasks of some requests have ended, ``timeout`` seconds at most."""
    tasks = [flight.task for flight in flights if flight.task is not None]
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)
    else:
        await asyncio.sleep(0)  # eager ones are being launched in this very turn
