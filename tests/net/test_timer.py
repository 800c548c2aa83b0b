"""``WaitTimer`` applies a timeout to each of many waits; tested in virtual time."""

import asyncio
import weakref

import httpcore
import pytest
from loop_timers import running_timers

from typed_async_client.net.timer import TimerReserve, WaitTimer
from typed_async_client.testing import run_virtual


def in_seconds(delay: float) -> "asyncio.Future[None]":
    """Return a future that completes after ``delay`` seconds."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_later(delay, future.set_result, None)
    return future


def never() -> "asyncio.Future[None]":
    """Return a future that never completes."""
    return asyncio.get_running_loop().create_future()


async def time_to_expiry(timer: WaitTimer, timeout: float) -> float:  # noqa: ASYNC109 - measured
    """Wait until the timeout expires, and return the seconds that it took."""
    time = asyncio.get_running_loop().time
    start = time()
    with pytest.raises(httpcore.ReadTimeout):
        await timer.limit(never(), timeout, httpcore.ReadTimeout)
    return time() - start


def test_consecutive_waits_each_have_the_full_timeout() -> None:
    """Whenever the timer that an earlier one has set fires."""

    async def main() -> float:
        timer = WaitTimer()
        for _ in range(10):
            await timer.limit(in_seconds(4.0), 5.0, httpcore.ReadTimeout)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 40.0


@pytest.mark.parametrize("before", [0.0, 1.0, 4.9])
@pytest.mark.parametrize("timeout", [0.0, 2.0, 5.0, 60.0])
def test_a_wait_expires_after_its_own_timeout(before: float, timeout: float) -> None:
    """It may be shorter or longer than the one before, whose timer is still running."""

    async def main() -> float:
        timer = WaitTimer()
        await timer.limit(in_seconds(before), 5.0, httpcore.ReadTimeout)
        return await time_to_expiry(timer, timeout)

    assert run_virtual(main()) == pytest.approx(timeout)


def test_a_wait_after_a_long_pause_expires_after_its_own_timeout() -> None:
    """The timer of the previous wait has fired during the pause."""

    async def main() -> float:
        timer = WaitTimer()
        await timer.limit(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        await asyncio.sleep(10.0)
        return await time_to_expiry(timer, 5.0)

    assert run_virtual(main()) == 5.0


def test_a_wait_without_a_limit_is_not_ended_by_the_timer_of_an_earlier_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When the timer fires, the current wait has no timeout, so nothing happens."""

    async def main() -> float:
        timer = WaitTimer()
        await timer.limit(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        await timer.limit(in_seconds(100.0), None, httpcore.ReadTimeout)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 101.0
    assert not caplog.records


def test_a_wait_after_a_cancelled_one_has_its_own_timeout() -> None:
    """The timer no longer tracks the cancelled one."""

    async def main() -> float:
        timer = WaitTimer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await timer.limit(never(), 5.0, httpcore.ReadTimeout)
        return await time_to_expiry(timer, 5.0)

    assert run_virtual(main()) == 5.0


def test_a_stopped_timer_does_not_fire() -> None:
    """A closed stream leaves no timer behind."""

    async def main() -> tuple[int, int]:
        timer = WaitTimer()
        await timer.limit(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        before = running_timers()
        timer.stop()
        return before, running_timers()

    assert run_virtual(main()) == (1, 0)


def test_a_stopped_timer_holds_no_references() -> None:
    """Neither does the earlier, longer timer that it replaced."""

    async def main() -> bool:
        timer, waiter = WaitTimer(), in_seconds(1.0)
        await timer.limit(in_seconds(1.0), 60.0, httpcore.ReadTimeout)
        await timer.limit(waiter, 5.0, httpcore.ReadTimeout)
        last = weakref.ref(waiter)
        timer.stop()
        del timer, waiter
        await asyncio.sleep(0)
        return last() is None

    assert run_virtual(main())


def test_consecutive_users_of_a_reserve_share_a_timer() -> None:
    """Each has the full timeout, and the event loop has a single timer."""

    async def main() -> tuple[float, int]:
        reserve = TimerReserve()
        for _ in range(10):
            timer = reserve.take()
            await timer.limit(in_seconds(0.1), 5.0, httpcore.ReadTimeout)
            reserve.give_back(timer)
        timers = running_timers()
        return await time_to_expiry(reserve.take(), 5.0), timers

    assert run_virtual(main()) == (5.0, 1)


def test_simultaneous_users_of_a_reserve_have_a_timer_each() -> None:
    """One that waits is never given to another user."""

    async def main() -> float:
        reserve = TimerReserve()
        one, other = reserve.take(), reserve.take()
        waiting = asyncio.ensure_future(time_to_expiry(one, 3.0))
        await other.limit(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        reserve.give_back(other)
        assert reserve.take() is other
        assert reserve.take() not in {one, other}
        reserve.give_back(other)
        await reserve.take().limit(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        return await waiting

    assert run_virtual(main()) == 3.0


def test_a_timer_that_was_given_back_holds_no_references() -> None:
    """Although it is still running."""

    class Owner:
        def failed(self, message: str) -> httpcore.ReadTimeout:
            return httpcore.ReadTimeout(message)

    async def main() -> bool:
        reserve, owner, waiter = TimerReserve(), Owner(), in_seconds(1.0)
        timer, owner_left, waiter_left = reserve.take(), weakref.ref(owner), weakref.ref(waiter)
        await timer.limit(waiter, 5.0, owner.failed)
        reserve.give_back(timer)
        del owner, waiter
        await asyncio.sleep(0)
        return owner_left() is None and waiter_left() is None

    assert run_virtual(main())


@pytest.mark.parametrize("is_early", [False, True])
def test_a_stopped_reserve_leaves_no_timer_running(*, is_early: bool) -> None:
    """Nor does one that is given back afterwards."""

    async def main() -> int:
        reserve = TimerReserve()
        timer = reserve.take()
        await timer.limit(in_seconds(1.0), 5.0, httpcore.ReadTimeout)
        if is_early:
            reserve.stop()
            reserve.give_back(timer)
        else:
            reserve.give_back(timer)
            reserve.stop()
        return running_timers()

    assert run_virtual(main()) == 0
