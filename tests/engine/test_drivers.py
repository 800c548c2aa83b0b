"""Both drivers carry the same steps out, in the same order."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from typed_async_client import AsyncEvent, ConnectError, EventType, RequestContext
from typed_async_client.engine.drivers import drive, drive_sync
from typed_async_client.engine.flow import Flow, request_flow
from typed_async_client.engine.state import RequestState
from typed_async_client.testing import run_virtual

OK = httpx.Response(200)


def new_flow(now: Callable[[], float] = lambda: 0.0) -> Flow:
    """Make a flow with two retries, one and two seconds apart."""
    return request_flow(RequestState(RequestContext(), now=now, random=lambda: 0.5, method="POST"))


class Script:
    """Makes attempts end as told, one after the other, for either driver."""

    def __init__(self, *outcomes: httpx.Response | BaseException) -> None:
        self.outcomes = list(outcomes)
        self.events: list[AsyncEvent] = []
        self.slept: list[float] = []

    def send(self) -> httpx.Response:
        """Make one attempt in plain code."""
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def send_async(self) -> httpx.Response:
        """Make one attempt on an event loop, which takes a turn."""
        await asyncio.sleep(0)
        return self.send()

    @property
    def kinds(self) -> list[EventType]:
        """The kinds of the events emitted."""
        return [event.event_type for event in self.events]

    def drive(self) -> httpx.Response:
        """Run the plain driver."""
        return drive_sync(new_flow(), self.send, self.events.append, self.slept.append)

    async def drive_async(self) -> httpx.Response:
        """Run the async driver."""
        loop = asyncio.get_running_loop()
        return await drive(new_flow(loop.time), self.send_async, self.events.append)


def refusals(number: int) -> list[httpx.ConnectError]:
    """Make that many connect failures."""
    return [httpx.ConnectError("refused") for _ in range(number)]


def test_the_plain_driver_retries_and_returns_the_response() -> None:
    """Two refusals, two sleeps, one response."""
    script = Script(*refusals(2), OK)
    assert script.drive() is OK
    assert script.slept == [1.0, 2.0]
    assert script.kinds == [EventType.RETRY, EventType.RETRY, EventType.SUCCESS]


def test_the_async_driver_waits_by_the_loops_clock() -> None:
    """Three virtual seconds of back-off take no real time."""
    script = Script(*refusals(2), OK)

    async def main() -> float:
        assert await script.drive_async() is OK
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3.0
    assert script.kinds == [EventType.RETRY, EventType.RETRY, EventType.SUCCESS]
    assert script.events[-1].elapsed == 3.0


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), ValueError("the user's own")])
def test_an_error_that_is_not_retried_comes_out_of_both_drivers(error: Exception) -> None:
    """As the very object that was raised."""
    plain, on_loop = Script(error), Script(error)
    with pytest.raises(type(error)) as from_plain:
        plain.drive()
    with pytest.raises(type(error)) as from_loop:
        run_virtual(on_loop.drive_async())
    assert from_plain.value is from_loop.value is error
    assert plain.kinds == on_loop.kinds == [EventType.ERROR]


def test_exhausted_retries_come_out_of_both_drivers() -> None:
    """After three attempts each."""
    plain, on_loop = Script(*refusals(3)), Script(*refusals(3))
    with pytest.raises(ConnectError):
        plain.drive()
    with pytest.raises(ConnectError):
        run_virtual(on_loop.drive_async())
    assert plain.kinds == on_loop.kinds == [EventType.RETRY, EventType.RETRY, EventType.ERROR]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_plain_request_that_is_interrupted_ends_as_cancelled(stop: type[BaseException]) -> None:
    """Control-C in the middle of an attempt is told and raised on."""
    script = Script(stop())
    with pytest.raises(stop):
        script.drive()
    assert script.kinds == [EventType.CANCELLED]


def test_an_interrupt_during_the_plain_sleep_ends_as_cancelled() -> None:
    """The wait is a step like any other."""
    script = Script(*refusals(1))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive_sync(new_flow(), script.send, script.events.append, interrupted)
    assert script.kinds == [EventType.RETRY, EventType.CANCELLED]


async def cancel_after(turns: int, main: Callable[[], Awaitable[object]]) -> asyncio.Task[object]:
    """Run ``main`` as a task, cancel it after that many turns of the loop, and wait for it."""

    async def body() -> object:
        return await main()

    task = asyncio.get_running_loop().create_task(body())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return task


@pytest.mark.parametrize("turns", range(1, 12))
def test_a_cancellation_at_any_await_ends_in_one_cancelled_event(turns: int) -> None:
    """Attempt or back-off, first or third: one terminal event, and the task is cancelled."""
    script = Script(*refusals(2), OK)

    async def main() -> bool:
        task = await cancel_after(turns, script.drive_async)
        return task.cancelled()

    cancelled = run_virtual(main())
    assert sum(kind.is_terminal for kind in script.kinds) == 1
    assert cancelled is (script.kinds[-1] is EventType.CANCELLED)
