"""Waiting for an end that has to come first, whatever happens to the task that waits."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from typed_async_client.testing import run_virtual
from typed_async_client.waiting import in_thread, until_done


async def test_a_wait_that_is_cancelled_lasts_until_the_end() -> None:
    """Cancelled as often as anyone likes, it ends with what it waited for."""
    future = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(until_done([future]))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    future.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_wait_may_have_a_limit() -> None:
    """What isn't done by then goes on."""

    async def main() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        start, future = loop.time(), loop.create_future()
        await until_done([future], 2.5)
        return loop.time() - start, future.done()

    assert run_virtual(main()) == (2.5, False)


async def test_nothing_reports_the_errors_of_what_was_waited_for() -> None:
    """They are for the caller, who may not want them."""
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    failed, cancelled = loop.create_future(), loop.create_future()
    failed.set_exception(OSError())
    cancelled.cancel()
    await until_done([failed, cancelled])
    del failed, cancelled
    assert reported == []


async def test_a_function_in_a_thread_ends_before_its_caller_does() -> None:
    """The caller is cancelled while it runs."""
    loop = asyncio.get_running_loop()
    started, release, ended = asyncio.Event(), threading.Event(), threading.Event()

    def work() -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait(30)
        ended.set()

    waiting = asyncio.ensure_future(in_thread(work))
    await started.wait()
    waiting.cancel()
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_the_error_of_a_function_in_a_thread_is_raised() -> None:
    """It is the error that the function has raised."""

    def fail() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        await in_thread(fail)


async def test_a_function_that_fails_after_its_caller_was_cancelled_is_reported_nowhere() -> None:
    """Nobody waits for its error any more."""
    loop = asyncio.get_running_loop()
    may_end, reported = threading.Event(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: reported.append(context))

    def fail() -> None:
        may_end.wait(30)
        raise OSError("the disk is full")

    waiting = asyncio.ensure_future(in_thread(fail))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    del waiting
    gc.collect()
    assert reported == []
