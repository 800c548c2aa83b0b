"""Callbacks of every kind, and that none of them reaches what it watches."""

import asyncio
import contextlib
import contextvars
import logging
from typing import Any

import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.testing import run_virtual

HERE = contextvars.copy_context()
SUCCESS = EventType.SUCCESS


def event(**metadata: Any) -> AsyncEvent:
    """Make an event."""
    return AsyncEvent(SUCCESS, RequestContext(request_id="r", metadata=metadata))


def test_plain_and_async_callbacks_get_the_event() -> None:
    """Both kinds, in the order of their registration."""
    seen: list[str] = []

    async def later(got: AsyncEvent) -> None:
        await asyncio.sleep(1)
        seen.append(f"async {got.context.request_id}")

    async def main() -> None:
        callbacks = Callbacks()
        callbacks.add(SUCCESS, later)
        callbacks.add(SUCCESS, lambda got: seen.append(f"plain {got.context.request_id}"))
        callbacks.deliver(event(), HERE)
        assert seen == ["plain r"]
        await callbacks.settle(grace=2, excluding=None)
        assert seen == ["plain r", "async r"]

    run_virtual(main())


def test_only_events_of_the_asked_type_are_delivered() -> None:
    """A callback on retries hears nothing of successes."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(EventType.RETRY, seen.append)
    callbacks.deliver(event(), HERE)
    assert seen == []
    assert callbacks.wanted == {EventType.RETRY}


def test_no_callback_sees_what_another_one_does_to_the_event() -> None:
    """Each gets a clone of its own, nested metadata included."""
    callbacks = Callbacks()
    seen: list[dict[str, Any]] = []

    def vandal(got: AsyncEvent) -> None:
        got.context.metadata["nested"]["list"].clear()

    callbacks.add(SUCCESS, vandal)
    callbacks.add(SUCCESS, lambda got: seen.append(got.context.metadata))
    original = event(nested={"list": [1]})
    callbacks.deliver(original, HERE)
    assert seen == [{"nested": {"list": [1]}}]
    assert original.context.metadata == {"nested": {"list": [1]}}


class Broken(BaseException):
    """An error outside the Exception tree."""


@pytest.mark.parametrize("error", [ValueError("no"), Broken(), asyncio.CancelledError()])
def test_a_plain_callback_that_raises_is_counted_and_logged_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure names the callback; the others are only counted."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []

    def failing(_: AsyncEvent) -> None:
        raise error

    callbacks.add(SUCCESS, failing)
    callbacks.add(SUCCESS, seen.append)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            callbacks.deliver(event(), HERE)
    assert callbacks.failed == 3
    assert len(seen) == 3
    assert len(caplog.records) == 1
    assert "failing" in caplog.text


@pytest.mark.parametrize("error", [ValueError("no"), Broken(), asyncio.CancelledError()])
def test_an_async_callback_that_raises_is_counted_and_logged_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when it raises after a wait."""
    callbacks = Callbacks()

    async def failing(_: AsyncEvent) -> None:
        await asyncio.sleep(1)
        raise error

    async def main() -> None:
        callbacks.add(SUCCESS, failing)
        for _ in range(3):
            callbacks.deliver(event(), HERE)
        await callbacks.settle(grace=5, excluding=None)
        assert callbacks.running == 0

    run_virtual(main())
    assert callbacks.failed == 3
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_order_to_stop_the_program_is_not_swallowed(stop: type[BaseException]) -> None:
    """Control-C in a callback is meant for the program."""
    callbacks = Callbacks()

    def stopping(_: AsyncEvent) -> None:
        raise stop

    callbacks.add(SUCCESS, stopping)
    with pytest.raises(stop):
        callbacks.deliver(event(), HERE)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_order_to_stop_from_an_async_callback_is_not_swallowed(
    stop: type[BaseException],
) -> None:
    """It comes out of the event loop, as it would from any task."""
    callbacks = Callbacks()

    async def stopping(_: AsyncEvent) -> None:
        raise stop

    async def main() -> None:
        callbacks.add(SUCCESS, stopping)
        callbacks.deliver(event(), HERE)
        await asyncio.sleep(1)

    with pytest.raises(stop):
        run_virtual(main())


def test_a_callback_may_return_any_awaitable() -> None:
    """A plain function that hands out a future is awaited like a coroutine function."""

    async def main() -> None:
        callbacks = Callbacks()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        callbacks.add(SUCCESS, lambda _: future)
        callbacks.deliver(event(), HERE)
        await asyncio.sleep(0)
        assert callbacks.running == 1
        future.set_result(None)
        await callbacks.settle(grace=1, excluding=None)
        assert callbacks.running == 0

    run_virtual(main())


