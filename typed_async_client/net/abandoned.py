"""Closes connections that nobody can use any more, wherever their last reference was dropped.

The garbage collector may run in any thread, while the event loop runs, after it was closed, or in a
forked process, whose sockets are those of its parent.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterable
from typing import Any

from typed_async_client.private import close_without_loop

__all__ = ["Home"]


class Home:
    """Where a connection was opened: the running event loop, and this process."""

    __slots__ = ("_loop", "_process")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()

    @property
    def is_this_process(self) -> bool:
        """Whether the connection was opened by this process, not by the one it was forked from."""
        return self._process == os.getpid()

    def close(self, transports: Iterable[Any]) -> None:
        """Close abandoned transports of this loop.

        Args:
            transports: the transports of one connection, from the socket to the outermost TLS
                layer.
        """
        if not self.is_this_process:
            return
        transports = [one for one in transports if not one.is_closing()]
        if transports and not self._close_on_loop(transports):
            close_without_loop(transports)

    def _close_on_loop(self, transports: list[Any]) -> bool:
        """Close the transports as always, in the thread of the loop; False if it doesn't run."""
        if not self._loop.is_running():
            return False
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            _abort(transports)
            return True
        with contextlib.suppress(RuntimeError):  # it was closed in the meantime
            self._loop.call_soon_threadsafe(_abort, transports)
            return True
        return False


def _abort(transports: list[Any]) -> None:
    for transport in reversed(transports):
        transport.close()  # of TLS: sends a close_notify alert
        transport.abort()
