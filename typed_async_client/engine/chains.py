"""Calls the middleware of a request, outermost first, on an event loop or synchronously.

What a middleware leaves behind is cleaned up when the chain has ended: calls that it has started in
tasks of its own are cancelled, and responses that it hasn't returned are discarded.
"""

import asyncio
import contextlib
import functools
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from typed_async_client.engine.around import CallRun, Chain
from typed_async_client.engine.drivers import AsyncDriver, AsyncSender
from typed_async_client.engine.ending import overrun
from typed_async_client.engine.flow import request_flow
from typed_async_client.engine.sync_driver import LockedFlow, SyncDriver, SyncSender
from typed_async_client.events import AsyncEvent
from typed_async_client.facts import is_closed
from typed_async_client.middleware import check_response
from typed_async_client.sent import begin_attempt, end_attempt, keep_attempt
from typed_async_client.waiting import until_done

if TYPE_CHECKING:
    import threading

    import httpx

    from typed_async_client.engine.run import Run
    from typed_async_client.engine.steps import Flow

__all__ = ["AsyncCalls", "AsyncChain", "SyncCalls", "SyncChain"]

_GRACE = 0.01
"""Seconds after the deadline at which the middleware is cancelled: an attempt that is running then has
ended by itself, with an error that says more."""


class AsyncCalls(Protocol):
    """Prepares the calls that the middleware of one request makes.

    Attributes:
        kind: the type of a call.
    """

    kind: type

    def begin(self, call: Any) -> tuple[CallRun, AsyncSender]:
        """Return the state of a call, and what makes its attempts."""

    def receive(self, call: Any, sender: Any, response: Any) -> Any:
        """Return the response of a call, as a middleware gets it."""

    async def complete(self, call: Any, response: Any) -> None:
        """Complete the response that a request ends with."""


class SyncCalls(Protocol):
    """Prepares the calls that the middleware of one request of a synchronous client makes.

    Attributes:
        kind: the type of a call.
    """

    kind: type

    def begin(self, call: Any) -> tuple[CallRun, SyncSender]:
        """Return the state of a call, and what makes its attempts."""

    def receive(self, call: Any, sender: Any, response: Any) -> Any:
        """Return the response of a call, as a middleware gets it."""


class _Answered:
    """The responses of calls whose bodies were open when the middleware got them."""

    def __init__(self) -> None:
        self._open: list[tuple[Any, httpx.Response]] = []

    def add(self, sender: Any, response: "httpx.Response") -> None:
        if not is_closed(response):
            self._open.append((sender, response))

    def take_unused(self, used: "httpx.Response | None") -> "list[tuple[Any, httpx.Response]]":
        """Return those to discard, with their senders, when a request ends.

        Args:
            used: the response that it ends with; None if it has failed. One that the middleware
                has made may read the body of any other.
        """
        responses, self._open = self._open, []
        is_own = used is None or is_closed(used) or any(each is used for _, each in responses)
        return [
            each for each in responses if is_own and each[1] is not used and not is_closed(each[1])
        ]


