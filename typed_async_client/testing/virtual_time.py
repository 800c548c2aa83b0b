"""An event loop whose clock jumps to the next timer: hours of waiting take no time.

``asyncio.sleep``, ``asyncio.timeout`` and ``httpx.MockTransport`` work on it; real sockets and
threads aren't supported.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

__all__ = ["VirtualTimeLoop", "in_virtual_time", "run_virtual"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never waits, but adds the time it should have waited to ``now``."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer is set")
        self.now += max(timeout, 0.0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at 0.0 seconds and jumps from timer to timer.

    Raises:
        RuntimeError: raised by what runs the loop if every task waits and no timer is set.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the loop was created."""
        return self._jumping.now


def run_virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """Run ``main`` to completion in virtual time, as ``asyncio.run`` does in real time.

    Example:
        >>> async def nap() -> float:
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> run_virtual(nap())
        3600.0
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def in_virtual_time(function: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """Decorate an async test, so that it runs with ``run_virtual`` as a synchronous function.

    Raises:
        TypeError: ``function`` returned no coroutine; raised by the decorated function.

    Example:
        >>> @in_virtual_time
        ... async def test_an_hour_of_backoff_takes_no_time() -> None:
        ...     await asyncio.sleep(3600)
    """

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        main = function(*args, **kwargs)
        if not asyncio.iscoroutine(main):
            raise TypeError(f"in_virtual_time takes an async def, got {function.__qualname__}()")
        return run_virtual(main)

    return run
