"""Waits for what must have ended before its caller goes on, even if the caller is cancelled meanwhile."""

import asyncio
import math
from collections.abc import Callable, Collection
from typing import Any

__all__ = ["in_thread", "until_done"]


async def until_done(
    futures: "Collection[asyncio.Future[Any]]", seconds: float | None = None
) -> None:
    """Wait until futures are done, even if the running task is cancelled meanwhile.

    asyncio doesn't report their errors: only the caller looks at them.

    Args:
        futures: futures or tasks of the running event loop.
        seconds: how long to wait at most; None for no limit.

    Raises:
        CancelledError: the running task was cancelled meanwhile.
    """
    interruption: asyncio.CancelledError | None = None
    now = asyncio.get_running_loop().time
    end = math.inf if seconds is None else now() + seconds
    while (pending := [future for future in futures if not future.done()]) and now() < end:
        try:
            await asyncio.wait(pending, timeout=None if seconds is None else end - now())
        except asyncio.CancelledError as error:
            interruption = error
    for future in futures:
        if future.done() and not future.cancelled():
            future.exception()  # asyncio reports an error that nobody has looked at
    if interruption is not None:
        try:
            raise interruption
        finally:
            del interruption  # it refers to this frame


async def in_thread(function: Callable[[], None]) -> None:
    """Call a function in a thread, and wait for its end even if that is cancelled.

    A thread can't be cancelled, and what it works on mustn't be touched before it has ended.

    Raises:
        Exception: what the function raises.
        CancelledError: the wait was cancelled; the function has ended.
    """
    running = asyncio.get_running_loop().run_in_executor(None, function)
    await until_done([running])
    running.result()
