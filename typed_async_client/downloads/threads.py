"""Runs what waits for the disk in a thread."""

import asyncio
from collections.abc import Callable

__all__ = ["in_thread"]


async def in_thread(function: Callable[[], None]) -> None:
    """Call a function in a thread, and wait for its end even if that is cancelled.

    A thread can't be cancelled, and what it works on mustn't be touched before it has ended.

    Raises:
        Exception: what the function raises.
        asyncio.CancelledError: the wait was cancelled; the function has ended.
    """
    running = asyncio.get_running_loop().run_in_executor(None, function)
    interruption: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        running.exception()  # otherwise asyncio would report that nobody has looked at it
        raise interruption
    running.result()
