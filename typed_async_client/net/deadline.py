"""Limits waits without holding a blocked event loop against the server.

A callback that blocks, or a long garbage collection, may hold the event loop up past a timeout. What
the system has received meanwhile is only seen by the next turns of the loop, and ``asyncio.timeout``
cancels before those have run.
"""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["TURNS", "Deadline", "time_limit"]

TURNS = 16
"""Turns of the event loop before a timeout counts; a connect or a TLS handshake takes several."""


class Deadline:
    """An instant until which one task may wait, once or several times.

    If the event loop is late when a wait reaches the deadline, the deadline moves: by as much as the
    loop is late, once for each wait, and by no more than the timeout in all. Then the loop takes a
    few more turns before the wait is cancelled, so that everything that is ready is seen.

    Args:
        timeout: seconds from now; None is no limit.

    Example:
        >>> deadline = Deadline(5.0)
        >>> async with deadline.limit():
        ...     addresses = await resolve(host)
        >>> async with deadline.limit():
        ...     stream = await connect(addresses)
    """

    __slots__ = ("_left", "expires_at")

    def __init__(self, timeout: float | None) -> None:
        self.expires_at: float | None = None  #: of the loop's clock; None is no limit
        self._left = 0.0
        if timeout is not None:
            self.expires_at = asyncio.get_running_loop().time() + timeout
            self._left = max(timeout, 0.0)

    def limit(self) -> "_Limit":
        """Return a context manager for one wait, which raises ``TimeoutError`` past the deadline."""
        return _Limit(self)

    def forgo_extension(self) -> None:
        """Don't move when the loop is late."""
        self._left = 0.0

    def extend(self, now: float) -> float:
        """Move the deadline because it was reached at ``now``; return it."""
        late = now - (now if self.expires_at is None else self.expires_at)
        extra = min(max(late, 0.0), self._left)
        self._left -= extra
        self.expires_at = now + extra
        return self.expires_at


def time_limit(timeout: float | None, *, extends: bool = True) -> "_Limit":
    """Limit a single wait; a replacement for ``asyncio.timeout``.

    Args:
        timeout: seconds; None is no limit.
        extends: whether a blocked loop extends it. If False, the loop only takes a few turns more:
            that is enough if nobody on the other end of a connection has to do anything.

    Returns:
        A context manager that raises ``TimeoutError``; ``Deadline`` documents when.

    Example:
        >>> async with time_limit(5.0):
        ...     await lock.acquire()
    """
    deadline = Deadline(timeout)
    if not extends:
        deadline.forgo_extension()
    return deadline.limit()


class _Limit:
    """Cancels the current task past a deadline, and raises ``TimeoutError`` in its place."""

    __slots__ = ("_deadline", "_scope", "_timer")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._scope = asyncio.timeout(None)
        self._timer: asyncio.Handle | None = None

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        if self._deadline.expires_at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._deadline.expires_at, self._extend, loop)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._scope.__aexit__(exc_type, exc_value, traceback)

    def _extend(self, loop: asyncio.AbstractEventLoop) -> None:
        until = self._deadline.extend(loop.time())
        self._timer = loop.call_at(until, self._take_turns, loop, TURNS)

    def _take_turns(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns:
            self._timer = loop.call_soon(self._take_turns, loop, turns - 1)
        else:
            self._scope.reschedule(loop.time())
