"""Both drivers perform the same steps in the same order."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from typed_async_client.engine.state import RequestState

from typed_async_client import AsyncEvent, ConnectError, EventType, RequestContext
from typed_async_client.engine.drivers import drive, drive_sync
from typed_async_client.engine.flow import Flow, request_flow
from typed_async_client.record import RequestRecord
from typed_async_client.testing import run_virtual

OK = httpx.Response(200)


def new_flow(now: Callable[[], float] = lambda: 0.0) -> Flow:
    """Create a flow with two retries, after one and two seconds."""
    return request_flow(
        RequestState(
            RequestContext(),
            now=now,
            random=lambda: 0.5,
            record=RequestRecord("POST", "http://a.test"),
        )
    )


class Script:
    """Gives each attempt the next outcome of a script, for either driver."""

    def __init__(self, *outcomes: httpx.Response | BaseException) -> None:
        self.outcomes = list(outcomes)
        self.events: list[AsyncEvent] = []
        self.slept: list[float] = []

    def send(self) -> httpx.Response:
        """Make one attempt synchronously."""
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def send_async(self) -> httpx.Response:
        """Make one attempt on an event loop, yielding to it once."""
        await asyncio.sleep(0)
        return self.send()

    @property
    def kinds(self) -> list[EventType]:
        """The types of the emitted events."""
        return [event.event_type for event in self.events]

    def drive_sync(self) -> httpx.Response:
        """Run the synchronous driver."""
        return drive_sync(new_flow(), self.send, self.events.append, self.slept.append)

    async def drive_async(self) -> httpx.Response:
        """Run the async driver."""
        loop = asyncio.get_running_loop()
        return await drive(new_flow(loop.time), self.send_async, self.events.append)


def refusals(number: int) -> list[httpx.ConnectError]:
    """Create a number of connect failures."""
    return [httpx.ConnectError("refused") for _ in range(number)]


def test_the_sync_driver_retries_and_returns_the_response() -> None:
    """Two refusals, two sleeps, one response."""
    script = Script(*refusals(2), OK)
    assert script.drive_sync() is OK
    assert script.slept == [1.0, 2.0]
    assert script.kinds == [EventType.RETRY, EventType.RETRY, EventType.SUCCESS]


def test_the_async_driver_waits_on_the_event_loops_clock() -> None:
    """Three virtual seconds of backoff take no real time."""
    script = Script(*refusals(2), OK)

    async def main() -> float:
        assert await script.drive_async() is OK
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3.0
    assert script.kinds == [EventType.RETRY, EventType.RETRY, EventType.SUCCESS]
    assert script.events[-1].elapsed == 3.0


@pytest.mark.parametrize("error", [httpx.ReadError("cut"), ValueError("the user's own")])
def test_both_drivers_raise_an_error_that_is_not_retried(error: Exception) -> None:
    """The same object that was raised."""
    sync, on_loop = Script(error), Script(error)
    with pytest.raises(type(error)) as from_sync:
        sync.drive_sync()
    with pytest.raises(type(error)) as from_loop:
        run_virtual(on_loop.drive_async())
    assert from_sync.value is from_loop.value is error
    assert sync.kinds == on_loop.kinds == [EventType.ERROR]


def test_both_drivers_raise_a_connect_error_when_retries_are_exhausted() -> None:
    """Each after three attempts."""
    sync, on_loop = Script(*refusals(3)), Script(*refusals(3))
    with pytest.raises(ConnectError):
        sync.drive_sync()
    with pytest.raises(ConnectError):
        run_virtual(on_loop.drive_async())
    assert sync.kinds == on_loop.kinds == [EventType.RETRY, EventType.RETRY, EventType.ERROR]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_sync_request_ends_as_cancelled(stop: type[BaseException]) -> None:
    """Control-C during an attempt is reported as an event and raised."""
    script = Script(stop())
    with pytest.raises(stop):
        script.drive_sync()
    assert script.kinds == [EventType.CANCELLED]


def test_an_interrupt_during_a_sync_sleep_ends_as_cancelled() -> None:
    """Waiting is a step like any other."""
    script = Script(*refusals(1))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive_sync(new_flow(), script.send, script.events.append, interrupted)
    assert script.kinds == [EventType.RETRY, EventType.CANCELLED]


async def cancel_after(turns: int, main: Callable[[], Awaitable[object]]) -> asyncio.Task[object]:
    """Run ``main`` as a task, cancel it after some iterations of the loop, and wait for it."""

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
    """In an attempt or in backoff: there is one terminal event, and the task is cancelled."""
    script = Script(*refusals(2), OK)

    async def main() -> bool:
        task = await cancel_after(turns, script.drive_async)
        return task.cancelled()

    cancelled = run_virtual(main())
    assert sum(kind.is_terminal for kind in script.kinds) == 1
    assert cancelled is (script.kinds[-1] is EventType.CANCELLED)
