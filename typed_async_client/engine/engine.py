"""Runs requests: admits them, launches each as a task, waits for them, and shuts down.

It combines the other parts of this package and knows nothing about HTTP: an attempt is a callable.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from typed_async_client.binding import Binding, running_loop
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.drivers import AsyncSender
from typed_async_client.engine.in_flight import (
    Around,
    InFlight,
    InFlightRequests,
    ResponseTask,
    wait_for_tasks,
)
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.statistics import ClientStatistics
from typed_async_client.errors import ClientClosedError
from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.kept_results import result_of
from typed_async_client.policies.checks import require_count, require_number
from typed_async_client.results import RequestResult
from typed_async_client.stores import StateStore

__all__ = ["Engine"]


class Engine:
    """The requests of one client, from admission to the last event.

    Args:
        ledger: keeps the results.
        event_queue_size: events that may be queued before admission waits, >= 1.
        max_concurrent_requests: maximum number of requests in flight, >= 1; None for no limit.
        grace: seconds to wait for cancelled requests and for running callbacks, >= 0.
        random: returns a number in [0, 1), for the jitter of each retry.
        store: keeps the state of some policies for several processes; None for none.

    Attributes:
        callbacks: the callbacks that receive the events.
        is_closed: whether ``shut_down`` was called.
        ledger: the results.
        monitor: publishes the events.
        now: returns monotonic seconds.
        policies: the policies, which the requests share.
        random: returns a number in [0, 1), for the jitter.
        requests: the requests in flight.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        event_queue_size: int,
        max_concurrent_requests: int | None,
        grace: float,
        random: Callable[[], float],
        store: StateStore | None = None,
    ) -> None:
        require_count("max_concurrent_requests", max_concurrent_requests, at_least=1, or_none=True)
        require_number("grace", grace, finite=False)
        self.callbacks: Callbacks = Callbacks()
        self.is_closed: bool = False
        self.ledger = ledger
        self.monitor: Monitor = Monitor(ledger, self.callbacks, queue_size=event_queue_size)
        self.requests: InFlightRequests = InFlightRequests()
        limit = max_concurrent_requests
        self.now: Callable[[], float] = time.monotonic  # the loop's, once started
        self.policies: SharedPolicies = SharedPolicies(store)
        self.random: Callable[[], float] = random
        self._permits = None if limit is None else asyncio.Semaphore(limit)
        self._binding = Binding()
        self._grace = grace
        self._submitted = 0

    def start(self) -> None:
        """Bind to the running event loop and start the monitor, once.

        Raises:
            ClientClosedError: the client is closed.
            ClientBoundError: the client belongs to another loop, thread or process.
        """
        if self.is_closed:
            raise ClientClosedError("this client is closed: create a new one to send more requests")
        loop = self._binding.check()
        if not self.monitor.is_started:
            self.now = loop.time
            self.monitor.start(loop)

    def check_binding(self) -> asyncio.AbstractEventLoop:
        """Check that a client that has been started is used where it was started.

        Returns:
            The running event loop.

        Raises:
            ClientBoundError: the client belongs to another loop, thread or process.
            RuntimeError: no event loop is running.
        """
        return self._binding.check() if self.monitor.is_started else running_loop()

    @property
    def can_launch_now(self) -> bool:
        """Whether a request can be launched without ``wait_for_admission()``."""
        return self._permits is None and self.monitor.has_room

    async def wait_for_admission(self) -> None:
        """Wait until another request can be launched; the caller must launch it immediately.

        Raises:
            ClientClosedError: the client was closed while waiting.
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
        run: Run,
        sender: AsyncSender,
        around: "Around | None" = None,
        reader: "asyncio.Task[Any] | None" = None,
    ) -> ResponseTask:
        """Launch an admitted request and return its task.

        Args:
            run: the request's state.
            sender: makes its attempts.
            around: its middleware; None for none.
            reader: the task that will read its body if that stays open; it isn't made to wait for
                the request.
        """
        # Not kept for all requests: it would refer back to this object.
        on_end = self.requests.remove if self._permits is None else self._remove
        request = InFlight(run, self.monitor, on_end, reader)
        self.requests.add(request)  # before its task is created, which may be eager and end there
        self._submitted += 1
        loop: Any = self._binding.loop  # it was started
        return request.launch(loop, sender, around)

    def refuse(self, run: Run, error: Exception) -> None:
        """End a request that wasn't admitted with an error: it has an event and a result, too.

        Args:
            run: the request's state.
            error: why it wasn't.
        """
        request = InFlight(run, self.monitor, self.requests.remove)
        self.requests.add(request)
        self._submitted += 1
        request.fail(error)

    async def wait_for(self, request_id: str, *, allow_unknown: bool) -> RequestResult:
        """Wait for the requests in flight with an id; return the latest result.

        Args:
            request_id: the id to wait for.
            allow_unknown: whether to wait for the submission of an id that isn't known yet.

        Raises:
            KeyError: the id is unknown and ``allow_unknown`` is false.
        """
        self._binding.check()
        caller = asyncio.current_task()
        last_event: AsyncEvent | None = None
        while True:
            while in_flight := self.requests.with_id(request_id, excluding=caller):
                await wait_for_tasks(in_flight)
                last_event = in_flight[-1].terminal_event
            result = self.ledger.get(request_id)
            if result is not None:
                return result
            if last_event is not None:  # already dropped from the ledger
                return result_of(last_event)
            if not allow_unknown:
                raise KeyError(f"no request {request_id!r} is in flight or in the results")
            await self.requests.wait_for_submission(request_id)

    async def wait_for_all(self) -> dict[str, RequestResult]:
        """Wait until no request is in flight and every event is delivered; return all results.

        Requests that callbacks submit in the meantime are waited for as well. Async callbacks that
        are still running then have the grace period to end.
        """
        self._binding.check()
        caller = asyncio.current_task()
        while True:
            while in_flight := self.requests.active(excluding=caller):
                await wait_for_tasks(in_flight)
            await self.monitor.wait_until_delivered()
            settled = await self.callbacks.settle(self._grace, excluding=caller)
            if self._is_idle(caller, settled=settled):
                return self.ledger.all()

    async def shut_down(self, caller: "asyncio.Task[Any] | None") -> None:
        """Cancel every request, deliver every event, and stop, within the grace period.

        Args:
            caller: the task that closes the client; if it's a callback, it isn't cancelled.
        """
        self.is_closed = True
        if not self.monitor.is_started:
            return
        try:
            await self._cancel_requests()
        finally:  # even if this is cancelled, every request gets its terminal event
            for unfinished in self.requests.active():
                unfinished.abandon()
            self.monitor.drain()
        await self.policies.background.end(self._grace)
        await self.callbacks.settle(self._grace, excluding=caller)
        await self.callbacks.cancel(excluding=caller)
        await self.monitor.stop()

    def statistics(self) -> ClientStatistics:
        """Return the counters as they are now."""
        monitor = self.monitor
        events = monitor.published
        published = events.total()
        return ClientStatistics(
            submitted=self._submitted,
            active=self._submitted - sum(events[kind] for kind in EventType if kind.is_terminal),
            succeeded=events[EventType.SUCCESS],
            failed=events[EventType.ERROR],
            timed_out=events[EventType.TIMEOUT],
            cancelled=events[EventType.CANCELLED],
            rejected=events[EventType.REJECTED],
            retries=events[EventType.RETRY],
            results_kept=len(self.ledger),
            results_dropped=self.ledger.dropped,
            responses_evicted=self.ledger.evicted,
            events_published=published,
            events_delivered=published - monitor.dropped - monitor.backlog,
            events_dropped=monitor.dropped,
            events_waiting=monitor.backlog,
            callbacks_running=self.callbacks.running,
            callbacks_failed=self.callbacks.failed,
        )

    def _is_idle(self, caller: "asyncio.Task[Any] | None", *, settled: bool) -> bool:
        """Whether no request, event or callback is left; callbacks don't count unless settled."""
        new_callbacks = settled and self.callbacks.has_running(excluding=caller)
        return not (new_callbacks or self.monitor.backlog or self.requests.active(excluding=caller))

    def _remove(self, request: InFlight) -> None:
        self.requests.remove(request)
        self._release()

    def _release(self) -> None:
        if self._permits is not None:
            self._permits.release()

    async def _cancel_requests(self) -> None:
        await asyncio.sleep(0)  # let eager requests that are just being launched get their task
        in_flight = self.requests.active()
        for request in in_flight:
            if request.is_open:  # its reader gets an error when the connections are closed
                request.abandon()
        for task in [request.task for request in in_flight if request.task is not None]:
            task.cancel()
        if in_flight:
            await wait_for_tasks(in_flight, timeout=self._grace)
