"""A deadline, tested in virtual time: a blocked event loop moves it, and it ends every wait."""

import asyncio

import pytest
from loop_timers import running_timers

from typed_async_client.net.deadline import Deadline, time_limit
from typed_async_client.testing import run_virtual


def block(seconds: float) -> None:
    """Block the running loop of ``run_virtual``, as a callback that sleeps would."""
    loop = asyncio.get_running_loop()
    loop._jumping.now += seconds  # type: ignore[attr-defined]  # its virtual clock


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


async def never() -> None:
    """Wait forever."""
    await asyncio.get_running_loop().create_future()


async def blocked_forever(blocked: float) -> None:
    """Block the loop, and then wait forever."""
    block(blocked)
    await never()


async def turns(count: int) -> str:
    """Succeed after a number of turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)
    return "done"


@pytest.mark.parametrize("timeout", [0.0, 0.1, 5.0, 3600.0])
def test_a_wait_ends_with_its_timeout(timeout: float) -> None:
    """At that time exactly, if the loop isn't blocked."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with time_limit(timeout):
                await never()
        return now()

    assert run_virtual(main()) == timeout


def test_a_wait_without_a_timeout_is_not_limited() -> None:
    """It ends by itself."""

    async def main() -> float:
        async with time_limit(None):
            await asyncio.sleep(1e6)
        return now()

    assert run_virtual(main()) == 1e6


def test_what_is_ready_counts_when_the_loop_was_blocked() -> None:
    """Even if it takes several turns of the loop to see it."""

    async def main() -> str:
        async with time_limit(1.0):
            block(1.0)
            return await turns(10)

    assert run_virtual(main()) == "done"


@pytest.mark.parametrize(
    ("blocked", "end"), [(0.5, 1.0), (1.0, 1.0), (1.25, 1.5), (2.0, 3.0), (100.0, 101.0)]
)
def test_the_timeout_is_extended_by_what_the_loop_was_late(blocked: float, end: float) -> None:
    """By no more than the timeout itself."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with time_limit(1.0):
                await blocked_forever(blocked)
        return now()

    assert run_virtual(main()) == end


def test_a_deadline_is_extended_for_all_waits_together() -> None:
    """The first wait uses up what there is; the next one still gets its turns."""

    async def main() -> float:
        deadline = Deadline(1.0)
        for _ in range(3):
            async with deadline.limit():
                block(5.0)
                await turns(10)
        with pytest.raises(TimeoutError):
            async with deadline.limit():
                await never()
        return now()

    assert run_virtual(main()) == 15.0


def test_a_second_block_does_not_extend_a_wait_again() -> None:
    """One that always comes too late would never end."""

    async def block_twice() -> None:
        block(3.0)
        await asyncio.sleep(0.5)
        await blocked_forever(10.0)

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with time_limit(2.0):
                await block_twice()
        return now()

    assert run_virtual(main()) == 13.5


def test_a_cancellation_from_outside_is_no_timeout() -> None:
    """Whoever cancelled the task sees it."""

    async def limited() -> None:
        async with time_limit(5.0):
            await never()

    async def main() -> float:
        task = asyncio.ensure_future(limited())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return now()

    assert run_virtual(main()) == 1.0


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_limit_that_was_left_leaves_no_timer(seconds: float) -> None:
    """Which would fire when nobody waits for it."""

    async def main() -> tuple[bool, int]:
        async with time_limit(5.0):
            is_set = running_timers() > 0
            await asyncio.sleep(seconds)
        return is_set, running_timers()

    assert run_virtual(main()) == (True, 0)