def test_a_callback_runs_in_a_copy_of_the_callers_context() -> None:
    """It reads the caller's variables, and what it sets stays with it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def reading(_: AsyncEvent) -> None:
        seen.append(variable.get())
        variable.set("changed")

    async def reading_later(got: AsyncEvent) -> None:
        await asyncio.sleep(1)
        reading(got)

    async def main() -> None:
        callbacks = Callbacks()
        callbacks.add(SUCCESS, reading)
        callbacks.add(SUCCESS, reading_later)
        variable.set("caller's")
        caller = contextvars.copy_context()
        variable.set("later")
        callbacks.deliver(event(), caller)
        callbacks.deliver(event(), caller)
        await callbacks.settle(grace=2, excluding=None)
        assert caller[variable] == "caller's"

    run_virtual(main())
    assert seen == ["caller's"] * 4


def test_removing_tells_whether_it_was_there_and_drops_one_of_equals() -> None:
    """A callback registered twice is called twice until removed twice."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(SUCCESS, seen.append)
    callbacks.add(SUCCESS, seen.append)
    assert callbacks.remove(SUCCESS, seen.append)
    callbacks.deliver(event(), HERE)
    assert len(seen) == 1
    assert callbacks.remove(SUCCESS, seen.append)
    assert not callbacks.remove(SUCCESS, seen.append)
    assert not callbacks.remove(EventType.ERROR, seen.append)


def test_a_callback_may_remove_itself_while_it_runs() -> None:
    """The others of the same event are still called."""
    callbacks = Callbacks()
    seen: list[str] = []

    def once(_: AsyncEvent) -> None:
        seen.append("once")
        callbacks.remove(SUCCESS, once)

    callbacks.add(SUCCESS, once)
    callbacks.add(SUCCESS, lambda _: seen.append("always"))
    callbacks.deliver(event(), HERE)
    callbacks.deliver(event(), HERE)
    assert seen == ["once", "always", "always"]


@pytest.mark.parametrize("bad", [None, "print", 3])
def test_what_cannot_be_called_is_refused(bad: Any) -> None:
    """At registration, not at the first event."""
    with pytest.raises(TypeError, match=repr(bad)):
        Callbacks().add(SUCCESS, bad)


def test_past_the_bound_the_longest_running_callback_makes_room() -> None:
    """So memory is bounded although no request ever waits for a callback."""
    started: list[int] = []

    async def endless(got: AsyncEvent) -> None:
        started.append(got.context.metadata["number"])
        await asyncio.Event().wait()

    async def main() -> None:
        callbacks = Callbacks(max_running=3)
        callbacks.add(SUCCESS, endless)
        for number in range(10):
            callbacks.deliver(event(number=number), HERE)
            await asyncio.sleep(1)
        assert started == list(range(10))
        assert callbacks.running == 3
        assert callbacks.failed == 7
        await callbacks.cancel(excluding=None)
        assert callbacks.running == 0

    run_virtual(main())


def test_past_the_bound_in_one_turn_of_the_loop_it_holds_too() -> None:
    """A burst has no turn in between in which cancelled callbacks could leave."""

    async def endless(_: AsyncEvent) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        callbacks = Callbacks(max_running=3)
        callbacks.add(SUCCESS, endless)
        for _ in range(50):
            callbacks.deliver(event(), HERE)
        await asyncio.sleep(1)
        assert callbacks.running == 3
        await callbacks.cancel(excluding=None)

    run_virtual(main())


def test_settling_waits_no_longer_than_the_grace_time() -> None:
    """And not at all when nothing runs."""

    async def endless(_: AsyncEvent) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        callbacks = Callbacks()
        await callbacks.settle(grace=5, excluding=None)
        assert loop.time() == 0
        callbacks.add(SUCCESS, endless)
        callbacks.deliver(event(), HERE)
        await callbacks.settle(grace=5, excluding=None)
        assert loop.time() == 5
        await callbacks.cancel(excluding=None)

    run_virtual(main())


def test_a_callback_that_settles_does_not_wait_for_itself() -> None:
    """A callback may wait for all requests, which waits for the callbacks."""
    ends: list[float] = []

    async def main() -> None:
        callbacks = Callbacks()

        async def waiting(_: AsyncEvent) -> None:
            await callbacks.settle(grace=5, excluding=asyncio.current_task())
            ends.append(asyncio.get_running_loop().time())

        callbacks.add(SUCCESS, waiting)
        callbacks.deliver(event(), HERE)
        await asyncio.sleep(10)

    run_virtual(main())
    assert ends == [0.0]


def test_a_callback_that_swallows_its_cancellation_holds_nobody_up() -> None:
    """Cancelling waits a bounded time for it."""

    async def stubborn(_: AsyncEvent) -> None:
        for _attempt in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(100)

    async def main() -> None:
        callbacks = Callbacks()
        callbacks.add(SUCCESS, stubborn)
        callbacks.deliver(event(), HERE)
        await asyncio.sleep(0)
        await callbacks.cancel(excluding=None)
        assert asyncio.get_running_loop().time() == 1.0

    run_virtual(main())


def test_an_eager_callback_that_ends_at_once_is_not_kept() -> None:
    """With an eager task factory the task is over before anyone could watch it."""
    factory = getattr(asyncio, "eager_task_factory", None)

    async def quick(_: AsyncEvent) -> None:
        return None

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        callbacks = Callbacks()
        callbacks.add(SUCCESS, quick)
        callbacks.deliver(event(), HERE)
        await callbacks.settle(grace=1, excluding=None)
        assert callbacks.running == 0

    run_virtual(main())
