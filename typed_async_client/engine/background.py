"""Tasks that go on although nobody waits for them, until their time is over or the client closes."""

import asyncio
from typing import TYPE_CHECKING, Any

from typed_async_client.private import forget_task
from typed_async_client.waiting import until_done

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
        self._forget_closed_loops()
        loop = asyncio.get_running_loop()
        self._timers[task] = loop.call_later(seconds, task.cancel)
        task.add_done_callback(self._forget)

    async def end(self, seconds: float | None = None) -> None:
        """Cancel those of the running event loop, and wait until they have ended.

        Args:
            seconds: how long to wait at most; None for no limit.
        """
        if not self._timers:  # as where no loop of asyncio is running
            return
        loop = asyncio.get_running_loop()
        tasks = [task for task in list(self._timers) if task.get_loop() is loop]
        await cancel_tasks(tasks, seconds)

    def _forget_closed_loops(self) -> None:
        """Close what is left of event loops that were closed before their tasks had ended."""
        for task in [task for task in list(self._timers) if task.get_loop().is_closed()]:
            self._timers.pop(task, None)
            forget_task(task)
            task.get_coro().close()

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._timers.pop(task).cancel()
        _retrieve(task)


async def cancel_tasks(
    tasks: "Collection[asyncio.Task[Any]]", seconds: float | None = None
) -> None:
    """Cancel tasks, and wait until they have ended, even if the running task is cancelled meanwhile.

    What they raise is lost.

    Args:
        tasks: tasks of the running event loop.
        seconds: how long to wait at most; None for no limit.

    Raises:
        CancelledError: the running task was cancelled meanwhile.
    """
    for task in tasks:
        task.cancel()
    await until_done(tasks, seconds)


def _retrieve(task: "asyncio.Task[Any]") -> None:
    """Retrieve the error of a task that has ended, so that asyncio doesn't log it."""
    if not task.cancelled():
        task.exception()
