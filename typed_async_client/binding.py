"""Where a client lives: one process, one thread, one event loop.

A client shared further would hang or mix up sockets, so a second home is refused at once.
"""

import asyncio
import os
import threading

from typed_async_client.errors import ClientBoundError

__all__ = ["Binding"]

_ADVICE = "make one client for each process, thread and event loop"


class Binding:
    """Remembers where a client was first used, and refuses any other place.

    Attributes:
        loop: the event loop of the first use, None before it.
    """

    __slots__ = ("_process", "_thread", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._thread: threading.Thread | None = None

    def check(self) -> asyncio.AbstractEventLoop:
        """Bind to the running loop, or make sure that it is the one bound to.

        Raises:
            ClientBoundError: it is another one; the message names both.
            RuntimeError: no event loop is running.
        """
        running = asyncio.get_running_loop()
        if self.loop is None:
            self.loop = running
            self._process = os.getpid()
            self._thread = threading.current_thread()
        elif self.loop is not running or self._process != os.getpid():
            raise ClientBoundError(self._complaint(running))
        return running

    def _complaint(self, running: asyncio.AbstractEventLoop) -> str:
        home, here = self._process, os.getpid()
        if home != here:
            return (
                f"this client belongs to process {home} and was used in process {here}: {_ADVICE}"
            )
        thread = threading.current_thread()
        if self._thread is not None and thread is not self._thread:
            return (
                f"this client belongs to thread {self._thread.name!r} and was used in thread "
                f"{thread.name!r}: {_ADVICE}"
            )
        return f"this client belongs to {self.loop!r} and was used on {running!r}: {_ADVICE}"
