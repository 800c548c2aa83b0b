"""Runs requests: admits them, launches each as a task, waits for them, shuts down.

It puts the parts of this room together and knows no HTTP: an attempt is a callable to it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from typed_async_client.binding import Binding
from typed_async_client.context import RequestContext
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.in_flight import (
    InFlight,
    InFlightRequests,
    ResponseTask,
    wait_for_tasks,
)
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.state import RequestState
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.errors import ClientClosedError
from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.outcome import RequestResult

if TYPE_CHECKING:
    import httpx

__all__ = ["Engine"]


class Engine:
    """The requests of one client, from admission to the last event.

    Args:
        ledger: keeps the results.
        event_queue_size: events that may wait before admission does, >= 1.
        max_concurrent_requests: requests in flight at most, >= 1; None is no limit.
        grace: seconds that cancelled requests, and running callbacks, get to end, >= 0.
        random: gives a number in [0, 1) for the jitter of each retry.

    Attributes:
        callbacks: want the events.
        is_closed: whether ``shut_down`` has begun.
        ledger: the results.
        monitor: takes the events.
        register: the requests in request.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        event_queue_size: int,
        max_concurrent_requests: int | None,
        grace: float,
        random: Callable[[], float],
    ) -> None:
        _check_limits(max_concurrent_requests, grace)
        self.callbacks: Callbacks = Callbacks()
        self.is_closed: bool = False
        self.ledger = ledger
        self.monitor: Monitor = Monitor(ledger, self.callbacks, queue_size=event_queue_size)
        self.requests: InFlightRequests = InFlightRequests()
        limit = max_concurrent_requests
        self._permits = None if limit is None else asyncio.Semaphore(limit)
        self._landed = self.requests.remove if limit is None else self._leave
        self._binding = Binding()
        self._now: Callable[[], float] = time.monotonic  # the loop's, once started
        self._grace = grace
        self._monitoring: asyncio.Task[None] | None = None
        self._random = random
        self._submitted = 0

    def start(self) -> None:
        """Bind to the running event loop and start the monitor, once.

        Raises:
            ClientClosedError: the client is closed.
            ClientBoundError: the client belongs to another loop, thread or process.
        """
        if self.is_closed:
            raise ClientClosedError("this client is closed: make a new one to send more requests")
        loop = self._binding.check()
        if self._monitoring is None:
            self._now = loop.time
            self._monitoring = self.monitor.start(loop)

    def check_home(self) -> None:
        """Make sure that a client that was started is used where it was.

        Raises:
            ClientBoundError: the client belongs to another loop, thread or process.
        """
        if self._monitoring is not None:
            self._binding.check()

    @property
    def admits_at_once(self) -> bool:
        """Whether a request may be launched without ``wait_for_admission()``."""
        return self._permits is None and self.monitor.has_room

    async def wait_for_admission(self) -> None:
        """Wait until one more request may be launched; launch it then.

        Raises:
            ClientClosedError: the client was closed meanwhile.
        """
        if self._permits is not None:
            await self._permits.acquire()
        try:
            await self.monitor.wait_for_room()
            self.start()
        except BaseException:
            self._release()
            raise

    def launch(
        self,
        context: RequestContext,
        send: Callable[[], Coroutine[Any, Any, "httpx.Response"]],
        *,
        method: str,
    ) -> ResponseTask:
        """Launch an admitted request and return its task.

        Args:
            context: the request's context; nobody else holds it.
            send: makes one attempt.
            method: the request's method, in upper case.
        """
        state = RequestState(context, now=self._now, random=self._random, method=method)
        request = InFlight(state, self.monitor, self._landed)
        self.requests.add(request)  # before its task, which may be eager and over at once
        self._submitted += 1
        life = request.launch(send)
        try:
            task = asyncio.get_running_loop().create_task(life)
        except BaseException:
            life.close()
            request.abandon()
            raise
        request.task = task
        return task

    async def wait_for(self, request_id: str, *, may_arrive: bool) -> RequestResult:
        """Wait for the requests in flight that bear an id; give the latest result.

        Args:
            request_id: the id to wait for.
            may_arrive: whether to wait for its submission when nobody has submitted it.

        Raises:
            KeyError: no such request is known, and none is waited for.
        """
        self._binding.check()
        caller = asyncio.current_task()
        last: AsyncEvent | None = None
        while True:
            while in_flight := self.requests.named(request_id, besides=caller):
                await wait_for_tasks(in_flight)
                last = in_flight[-1].ending
            result = self.ledger.get(request_id)
            if result is not None:
                return result
            if last is not None:  # pushed out of the ledger before we looked
                return RequestResult.of(last)
            if not may_arrive:
                raise KeyError(f"no request {request_id!r} is in flight or in the results")
            await self.requests.wait_for_arrival(request_id)

    async def wait_for_all(self) -> dict[str, RequestResult]:
        """Wait until no request is in flight and every event was delivered; give the results.

        Requests that callbacks submit meanwhile are waited for as well. Async callbacks that
        still run get the grace time to end.
        """
        self._binding.check()
        caller = asyncio.current_task()
        while True:
            while in_flight := self.requests.active(besides=caller):
                await wait_for_tasks(in_flight)
            await self.monitor.wait_until_delivered()
            await self.callbacks.settle(self._grace, besides=caller)
            if not self.requests.active(besides=caller):
                return self.ledger.all()

    async def shut_down(self, caller: "asyncio.Task[Any] | None") -> None:
        """Cancel what runs, deliver every event, and stop; bounded by the grace time.

        Args:
            caller: the task that asked for it; when it is a callback's, it is spared.
        """
        self.is_closed = True
        if self._monitoring is None:
            return
        try:
            await self._cancel_requests()
        finally:  # whatever stops us here, every request has its end and every event is told
            for stubborn in self.requests.active():
                stubborn.abandon()
            self._monitoring.cancel()
            self.monitor.drain()
        await self.callbacks.settle(self._grace, besides=caller)
        await self.callbacks.cancel(besides=caller)
        await asyncio.wait({self._monitoring})

    def statistics(self) -> ClientStatistics:
        """Count what happened so far."""
        monitor = self.monitor
        told = monitor.published
        published = told.total()
        return ClientStatistics(
            submitted=self._submitted,
            active=self._submitted - (published - told[EventType.RETRY]),
            succeeded=told[EventType.SUCCESS],
            failed=told[EventType.ERROR],
            timed_out=told[EventType.TIMEOUT],
            cancelled=told[EventType.CANCELLED],
            retries=told[EventType.RETRY],
            results_kept=len(self.ledger),
            events_published=published,
            events_delivered=published - monitor.dropped - monitor.backlog,
            events_dropped=monitor.dropped,
            events_waiting=monitor.backlog,
            callbacks_running=self.callbacks.running,
            callbacks_failed=self.callbacks.failed,
        )

    def _leave(self, request: InFlight) -> None:
        self.requests.remove(request)
        self._release()

    def _release(self) -> None:
        if self._permits is not None:
            self._permits.release()

    async def _cancel_requests(self) -> None:
        await asyncio.sleep(0)  # eager requests that are being launched get their task
        in_flight = self.requests.active()
        for task in [request.task for request in in_flight if request.task is not None]:
            task.cancel()
        if in_flight:
            await wait_for_tasks(in_flight, timeout=self._grace)


def _check_limits(max_concurrent_requests: int | None, grace: float) -> None:
    limit = max_concurrent_requests
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ValueError(
            f"max_concurrent_requests must be a whole number >= 1 or None, got {limit!r}"
        )
    if not grace >= 0:  # also refuses NaN
        raise ValueError(f"grace must be >= 0 seconds, got {grace!r}")
