"""Publishes the events of a request that passes through a transport, which has no queue."""

import contextvars

from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.log import log_event
from typed_async_client.events import AsyncEvent

__all__ = ["TransportEvents"]


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
        if not (event.is_terminal and self._is_nested):
            log_event(event)
        if event.event_type in self._callbacks.wanted:
            self._callbacks.deliver(event.clone(), contextvars.copy_context())
