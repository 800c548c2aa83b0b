"""One timer bounds each of many waits, on a clock that jumps."""

import asyncio
import weakref

import httpcore
import pytest

from typed_async_client.net.timer import WaitTimer
from typed_async_client.testing import run_virtual


def in_seconds(delay: float) -> "asyncio.Future[None]":
    """Give a future that is done after a while."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_later(delay, future.set_result, None)
    return future


def never() -> "asyncio.Future[None]":
    """Give a future that is never done."""
    return asyncio.get_running_loop().create_future()


async def expiry(patience: WaitTimer, seconds: float) -> float:
    """Wait for nothing; give the seconds until the wait expires."""
    time = asyncio.get_running_loop().time
    begun = time()
    with pytest.raises(httpcore.ReadTimeout):
        await patience.bound(never(), seconds, httpcore.ReadTimeout)
    return time() - begun


def test_waits_in_a_row_may_take_longer_together_than_each_may() -> None:
    """Each has its whole timeout, whenever the timer of an earlier one rings."""

    async def main() -> float:
        patience = WaitTimer()
        for _ in range(10):
            await patience.bound(in_seconds(4.0), 5.0, httpcore.ReadTimeout)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 40.0


@pytest.mark.parametrize("before", [0.0, 1.0, 4.9])
@pytest.mark.parametrize("timeout", [0.0, 2.0, 5.0, 60.0])
def test_a_wait_expires_after_its_own_timeout(before: float, timeout: float) -> None:
    """Shorter or longer than that of the wait before, whose timer still runs."""

    async def main() -> float:
        patience = WaitTimer()
        await patience.bound(in_seconds(before), 5.0, httpcore.ReadTimeout)
        return await expiry(patience, timeout)

    assert run_virtual(main()) == pytest.approx(timeout)


def test_a_wait_behind_a_long_pause_expires_after_its_own_timeout() -> None:
    """The timer of the wait before has rung for nobody."""

    async def main() -> float:
        patience = WaitTimer()
        await patience.bound(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        await asyncio.sleep(10.0)
        return await expiry(patience, 5.0)

    assert run_virtual(main()) == 5.0


def test_a_wait_without_a_limit_is_not_ended_by_the_timer_of_an_earlier_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The timer rings, and finds that nobody has a limit, which is no error."""

    async def main() -> float:
        patience = WaitTimer()
        await patience.bound(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        await patience.bound(in_seconds(100.0), None, httpcore.ReadTimeout)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 101.0
    assert not caplog.records


def test_a_wait_after_a_cancelled_one_has_its_own_timeout() -> None:
    """What was cancelled is not waited for any more."""

    async def main() -> float:
        patience = WaitTimer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await patience.bound(never(), 5.0, httpcore.ReadTimeout)
        return await expiry(patience, 5.0)

    assert run_virtual(main()) == 5.0


def test_a_timer_that_is_stopped_rings_no_more() -> None:
    """A closed stream leaves no timer behind; with nothing else to wait for, the loop says so."""

    async def main() -> None:
        patience = WaitTimer()
        await patience.bound(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        patience.stop()
        await never()

    with pytest.raises(RuntimeError, match="deadlock"):
        run_virtual(main())


def test_a_timer_that_is_stopped_holds_nothing() -> None:
    """Nor does an earlier one, which would have rung later."""

    async def main() -> bool:
        patience, waiter = WaitTimer(), in_seconds(1.0)
        await patience.bound(in_seconds(1.0), 60.0, httpcore.ReadTimeout)
        await patience.bound(waiter, 5.0, httpcore.ReadTimeout)
        last = weakref.ref(waiter)
        patience.stop()
        del patience, waiter
        await asyncio.sleep(0)
        return last() is None

    assert run_virtual(main())
