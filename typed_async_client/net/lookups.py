"""Looks names up in threads that the whole process shares, one lookup per name at a time.

asyncio resolves names in its default executor, which has six threads on a machine with two cores.
Six names whose DNS server doesn't respond would block every other lookup, and the program couldn't
exit before they time out. Here each lookup runs in a daemon thread that nothing waits for on exit,
and ``lookup_queue.py`` decides which name gets one.

A lookup belongs to no event loop. It runs to its end even if every caller has left, and whoever asks
for the same name meanwhile, in any thread, gets its result.
"""

import asyncio
import contextlib
import copy
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar, cast

from typed_async_client.net.lookup_queue import LookupLimits, LookupQueue

__all__ = ["Lookup", "Lookups"]

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Result(Generic[_T]):
    """What a lookup ended with: a value, or an error."""

    value: _T | None = None
    error: Exception | None = None

    def get(self) -> _T:
        """Return the value.

        Raises:
            Exception: a copy of the error, because each caller adds its own traceback.
        """
        if self.error is not None:
            raise _copied(self.error)
        return cast("_T", self.value)


class _Caller(Protocol[_T]):
    """One that waits for a lookup."""

    def deliver(self, result: _Result[_T], /) -> None:
        """Pass on the result, from any thread."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Task(Generic[_T]):
    """A caller that waits on its own event loop."""

    loop: asyncio.AbstractEventLoop
    result: "asyncio.Future[_Result[_T]]"

    def deliver(self, result: _Result[_T]) -> None:
        """Pass on the result, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self.loop.call_soon_threadsafe(self._set, result)

    def _set(self, result: _Result[_T]) -> None:
        if not self.result.done():
            self.result.set_result(result)


class _Thread(Generic[_T]):
    """A caller whose thread waits."""

    def __init__(self) -> None:
        self.result: Future[_Result[_T]] = Future()
        self.deliver = self.result.set_result


class Lookups(Generic[_T]):
    """Runs lookups in threads, within limits.

    Args:
        look_up: returns the result for a name; it may block for any time, or raise.
        limits: how many lookups may run at the same time.
        now: returns monotonic seconds.
    """

    def __init__(
        self,
        look_up: Callable[[str], _T],
        *,
        limits: LookupLimits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._limits = limits or LookupLimits()
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: it has none of the threads of its parent."""
        self._lock = threading.Lock()
        self._queue = LookupQueue(self._limits)
        self._callers: dict[str, set[_Caller[_T]]] = {}
        self._departed: deque[tuple[str, _Caller[_T]]] = deque()
        self._is_watched = False

    async def get(self, lookup: "Lookup[_T]") -> _T:
        """Wait for the result of a lookup; ``Lookup.result`` calls this."""
        host = lookup.host
        loop = asyncio.get_running_loop()
        caller: _Task[_T] = _Task(loop, loop.create_future())
        self._join(host, caller)
        try:
            self._start_queued()
            return (await caller.result).get()
        finally:
            lookup.waited_for = self._threads_ahead(host)
            self._leave(host, caller)

    def wait(self, host: str, timeout: float | None) -> _T:
        """Return the result of a lookup, and let the calling thread wait for it.

        Args:
            host: the name.
            timeout: seconds; None is no limit.

        Raises:
            TimeoutError: the lookup hasn't ended in time.
            Exception: it has failed.
        """
        caller: _Thread[_T] = _Thread()
        self._join(host, caller)
        try:
            self._start_queued()
            return caller.result.result(timeout).get()
        finally:
            self._leave(host, caller)

    def _join(self, host: str, caller: _Caller[_T]) -> None:
        """Wait for a lookup that is queued or running, or for a new one."""
        with self._lock:
            self._remove_departed()
            if host not in self._callers:
                self._callers[host] = set()
                self._queue.add(host)
            self._callers[host].add(caller)

    def _threads_ahead(self, host: str) -> str:
        """Return what a name waits for that has no thread yet; empty if it has one."""
        if host not in self._queue:  # no lock: see _leave
            return ""
        return (
            f"{self._queue.running} other lookups are running, {self._queue.hanging} of which hang"
        )

    def _leave(self, host: str, caller: _Caller[_T]) -> None:
        """Stop waiting; a queued name that nobody waits for is dropped.

        The garbage collector calls this as well, for a coroutine whose loop was closed, and perhaps
        while the same thread holds the lock. Whoever holds it next then removes the caller.
        """
        self._departed.append((host, caller))
        if self._lock.acquire(blocking=False):
            try:
                self._remove_departed()
            finally:
                self._lock.release()

    def _remove_departed(self) -> None:
        while self._departed:
            host, caller = self._departed.popleft()
            callers = self._callers.get(host, set())
            callers.discard(caller)
            if not callers and host in self._queue:
                self._queue.discard(host)
                del self._callers[host]

    def _start_queued(self) -> None:
        """Start as many lookups as the limits allow."""
        while (host := self._take()) is not None:
            try:
                threading.Thread(
                    target=self._run, args=(host,), name=f"lookup of {host}", daemon=True
                ).start()
            except RuntimeError as error:
                refused = OSError(f"can't start a thread to resolve {host}: {error}")
                self._end(host, _Result(error=refused))

    def _take(self) -> str | None:
        with self._lock:
            self._remove_departed()
            host = self._queue.take(self._now())
            if host is None:
                self._watch()
            return host

    def _run(self, host: str) -> None:
        result: _Result[_T]
        try:
            result = _Result(self._look_up(host))
        except Exception as error:  # noqa: BLE001 - raised in the callers
            result = _Result(error=error.with_traceback(None))  # it would refer to this frame
        except BaseException as error:  # noqa: BLE001 - the callers would wait forever
            result = _Result(error=OSError(f"the lookup of {host} was interrupted: {error!r}"))
        self._end(host, result)
        self._start_queued()

    def _end(self, host: str, result: _Result[_T]) -> None:
        with self._lock:
            self._queue.end(host, self._now())
            callers = self._callers.pop(host)
        for caller in callers:
            caller.deliver(result)

    def _watch(self) -> None:
        """Start queued names once running lookups count as hanging, which no callback reports."""
        if self._is_watched or self._queue.next_change(self._now()) is None:
            return
        with contextlib.suppress(RuntimeError):  # no thread: the next lookup that ends does it
            threading.Thread(target=self._keep_watch, name="lookup queue", daemon=True).start()
            self._is_watched = True

    def _keep_watch(self) -> None:
        while (delay := self._delay()) is not None:
            time.sleep(delay)
            self._start_queued()

    def _delay(self) -> float | None:
        with self._lock:
            delay = self._queue.next_change(self._now())
            self._is_watched = delay is not None
            return delay


def _copied(error: Exception) -> Exception:
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - of a class whose arguments aren't those of its constructor
        return error


class Lookup(Generic[_T]):
    """The lookup of one name for one caller.

    Args:
        lookups: runs it.
        host: the name.

    Attributes:
        host: the name.
        waited_for: once the caller has left: if the name had no thread until then, what the threads
            were used for; else empty.
    """

    def __init__(self, lookups: Lookups[_T], host: str) -> None:
        self._lookups = lookups
        self.host = host
        self.waited_for = ""

    async def result(self) -> _T:
        """Return the result, shared with all who ask for the same name meanwhile.

        Raises:
            Exception: the lookup has failed; each caller gets an error of its own.
        """
        return await self._lookups.get(self)
