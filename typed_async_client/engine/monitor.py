"""The queue of events, and the monitor that drains it.

It records first and calls back second: a terminal event is in the ledger before it is in the
queue, so a result is there as soon as its task has ended, whatever the callbacks are doing.
"""

import asyncio
import contextvars
from collections import Counter

from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.ledger import Ledger
from typed_async_client.events import AsyncEvent, EventType

__all__ = ["Monitor"]

_BATCH = 64
"""Events delivered in one turn of the event loop, so that a burst does not hold it up."""


class Monitor:
    """Takes the events of all requests, keeps their results, and hands them to the callbacks.

    An event that no callback wants goes no further than the ledger. A request never waits for
    the queue: past ``queue_size`` a ``RETRY`` is dropped and counted; a terminal event never is.
    What waits is the admission of further requests.

    Args:
        ledger: keeps the results.
        callbacks: want the events.
        queue_size: events that may wait before admission does, >= 1.

    Attributes:
        published: events taken so far, by kind, the dropped ones included.
        dropped: events that found the queue full and are told to nobody.
    """

    def __init__(self, ledger: Ledger, callbacks: Callbacks, *, queue_size: int) -> None:
        if type(queue_size) is not int or queue_size < 1:
            raise ValueError(f"event_queue_size must be a whole number >= 1, got {queue_size!r}")
        self._ledger = ledger
        self._callbacks = callbacks
        self._queue_size = queue_size
        self._queue: asyncio.Queue[tuple[AsyncEvent, contextvars.Context]] = asyncio.Queue()
        self._is_running = False
        self._room = asyncio.Event()
        self._room.set()
        self.published: Counter[EventType] = Counter()
        self.dropped: int = 0

    @property
    def backlog(self) -> int:
        """How many events wait to be delivered."""
        return self._queue.qsize()

    def publish(self, event: AsyncEvent, caller: contextvars.Context) -> None:
        """Record what the event tells, and queue it for the callbacks. Never waits.

        Args:
            event: the next event of a request.
            caller: context variables of whoever submitted the request.
        """
        kind = event.event_type
        self.published[kind] += 1
        if kind is not EventType.RETRY:
            self._ledger.record(event)
        if kind not in self._callbacks.wanted:
            return
        waiting = self._queue.qsize()
        if waiting >= self._queue_size and kind is EventType.RETRY:
            self.dropped += 1
            return
        # Cloned here and not at its delivery: by then the caller has the response and may change it.
        self._queue.put_nowait((event.clone(), caller))
        if waiting >= self._queue_size:
            self._room.clear()
        if not self._is_running:
            self.drain()

    def start(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
        """Start the monitor coroutine; without it, events are delivered as they are published."""
        self._is_running = True
        return loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                event, caller = await self._queue.get()
                self._deliver(event, caller)
                for _ in range(min(_BATCH, self.backlog)):
                    self._deliver(*self._queue.get_nowait())
                if self.backlog:
                    await asyncio.sleep(0)
        finally:  # somebody cancelled all tasks, or a callback stopped the program
            self._is_running = False
            self.drain()

    def drain(self) -> None:
        """Deliver all that waits, at once; for when no monitor coroutine does."""
        while self.backlog:
            self._deliver(*self._queue.get_nowait())

    @property
    def has_room(self) -> bool:
        """Whether no more events are queued than ``queue_size``."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Wait until ``has_room``."""
        while not self.has_room:
            await self._room.wait()

    async def wait_until_delivered(self) -> None:
        """Wait until every event published so far was handed to its callbacks."""
        await self._queue.join()

    def _deliver(self, event: AsyncEvent, caller: contextvars.Context) -> None:
        try:
            self._callbacks.deliver(event, caller)
        finally:
            self._queue.task_done()
            if self.backlog <= self._queue_size:
                self._room.set()
