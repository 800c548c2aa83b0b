"""Tasks that go on although nobody waits for them, until their time is over or the client closes."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Background", "cancel_tasks"]


class Background:
    """Tasks that nobody waits for. Those of several event loops may be in it."""

    __slots__ = ("_timers",)

    def __init__(self) -> None:
        self._timers: dict[asyncio.Task[Any], asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def add(self, task: "asyncio.Task[Any]", seconds: float) -> None:
        """Keep a task of the running event loop, and cancel it after a number of seconds."""
        loop = asyncio.get_running_loop()
        self._timers[task] = loop.call_later(seconds, task.cancel)
        task.add_done_callback(self._forget)

    async def end(self) -> None:
        """Cancel those of the running event loop, and wait until they have ended."""
        if not self._timers:  # as where no loop of asyncio is running
            return
        loop = asyncio.get_running_loop()
        await cancel_tasks([task for task in list(self._timers) if task.get_loop() is loop])

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._timers.pop(task).cancel()
        _retrieve(task)


async def cancel_tasks(tasks: "Collection[asyncio.Task[Any]]") -> None:
    """Cancel tasks, and wait until they have ended, even if the running task is cancelled meanwhile.

    What they raise is lost.

    Raises:
        CancelledError: the running task was cancelled meanwhile.
    """
    for task in tasks:
        task.cancel()
    interruption: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            interruption = error
    for task in tasks:
        _retrieve(task)
    if interruption is not None:
        try:
            raise interruption
        finally:
            del interruption  # it refers to this frame


def _retrieve(task: "asyncio.Task[Any]") -> None:
    """Retrieve the error of a task that has ended, so that asyncio doesn't log it."""
    if not task.cancelled():
        task.exception()
