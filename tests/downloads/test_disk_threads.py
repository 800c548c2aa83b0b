"""What waits for the disk in a thread, and is cancelled meanwhile."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from typed_async_client.downloads.threads import in_thread


async def test_a_function_that_fails_raises_where_it_is_waited_for() -> None:
    """The error of the disk is that of the download."""

    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await in_thread(fail)


async def test_a_wait_that_is_cancelled_lasts_until_the_function_has_ended() -> None:
    """However often it is cancelled; that the function failed as well is reported nowhere."""
    may_end, reports = threading.Event(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))

    def fail() -> None:
        may_end.wait()
        raise OSError("full")

    waiting = asyncio.create_task(in_thread(fail))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    del waiting
    gc.collect()
    assert reports == []
