"""Binds a client to one process, one thread and one event loop.

A client shared between several would hang or mix up sockets, so any other use raises immediately.
"""

import asyncio
import os
import threading

from typed_async_client.errors import ClientBoundError

__all__ = ["Binding", "running_loop"]

_ADVICE = "create one client per process, thread and event loop"
_NO_LOOP = (
    "typed_async_client needs asyncio, and no asyncio event loop is running here: use asyncio.run(); "
    "under trio, use httpx.AsyncClient() with httpx's own transport instead"
)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio.

    Raises:
        RuntimeError: none is running, for example because the program runs under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(_NO_LOOP) from None


class _Process:
    """The process that this runs in; asking the kernel takes longer than all else that is checked."""

    number: int = os.getpid()

    @classmethod
    def look_up(cls) -> None:
        """Ask the kernel."""
        cls.number = os.getpid()


if hasattr(os, "register_at_fork"):  # elsewhere, no process is forked
    os.register_at_fork(after_in_child=_Process.look_up)


class Binding:
    """Remembers where a client was first used, and rejects its use anywhere else.

    Attributes:
        loop: the event loop of the first use; None before it.
    """

    __slots__ = ("_process", "_thread", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._thread: threading.Thread | None = None

    def check(self) -> asyncio.AbstractEventLoop:
        """Bind to the running event loop on first use; later, check that it's still the same.

        Raises:
            ClientBoundError: the loop, thread or process has changed; the message names both.
            RuntimeError: no event loop is running.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(_NO_LOOP) from None
        if self.loop is None:
            self.loop = running
            self._process = _Process.number
            self._thread = threading.current_thread()
        elif self.loop is not running or self._process != _Process.number:
            raise ClientBoundError(self._describe_mismatch(running))
        return running

    def _describe_mismatch(self, running: asyncio.AbstractEventLoop) -> str:
        owner, current = self._process, _Process.number
        if owner != current:
            return (
                f"this client belongs to process {owner} and was used in process {current}: "
                f"{_ADVICE}"
            )
        thread = threading.current_thread()
        if self._thread is not None and thread is not self._thread:
            return (
                f"this client belongs to thread {self._thread.name!r} and was used in thread "
                f"{thread.name!r}: {_ADVICE}"
            )
        return f"this client belongs to {self.loop!r} and was used on {running!r}: {_ADVICE}"
