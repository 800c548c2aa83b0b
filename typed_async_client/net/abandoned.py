"""Closes connections that nobody can use any more, wherever their last reference was dropped.

The garbage collector may run in any thread, while the event loop runs, after it was closed, or in a
forked process, whose sockets are those of its parent.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterable
from typing import Any

from typed_async_client.private import socket_transport_of

__all__ = ["Home", "break_cycle_of_transport"]


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
            _close_without_loop(transports)

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


def break_cycle_of_transport(transport: Any) -> None:
    """Let asyncio's transport of a closed socket be freed with its last reference."""
    if transport.is_closing() and type(transport).__module__.startswith("asyncio."):
        vars(transport).pop("_read_ready_cb", None)  # one of its methods


def _close_without_loop(transports: list[Any]) -> None:
    """Close a connection whose event loop is closed, or doesn't run at the moment.

    ``transport.abort()`` only schedules this, and asyncio warns about each socket that it has to
    close when the transport is freed. uvloop closes its sockets with the loop.

    Args:
        transports: its transports, from the socket to the outermost TLS layer. The socket's may
            be missing.
    """
    plain = socket_transport_of(transports[0])
    lose_connection = getattr(plain, "_call_connection_lost", None)
    if lose_connection is None or plain.get_write_buffer_size():
        for transport in reversed(transports):
            with contextlib.suppress(Exception):  # a closed loop refuses to call the protocol back
                transport.abort()
    if lose_connection is not None and plain.get_extra_info("socket").fileno() >= 0:
        with contextlib.suppress(Exception):
            plain.pause_reading()
            # Otherwise the loop would refuse another socket with the same number.
            vars(plain)["_closing"] = True
            lose_connection(None)
