"""The virtual clock that the tests of timeouts and backoff rely on."""

import asyncio

import pytest

from typed_async_client.testing import in_virtual_time, run_virtual


def test_an_hour_of_sleep_takes_no_time() -> None:
    """The loop's clock starts at zero and jumps to the next timer."""

    async def nap() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_virtual(nap()) == 3600.0


@in_virtual_time
async def test_timeouts_follow_the_virtual_clock() -> None:
    """A timeout of an hour expires during a sleep of a day."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await asyncio.sleep(86400)
    assert asyncio.get_running_loop().time() == 3600.0


def test_a_deadlock_is_reported_immediately() -> None:
    """Every task waits and no timer is set, so no amount of time would help."""

    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock: every task waits"):
        run_virtual(stuck())


@in_virtual_time
async def test_a_call_from_another_thread_is_handled_without_a_jump() -> None:
    """It wakes the loop through the loop's self-pipe."""
    loop = asyncio.get_running_loop()
    called: list[float] = []
    loop.call_soon_threadsafe(lambda: called.append(loop.time()))
    await asyncio.sleep(1)
    assert called == [0.0]


def test_a_synchronous_function_is_named() -> None:
    """A test that isn't ``async def`` would otherwise fail for its missing coroutine."""

    @in_virtual_time  # type: ignore[arg-type]  # the mistake
    def synchronous() -> None: ...

    with pytest.raises(TypeError, match=r"takes an async def, got .*synchronous\(\)"):
        synchronous()
