"""The clock that jumps, which the tests of all waits stand on."""

import asyncio

import pytest

from typed_async_client.testing import in_virtual_time, run_virtual


def test_an_hour_of_sleep_takes_no_time() -> None:
    """The loop's clock starts at zero and jumps to the timer."""

    async def nap() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_virtual(nap()) == 3600.0


@in_virtual_time
async def test_timeouts_obey_the_virtual_clock() -> None:
    """A time limit of an hour passes in the middle of a day."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await asyncio.sleep(86400)
    assert asyncio.get_running_loop().time() == 3600.0


def test_a_program_that_can_never_go_on_is_reported_at_once() -> None:
    """Every task waits and no timer is set: real time would not help."""

    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock: every task waits"):
        run_virtual(stuck())


@in_virtual_time
async def test_what_arrives_from_outside_is_served_without_a_jump() -> None:
    """A call from another thread wakes the loop through a socket of its own."""
    loop = asyncio.get_running_loop()
    called: list[float] = []
    loop.call_soon_threadsafe(lambda: called.append(loop.time()))
    await asyncio.sleep(1)
    assert called == [0.0]
