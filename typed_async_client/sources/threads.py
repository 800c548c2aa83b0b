"""Reads a synchronous source in a thread of its own, for the task that sends its parts.

One thread per body that is being sent, rather than those of asyncio's default executor: there are few
of these, so that sources that wait, for a pipe or for each other, would keep everything else that uses
it from running. All of a source is read in the same thread, as the cursor of a database may demand, and
the thread is a daemon, so that a program can exit although a source still waits.

The thread reads ahead, by a limited number of bytes: while one part is sent, the next is read, and many
small parts are handed over at once.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any, Final

from typed_async_client.sources.generators import CLOSING_FAILED
from typed_async_client.sources.kinds import as_part

__all__ = ["ThreadParts"]

_READ_AHEAD: Final = 512 * 1024
"""Bytes that may wait to be sent while another part is read."""

_JOINED: Final = 64 * 1024
"""Bytes of small parts that are sent as one."""


class ThreadParts:
    """The parts of a synchronous source, as an async iterator for one task.

    The thread starts when the first part is wanted.

    Args:
        open_parts: returns the iterator over the parts; it is called in the thread.
    """

    def __init__(self, open_parts: Callable[[], Iterator[Any]]) -> None:
        self._open_parts = open_parts
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._has_ended = False
        self._is_in_source = False
        self._is_stopped = False
        self._loop: Any = None  # set when the thread starts
        self._ready: deque[bytes] = deque()
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None

    async def __anext__(self) -> bytes:
        if self._loop is None:
            self._start()
        while True:
            with self._changed:
                if self._is_stopped:
                    raise asyncio.CancelledError  # its request has ended: nobody wants the rest
                if self._ready:
                    return self._take()
                if self._has_ended:
                    break
                waiter = self._wait()
            await waiter
        error, self._error = self._error, None
        try:
            raise StopAsyncIteration if error is None else error
        finally:
            del error  # it refers to this frame

    async def aclose(self) -> None:
        """Stop reading, and wait until the generator is closed, unless the source is just being read.

        Its thread then closes the generator as soon as that returns.
        """
        self.stop()
        with self._changed:
            if self._loop is None or self._has_ended or self._is_in_source:
                return
            waiter = self._wait()
        await waiter

    def stop(self) -> None:
        """Stop reading, without waiting for anything."""
        with self._changed:
            self._is_stopped = True
            self._wake()
            self._changed.notify()

    def _start(self) -> None:
        context = contextvars.copy_context()
        name = "typed_async_client: request body"
        thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
        self._loop, self._is_in_source = asyncio.get_running_loop(), True
        try:
            thread.start()
        except BaseException:  # the system has no thread left
            self._has_ended = True
            raise

    def _wait(self) -> "asyncio.Future[None]":
        """Return what is done when something has changed; the caller holds the lock."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        return waiter

    def _take(self) -> bytes:
        """Return a large part, or several small ones; the caller holds the lock."""
        ready = self._ready
        taken = [ready.popleft()]
        size = len(taken[0])
        while ready and size + len(ready[0]) <= _JOINED:
            taken.append(ready.popleft())
            size += len(taken[-1])
        self._size -= size
        self._changed.notify()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    # In the thread

    def _run(self) -> None:
        parts: Iterator[Any] | None = None
        error: BaseException | None = None
        try:
            parts = iter(self._open_parts())
            for part in parts:
                if not self._put(as_part(part)):
                    break
        except BaseException as raised:  # noqa: BLE001 - raised where the body is sent
            error = _raisable(raised)
        finally:
            if isinstance(parts, GeneratorType):
                self._close(parts)
            with self._changed:
                self._error, error = error, None
                self._has_ended, self._is_in_source = True, False
                self._wake()

    def _put(self, part: bytes) -> bool:
        """Hand a part over, and wait until another is wanted; return whether one is."""
        with self._changed:
            self._is_in_source = False
            if not self._is_stopped:
                self._ready.append(part)
                self._size += len(part)
                self._wake()
            while self._size >= _READ_AHEAD and not self._is_stopped:
                self._changed.wait()
            self._is_in_source = not self._is_stopped
            return self._is_in_source

    def _wake(self) -> None:
        """Let the task go on that waits, from any thread; the caller holds the lock."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._call(_set, waiter)

    def _close(self, parts: "GeneratorType[Any, Any, Any]") -> None:
        try:
            parts.close()
        except Exception as error:  # noqa: BLE001 - of the caller's own cleanup
            context = {"message": CLOSING_FAILED, "exception": error, "generator": parts}
            self._call(_report, context)

    def _call(self, function: Callable[[Any], None], argument: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(function, argument)


def _set(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


def _report(context: dict[str, Any]) -> None:
    asyncio.get_running_loop().call_exception_handler(context)


def _raisable(error: BaseException) -> BaseException:
    """Return what the task can raise, to which some errors mean something else."""
    if not isinstance(error, StopIteration | StopAsyncIteration | asyncio.CancelledError):
        return error
    failure = RuntimeError(f"the source of a request body raised {type(error).__name__}")
    failure.__cause__ = error
    return failure
