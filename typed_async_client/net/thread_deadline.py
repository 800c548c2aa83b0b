"""When the calling thread must be done with what it is sending or reading.

A synchronous client waits in the thread of its caller, and nothing can interrupt a thread that waits for
a socket. So each wait asks here for how long it may last.
"""

import math
import threading
import time
from types import TracebackType

__all__ = ["EndsBy", "seconds_left", "thread_deadline"]


class _State(threading.local):
    """The deadline of each thread; a thread that starts another one passes nothing on."""

    until = math.inf


_state = _State()


def thread_deadline() -> float:
    """Return when the calling thread must be done, in monotonic seconds; infinite for never."""
    return _state.until


def seconds_left(timeout: float | None, late: type[Exception]) -> float | None:
    """Return for how long the calling thread may wait: its timeout, or less if that is left.

    Args:
        timeout: seconds; None is no limit.
        late: raised if nothing is left, since sockets take a timeout of 0 to mean something else.

    Raises:
        Exception: ``late``.
    """
    if _state.until == math.inf:
        return timeout
    left = _state.until - time.monotonic()
    if left <= 0.0:
        raise late("timed out")
    return left if timeout is None else min(timeout, left)


class EndsBy:
    """A context manager that sets the deadline of the calling thread.

    Inside another one, the earlier of the two deadlines counts.

    Args:
        until: the deadline in monotonic seconds.

    Example:
        >>> with EndsBy(time.monotonic() + 0.4):
        ...     response = transport.handle_request(request)
    """

    __slots__ = ("_outer", "_until")

    def __init__(self, until: float) -> None:
        self._outer = math.inf
        self._until = until

    def __enter__(self) -> None:
        self._outer = _state.until
        _state.until = min(self._outer, self._until)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _state.until = self._outer