class AsyncChain(Chain):
    """The middleware of one request of an asynchronous client.

    Args:
        run: the state of the request.
        middleware: the middleware, outermost first.
        calls: prepares the calls.
        publish: publishes an event of the request.
        lock: is held while the flow of a call runs; None if no other thread shares its policies.
    """

    def __init__(
        self,
        run: "Run",
        middleware: Sequence[Callable[[Any, Any], Awaitable[Any]]],
        calls: AsyncCalls,
        publish: Callable[[AsyncEvent], None],
        lock: "threading.RLock | None" = None,
    ) -> None:
        super().__init__(publish)
        self._answered = _Answered()
        self._calls = calls
        self._lock = lock
        self._middleware = middleware
        self._run = run
        self._running: list[tuple[asyncio.Task[Any] | None, asyncio.Future[None]]] = []

    async def __call__(self, call: Any) -> "httpx.Response":
        """Call the middleware; return the response of the outermost.

        Raises:
            DeadlineExceededError: it has taken longer than the request may.
            TypeError: it hasn't returned a response.
            Exception: what it has raised.
        """
        outer = keep_attempt()
        begin_attempt()  # what a middleware sends itself is no part of an attempt
        try:
            is_limited = self._run.deadline != math.inf
            response = await (self._answer_in_time if is_limited else self._answer)(call)
        except BaseException:
            await self._end(None)
            raise
        finally:
            end_attempt(outer)
        await self._end(response)
        return response

    async def _answer(self, call: Any) -> "httpx.Response":
        response = await self._next(0, call)
        await self._calls.complete(call, response)
        return response

    async def _answer_in_time(self, call: Any) -> "httpx.Response":
        try:
            async with asyncio.timeout_at(self._run.deadline + _GRACE) as limit:
                return await self._answer(call)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise overrun(self._run) from error
        finally:
            del limit  # it refers to the task, and the error of the task to this frame

    async def _next(self, index: int, call: Any) -> "httpx.Response":
        self.check(call, self._calls.kind)
        if index == len(self._middleware):
            return await self._send(call)
        middleware = self._middleware[index]
        response: httpx.Response = await middleware(call, functools.partial(self._next, index + 1))
        check_response(response, middleware)
        return response

    async def _send(self, call: Any) -> "httpx.Response":
        """Make the attempts of one call."""
        run, sender = self._calls.begin(call)
        ended = asyncio.get_running_loop().create_future()
        running = (asyncio.current_task(), ended)
        self._running.append(running)
        own = keep_attempt()
        flow: Flow[httpx.Response] = request_flow(run)
        if self._lock is not None:
            flow = LockedFlow(flow, self._lock)
        try:
            response = await AsyncDriver(sender, self.emit).drive(flow)
        finally:
            end_attempt(own)
            self._running.remove(running)
            ended.set_result(None)
            del running  # it refers to the task, and the error of the task to this frame
        self._answered.add(sender, response)
        received: httpx.Response = self._calls.receive(call, sender, response)
        return received

    async def _end(self, response: "httpx.Response | None") -> None:
        """End what the middleware has left behind, except the response that it has returned."""
        self.close()
        try:
            if self._running:
                await self._cancel_running()
            await _discard(self._answered.take_unused(response))
        except BaseException:
            if response is not None:
                with contextlib.suppress(Exception):
                    await response.aclose()
            raise

    async def _cancel_running(self) -> None:
        """Cancel the calls of other tasks; wait for their end, even if this is cancelled meanwhile."""
        current = asyncio.current_task()
        others = [(task, ended) for task, ended in self._running if task and task is not current]
        for task, _ in others:
            task.cancel()
        await until_done([ended for _, ended in others])


async def _discard(responses: "list[tuple[Any, httpx.Response]]") -> None:
    """Discard responses, all of them even if this is cancelled."""
    if responses:
        sender, response = responses.pop()
        try:
            await sender.discard(response)
        finally:
            await _discard(responses)


class SyncChain(Chain):
    """The middleware of one request of a synchronous client.

    Args:
        middleware: the middleware, outermost first.
        calls: prepares the calls.
        publish: publishes an event of the request.
        lock: as for ``SyncDriver``.
    """

    def __init__(
        self,
        middleware: Sequence[Callable[[Any, Any], Any]],
        calls: SyncCalls,
        publish: Callable[[AsyncEvent], None],
        lock: "threading.RLock",
    ) -> None:
        super().__init__(publish)
        self._answered = _Answered()
        self._calls = calls
        self._lock = lock
        self._middleware = middleware

    def __call__(self, call: Any) -> "httpx.Response":
        """Call the middleware; return the response of the outermost.

        Raises:
            TypeError: it hasn't returned a response.
            Exception: what it has raised.
        """
        response: httpx.Response | None = None
        outer = keep_attempt()
        begin_attempt()  # what a middleware sends itself is no part of an attempt
        try:
            response = self._next(0, call)
        finally:
            self.close()
            end_attempt(outer)
            for sender, unused in self._answered.take_unused(response):
                sender.discard(unused)
        return response

    def _next(self, index: int, call: Any) -> "httpx.Response":
        self.check(call, self._calls.kind)
        if index == len(self._middleware):
            return self._send(call)
        middleware = self._middleware[index]
        response: httpx.Response = middleware(call, functools.partial(self._next, index + 1))
        check_response(response, middleware)
        return response

    def _send(self, call: Any) -> "httpx.Response":
        """Make the attempts of one call."""
        run, sender = self._calls.begin(call)
        own = keep_attempt()
        try:
            driver = SyncDriver(sender, self.emit)
            response = driver.drive(LockedFlow(request_flow(run), self._lock))
        finally:
            end_attempt(own)
        self._answered.add(sender, response)
        received: httpx.Response = self._calls.receive(call, sender, response)
        return received
