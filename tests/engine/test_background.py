"""Tasks that nobody waits for end in time, and when the client closes."""

import asyncio
import threading
from typing import NoReturn

from typed_async_client.engine.background import Background
from typed_async_client.testing import run_virtual


async def forever() -> None:
    """Never end."""
    await asyncio.Event().wait()


async def stubborn(seconds: float) -> None:
    """Take a while to be cancelled."""
    try:
        await forever()
    finally:
        await asyncio.sleep(seconds)


async def broken() -> NoReturn:
    """Raise."""
    raise OSError("broken")


def test_a_task_is_cancelled_when_its_time_is_over() -> None:
    """Not before."""

    async def main() -> None:
        background = Background()
        task = asyncio.create_task(forever())
        background.add(task, 2.0)
        await asyncio.sleep(1.9)
        assert not task.done()
        await asyncio.sleep(0.2)
        assert task.cancelled()
        assert len(background) == 0

    run_virtual(main())


def test_what_a_task_raises_is_not_logged() -> None:
    """Nobody is interested in it; a test fails if asyncio logs that it was never retrieved."""

    async def main() -> None:
        background = Background()
        background.add(asyncio.create_task(broken()), 2.0)
        await asyncio.sleep(1.0)
        assert len(background) == 0

    run_virtual(main())


def test_end_waits_even_if_it_is_cancelled() -> None:
    """The tasks have ended when it raises."""

    async def main() -> None:
        background = Background()
        task = asyncio.create_task(stubborn(3.0))
        background.add(task, 9.0)
        await asyncio.sleep(0)
        ending = asyncio.create_task(background.end())
        await asyncio.sleep(1.0)
        ending.cancel()
        await asyncio.wait({ending})
        assert (ending.cancelled(), task.done(), len(background)) == (True, True, 0)

    run_virtual(main())


def test_tasks_of_another_loop_are_left_to_it() -> None:
    """They can't be cancelled from here; the clients of a transport may run in several threads."""
    background, added, ended = Background(), threading.Event(), threading.Event()

    async def elsewhere() -> None:
        task = asyncio.create_task(forever())
        background.add(task, 9.0)
        added.set()
        await asyncio.to_thread(ended.wait)
        assert not task.done()
        await background.end()
        assert task.done()

    async def here() -> None:
        await asyncio.to_thread(added.wait)
        await background.end()
        assert len(background) == 1
        ended.set()

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    asyncio.run(here())
    thread.join()
    assert len(background) == 0


def test_end_waits_for_a_limited_time_if_asked() -> None:
    """A task that takes longer goes on."""

    async def main() -> None:
        loop, background = asyncio.get_running_loop(), Background()
        task = asyncio.create_task(stubborn(3.0))
        background.add(task, 9.0)
        await asyncio.sleep(0)
        await background.end(1.0)
        assert (loop.time(), task.done()) == (1.0, False)
        await asyncio.wait({task})
        assert (loop.time(), len(background)) == (3.0, 0)

    run_virtual(main())


def test_what_is_left_of_a_closed_loop_is_closed() -> None:
    """Its coroutine gives back what it holds, and nothing is logged about its task."""
    background, closed = Background(), []

    async def held() -> None:
        try:
            await forever()
        except GeneratorExit:
            closed.append(True)
            raise

    async def leave_behind() -> None:
        background.add(asyncio.create_task(held()), 9.0)
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_behind())
    loop.close()
    assert len(background) == 1

    async def add_another() -> None:
        background.add(asyncio.create_task(asyncio.sleep(0)), 9.0)
        assert len(background) == 1
        await background.end()

    asyncio.run(add_another())
    assert (closed, len(background)) == ([True], 0)
