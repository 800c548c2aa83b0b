"""The callbacks that users hang on events, and how they are run.

A callback may be plain or async, slow, broken or endless: none of it reaches the request. Async
callbacks run as tasks of their own, so nothing here waits for one.
"""

import asyncio
import contextlib
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from typed_async_client.events import AsyncEvent, EventType

__all__ = ["Callback", "Callbacks"]

Callback = Callable[[AsyncEvent], Any]
"""Takes an event; what it returns is awaited when it can be, and dropped."""

_MAX_RUNNING = 10_000
_UNWIND = 1.0
"""Seconds that cancelled callbacks get to unwind."""

_log = logging.getLogger("typed_async_client")


class _Subscription:
    """One callback on one kind of event, and how often it failed."""

    __slots__ = ("callback", "failures")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.failures = 0

    @property
    def name(self) -> str:
        return getattr(self.callback, "__qualname__", None) or repr(self.callback)


class Callbacks:
    """Who wants which events, and the async callbacks that have not ended yet.

    At most 10,000 async callbacks run at once; past that, the one that has run longest is
    cancelled and counted as failed. So memory stays bounded though no request ever waits.

    Attributes:
        wanted: the types of event that any callback wants.
        failed: calls that raised, or were cancelled for running too long.
    """

    def __init__(self, *, max_running: int = _MAX_RUNNING) -> None:
        self._subscriptions: dict[EventType, tuple[_Subscription, ...]] = {}
        self._running: dict[asyncio.Task[Any], _Subscription] = {}  # in order of age
        self._max_running = max_running
        self.wanted: frozenset[EventType] = frozenset()
        self.failed: int = 0

    def add(self, event_type: EventType, callback: Callback) -> None:
        """Call ``callback`` with each event of that type from now on.

        Raises:
            TypeError: it cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"an event callback must be callable, got {callback!r}")
        present = self._subscriptions.get(event_type, ())
        self._set(event_type, (*present, _Subscription(callback)))

    def remove(self, event_type: EventType, callback: Callback) -> bool:
        """Stop calling ``callback``; tell whether it was there. Drops one of several equal ones."""
        present = self._subscriptions.get(event_type, ())
        for subscription in present:
            if subscription.callback == callback:
                self._set(event_type, tuple(one for one in present if one is not subscription))
                return True
        return False

    def _set(self, event_type: EventType, subscriptions: tuple[_Subscription, ...]) -> None:
        self._subscriptions[event_type] = subscriptions
        self.wanted = frozenset(kind for kind, some in self._subscriptions.items() if some)

    def deliver(self, event: AsyncEvent, caller: contextvars.Context) -> None:
        """Call everyone who wants ``event``, in a copy of ``caller``, none with another's event.

        Args:
            event: an event that nobody else holds; the last to be called gets it as it is.
            caller: context variables of whoever submitted the request.
        """
        subscriptions = self._subscriptions.get(event.event_type, ())
        for subscription in subscriptions:
            try:
                own = event if subscription is subscriptions[-1] else event.clone()
                self._call(subscription, own, caller.copy())
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - watching never fails what is watched
                self._note_failure(subscription, error)

    @property
    def running(self) -> int:
        """How many async callbacks have not ended yet."""
        return len(self._running)

    async def settle(self, grace: float, besides: "asyncio.Task[Any] | None") -> None:
        """Wait until the running callbacks have ended, ``grace`` seconds at most.

        Args:
            grace: seconds.
            besides: a task that asked for it and would wait for itself.
        """
        pending = self._running.keys() - {besides}
        if pending:
            await asyncio.wait(pending, timeout=grace)

    async def cancel(self, besides: "asyncio.Task[Any] | None") -> None:
        """Cancel the callbacks that still run, and give them a second to unwind."""
        pending = self._running.keys() - {besides}
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_UNWIND)

    def _call(
        self, subscription: _Subscription, event: AsyncEvent, context: contextvars.Context
    ) -> None:
        returned = context.run(subscription.callback, event)
        if inspect.isawaitable(returned):
            self._start(subscription, returned, context)

    def _start(
        self, subscription: _Subscription, returned: Awaitable[Any], context: contextvars.Context
    ) -> None:
        # A coroutine becomes the task itself: wrapped in another one, it would never be awaited
        # when its task is cancelled before the first step.
        coroutine = returned if asyncio.iscoroutine(returned) else _wait_for(returned)
        try:
            task = asyncio.get_running_loop().create_task(coroutine, context=context)
        except RuntimeError:  # no loop is running here: a plain client sends
            coroutine.close()
            raise
        self._running[task] = subscription
        task.add_done_callback(self._end)
        if len(self._running) > self._max_running:
            oldest = next(iter(self._running))
            oldest.cancel()
            self._end(oldest)

    def _end(self, task: asyncio.Task[Any]) -> None:
        """Forget an async callback that has ended, or is about to, and count its failure."""
        error = _error_of(task)
        subscription = self._running.pop(task, None)
        if subscription is not None and error is not None:
            self._note_failure(subscription, error)

    def _note_failure(self, subscription: _Subscription, error: BaseException) -> None:
        self.failed += 1
        subscription.failures += 1
        if subscription.failures == 1:
            with contextlib.suppress(Exception):  # a logging handler may fail as well
                _log.error(
                    "event callback %s failed; later failures are counted, not logged",
                    subscription.name,
                    exc_info=error,
                )


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    if not task.done() or task.cancelled():
        return asyncio.CancelledError("it ran for too long")
    return task.exception()


async def _wait_for(returned: Awaitable[Any]) -> None:
    await returned
