"""Notices that a connection is dead, by a PING that is never answered, RFC 9113 section 6.7."""

import asyncio
import weakref
from typing import Protocol

import httpcore

from typed_async_client.net.deadline import TURNS

__all__ = ["KeepAlive", "Pinged"]


class Pinged(Protocol):
    """A connection that is watched.

    Attributes:
        heard_at: when something was last received, in seconds of the event loop's clock.
    """

    heard_at: float

    @property
    def is_in_use(self) -> bool:
        """Whether a request waits for something."""

    def ping(self) -> None:
        """Send a PING."""

    def fail(self, error: Exception) -> None:
        """Close the connection; its requests fail."""


class KeepAlive:
    """Sends a PING when a connection in use has been silent, and closes it if that stays unanswered.

    Args:
        connection: the connection; no reference to it is kept.
        seconds: how long it may be silent before a PING is sent, and again before it is closed.
    """

    def __init__(self, connection: Pinged, seconds: float) -> None:
        self._connection = weakref.ref(connection)
        self._pinged_at: float | None = None
        self._seconds = seconds
        self._timer: asyncio.Handle | None = None

    def watch(self) -> None:
        """Watch the connection while it is in use."""
        connection = self._connection()
        if self._timer is None and connection is not None:
            loop = asyncio.get_running_loop()
            connection.heard_at = max(connection.heard_at, loop.time())
            self._timer = loop.call_later(self._seconds, self._look, loop, TURNS)

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Decide what to do, after a few turns in which a blocked loop receives what has arrived."""
        if turns:
            self._timer = loop.call_soon(self._look, loop, turns - 1)
            return
        self._timer, connection = None, self._connection()
        if connection is None or not connection.is_in_use:
            self._pinged_at = None
            return
        silent_since = connection.heard_at
        if self._pinged_at is not None and silent_since < self._pinged_at:
            reason = f"the server answered no PING within {self._seconds:g} s"
            connection.fail(httpcore.ReadError(reason))
            return
        if loop.time() >= silent_since + self._seconds:
            self._pinged_at = silent_since = loop.time()
            connection.ping()
        else:
            self._pinged_at = None
        self._timer = loop.call_at(silent_since + self._seconds, self._look, loop, TURNS)
