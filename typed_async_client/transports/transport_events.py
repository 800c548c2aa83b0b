"""Publishes the events of a request that passes through a transport, which has no queue."""

import asyncio
import contextvars
import inspect
from types import TracebackType

from typed_async_client.engine.background import Background
from typed_async_client.engine.callbacks import Callback, Callbacks
from typed_async_client.engine.log import log_event
from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.transports.pair import WrappingTransport

__all__ = ["EndsItsTasks", "TransportEvents", "callbacks_for", "is_async"]

_GRACE = 1.0
"""Seconds that running callbacks get to finish when the transport is closed."""


def callbacks_for(on_event: Callback | None) -> Callbacks:
    """Return the callbacks of a transport, which gets all events.

    Raises:
        TypeError: ``on_event`` isn't callable.
    """
    callbacks = Callbacks()
    if on_event is not None:
        for event_type in EventType:
            callbacks.add(event_type, on_event)
    return callbacks


def is_async(on_event: object) -> bool:
    """Whether a callback is an async function, or an object with an async ``__call__``."""
    call = getattr(type(on_event), "__call__", None)  # noqa: B004 - inspected, never called
    return inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(call)


class TransportEvents:
    """The events of one request.

    Args:
        callbacks: are called right away.
        is_nested: whether the request is part of an attempt of a client, which logs how it ends.
    """

    __slots__ = ("_callbacks", "_is_nested")

    def __init__(self, callbacks: Callbacks, *, is_nested: bool) -> None:
        self._callbacks = callbacks
        self._is_nested = is_nested

    def publish(self, event: AsyncEvent) -> None:
        """Log an event, and deliver a clone of it to the callbacks."""
        kind = event.event_type
        if kind is not EventType.SUCCESS and not (kind.is_terminal and self._is_nested):
            log_event(event)
        if kind in self._callbacks.wanted:
            self._callbacks.deliver(event.clone(), contextvars.copy_context())


class EndsItsTasks(WrappingTransport):
    """The part of a transport that ends what it runs beside its requests before it is closed."""

    _background: Background
    _callbacks: Callbacks

    async def aclose(self) -> None:
        """Cancel what nobody waits for, and close the wrapped transport.

        Running async callbacks get one second to finish.
        """
        try:
            await self._end_tasks()
        finally:
            await super().aclose()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            await self._end_tasks()
        finally:
            await super().__aexit__(exc_type, exc, traceback)

    async def _end_tasks(self) -> None:
        await self._background.end()
        if not self._callbacks.running:
            return
        caller = asyncio.current_task()
        await self._callbacks.settle(_GRACE, excluding=caller)
        await self._callbacks.cancel(excluding=caller)
