"""Registers event callbacks and runs them.

A callback may be sync or async, and may block for long, raise or never return: none of this
affects a request. Async callbacks run as separate tasks, so delivery doesn't wait for them.
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
"""Takes an event; an awaitable that it returns is awaited, any other return value is ignored."""

_MAX_RUNNING = 10_000
_UNWIND = 1.0
"""Seconds to wait for cancelled callbacks to unwind."""

_log = logging.getLogger("typed_async_client")


class _Subscription:
    """One callback for one type of event, and how often it failed."""

    __slots__ = ("callback", "failures")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.failures = 0

    @property
    def name(self) -> str:
        return getattr(self.callback, "__qualname__", None) or repr(self.callback)


class Callbacks:
    """The callbacks by event type, and the async ones that are still running.

    At most 10,000 async callbacks run concurrently; beyond that, the one that has run longest is
    cancelled and counted as failed. This bounds memory without ever making a request wait.

    Attributes:
        wanted: the event types with at least one callback.
        failed: calls that raised or were cancelled: at ``close()``, or because too many ran.
    """

    def __init__(self, *, max_running: int = _MAX_RUNNING) -> None:
        self._subscriptions: dict[EventType, tuple[_Subscription, ...]] = {}
        self._running: dict[asyncio.Task[Any], _Subscription] = {}  # oldest first
        self._max_running = max_running
        self.wanted: frozenset[EventType] = frozenset()
        self.failed: int = 0

    def add(self, event_type: EventType, callback: Callback) -> None:
        """Call ``callback`` with each event of that type from now on.

        Raises:
            TypeError: it isn't callable.
        """
        if not callable(callback):
            raise TypeError(f"an event callback must be callable, got {callback!r}")
        subscriptions = self._subscriptions.get(event_type, ())
        self._set(event_type, (*subscriptions, _Subscription(callback)))

    def remove(self, event_type: EventType, callback: Callback) -> bool:
        """Remove one registration of ``callback``; return whether there was one."""
        subscriptions = self._subscriptions.get(event_type, ())
        for removed in subscriptions:
            if removed.callback == callback:
                self._set(event_type, tuple(one for one in subscriptions if one is not removed))
                return True
        return False

    def _set(self, event_type: EventType, subscriptions: tuple[_Subscription, ...]) -> None:
        self._subscriptions[event_type] = subscriptions
        self.wanted = frozenset(
            kind for kind, registered in self._subscriptions.items() if registered
        )

    def deliver(self, event: AsyncEvent, caller: contextvars.Context) -> None:
        """Call the callbacks registered for ``event``, each with its own copy of it.

        Args:
            event: an event that nothing else references; the last callback gets it uncopied.
            caller: the context variables of the code that submitted the request; each callback
                runs in a copy of them.
        """
        subscriptions = self._subscriptions.get(event.event_type, ())
        for subscription in subscriptions:
            try:
                copied = event if subscription is subscriptions[-1] else event.clone()
                self._call(subscription, copied, caller.copy())
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - a callback never fails a request
                self._record_failure(subscription, error)

    @property
    def running(self) -> int:
        """The number of async callbacks that are still running."""
        return len(self._running)

    def has_running(self, excluding: "asyncio.Task[Any] | None") -> bool:
        """Whether an async callback other than the given task is still running."""
        return bool(self._running.keys() - {excluding})

    async def settle(self, grace: float, excluding: "asyncio.Task[Any] | None") -> bool:
        """Wait until the running callbacks have ended, at most ``grace`` seconds.

        Args:
            grace: seconds.
            excluding: the calling task, which may itself be a callback and can't wait for itself.

        Returns:
            Whether all of them have ended.
        """
        pending = self._running.keys() - {excluding}
        if pending:
            _, pending = await asyncio.wait(pending, timeout=grace)
        return not pending

    async def cancel(self, excluding: "asyncio.Task[Any] | None") -> None:
        """Cancel the callbacks that are still running, and wait up to a second for them."""
        pending = self._running.keys() - {excluding}
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_UNWIND)

    def record_cancellation(self) -> None:
        """Record that a callback has cancelled the task that delivers the events."""
        self.failed += 1
        with contextlib.suppress(Exception):  # a logging handler may raise
            _log.error(
                "an event callback called asyncio.current_task().cancel(): callbacks run in the "
                "task that delivers events, not in that of a request; it continues"
            )

    def _call(
        self, subscription: _Subscription, event: AsyncEvent, context: contextvars.Context
    ) -> None:
        returned = context.run(subscription.callback, event)
        if inspect.isawaitable(returned):
            self._start(subscription, returned, context)

    def _start(
        self, subscription: _Subscription, returned: Awaitable[Any], context: contextvars.Context
    ) -> None:
        # Not wrapped in another coroutine: if the task were cancelled before its first step, the
        # inner coroutine would never be awaited, and Python would warn about it.
        coroutine = returned if asyncio.iscoroutine(returned) else _await(returned)
        try:
            task = asyncio.get_running_loop().create_task(coroutine, context=context)
        except RuntimeError:  # no running event loop: a synchronous client is sending
            coroutine.close()
            raise
        self._running[task] = subscription
        task.add_done_callback(self._finish)
        if len(self._running) > self._max_running:
            oldest = next(iter(self._running))
            oldest.cancel()
            self._finish(oldest)

    def _finish(self, task: asyncio.Task[Any]) -> None:
        """Drop an async callback that has ended or was just cancelled; count a failure."""
        error = _error_of(task)
        subscription = self._running.pop(task, None)
        if subscription is not None and error is not None:
            self._record_failure(subscription, error)

    def _record_failure(self, subscription: _Subscription, error: BaseException) -> None:
        self.failed += 1
        subscription.failures += 1
        if subscription.failures == 1:
            with contextlib.suppress(Exception):  # a logging handler may raise too
                _log.error(
                    "event callback %s failed; later failures are counted, not logged",
                    subscription.name,
                    exc_info=error,
                )


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    if not task.done():
        return asyncio.CancelledError("too many callbacks were running, and this one the longest")
    if task.cancelled():
        return asyncio.CancelledError("the callback was cancelled before it ended")
    return task.exception()


async def _await(awaitable: Awaitable[Any]) -> None:
    await awaitable
