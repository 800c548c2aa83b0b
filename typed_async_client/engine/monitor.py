"""The queue of events, and the monitor that drains it.

Its task only exists while there are events to deliver, so an idle client that is dropped leaves no
task behind, and no task keeps it alive. It records first and calls back second: a terminal event is in
the ledger before it is in the queue, so a result is available as soon as its task has ended, whatever
the callbacks are doing.
"""

import asyncio
import contextlib
import contextvars
from collections import Counter
from typing import Any, cast

from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.log import log_event
from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.policies.checks import require_count

__all__ = ["Monitor"]

_BATCH = 64
"""Events delivered per iteration of the event loop, so that a burst doesn't block it."""


class Monitor:
    """Records the events of all requests and delivers them to the callbacks.

    Only events with a callback are queued. A request never waits for the queue: when
    ``queue_size`` is exceeded, events are dropped and counted, but terminal events never are. The admission of further requests waits instead.

    Args:
        ledger: keeps the results.
        callbacks: the callbacks to deliver to.
        queue_size: events that may be queued before admission waits, >= 1.

    Attributes:
        published: events published so far by type, including the dropped ones.
        dropped: events that were dropped because the queue was full.
    """

    def __init__(self, ledger: Ledger, callbacks: Callbacks, *, queue_size: int) -> None:
        require_count("event_queue_size", queue_size, at_least=1)
        self._ledger = ledger
        self._callbacks = callbacks
        self._queue_size = queue_size
        self._queue: asyncio.Queue[tuple[AsyncEvent, contextvars.Context]] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self.published: Counter[EventType] = Counter()
        self.dropped: int = 0

    @property
    def is_started(self) -> bool:
        """Whether ``start()`` was called."""
        return self._loop is not None

    @property
    def backlog(self) -> int:
        """The number of events waiting to be delivered."""
        return self._queue.qsize()

    def publish(self, event: AsyncEvent, caller: contextvars.Context) -> None:
        """Record an event and queue it for the callbacks; never waits.

        Args:
            event: the next event of a request.
            caller: the context variables of the code that submitted the request.
        """
        kind = event.event_type
        self.published[kind] += 1
        is_terminal = kind.is_terminal
        if is_terminal:
            self._ledger.record(event)
        if kind is not EventType.SUCCESS:
            log_event(event)
        if kind not in self._callbacks.wanted:
            return
        waiting = self._queue.qsize()
        if waiting >= self._queue_size and not is_terminal:
            self.dropped += 1
            return
        # Not cloned at delivery: by then the caller has the response and may have changed it.
        self._queue.put_nowait((event.clone(), caller))
        if waiting >= self._queue_size:
            self._room.clear()
        if self._loop is None or self._loop.is_closed():
            self.drain()
        elif self._task is None:
            self._task = self._start_task(self._loop)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver events in a task from now on; before, they are delivered when published."""
        self._loop = loop

    async def stop(self) -> None:
        """Deliver every queued event, and wait for the end of the task that delivers them."""
        self.drain()
        if self._task is not None:
            await asyncio.wait({self._task})

    def _start_task(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
        # Not created by the loop, whose task factory may be eager: it would run right here.
        task = asyncio.Task(self._run(), loop=loop)
        task.add_done_callback(self._finish)
        return task

    async def _run(self) -> None:
        try:
            while self.backlog:
                self._deliver_batch()
                await self._ignore_cancellation_by_callbacks()
                if self.backlog:
                    await asyncio.sleep(0)
        finally:  # all tasks were cancelled, or a callback raised SystemExit
            self.drain()

    def _deliver_batch(self) -> None:
        """Deliver some events; cancelled requests don't count, as the loop may be stopping."""
        left = _BATCH
        while left and self.backlog:
            event, caller = self._queue.get_nowait()
            left -= event.event_type is not EventType.CANCELLED
            self._deliver(event, caller)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        """Deliver what was published since the task ended, or was cancelled before its first step."""
        self._task = None
        if task.cancelled():
            self.drain()
        elif self.backlog:
            self._task = self._start_task(task.get_loop())

    async def _ignore_cancellation_by_callbacks(self) -> None:
        """Continue if a callback has cancelled the current task, which is the monitor.

        No other code can have done so: it doesn't run between two callbacks.
        """
        monitor = cast("asyncio.Task[Any]", asyncio.current_task())
        if not monitor.cancelling():
            return
        self._callbacks.record_cancellation()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # before Python 3.13, uncancel() leaves it pending
        while monitor.cancelling():
            monitor.uncancel()

    def drain(self) -> None:
        """Deliver every queued event now, for when no monitor task is running."""
        while self.backlog:
            self._deliver(*self._queue.get_nowait())

    @property
    def has_room(self) -> bool:
        """Whether at most ``queue_size`` events are queued."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Wait until ``has_room``."""
        while not self.has_room:
            await self._room.wait()

    async def wait_until_delivered(self) -> None:
        """Wait until every event published so far has been delivered."""
        await self._queue.join()

    def _deliver(self, event: AsyncEvent, caller: contextvars.Context) -> None:
        try:
            self._callbacks.deliver(event, caller)
        finally:
            self._queue.task_done()
            if self.backlog <= self._queue_size:
                self._room.set()
