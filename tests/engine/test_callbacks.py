"""Callbacks of every kind, none of which affects the request or the other callbacks."""

import asyncio
import contextlib
import contextvars
import logging
from typing import Any

import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.testing import run_virtual

CALLER = contextvars.copy_context()
SUCCESS = EventType.SUCCESS


def event(**metadata: Any) -> AsyncEvent:
    """Create an event."""
    return AsyncEvent(SUCCESS, RequestContext(request_id="r", metadata=metadata))


def test_sync_and_async_callbacks_receive_the_event() -> None:
    """The sync one is called immediately; the async one runs as a task."""
    seen: list[str] = []

    async def later(received: AsyncEvent) -> None:
        await asyncio.sleep(1)
        seen.append(f"async {received.context.request_id}")

    async def main() -> None:
        callbacks = Callbacks()
        callbacks.add(SUCCESS, later)
        callbacks.add(SUCCESS, lambda received: seen.append(f"sync {received.context.request_id}"))
        callbacks.deliver(event(), CALLER)
        assert seen == ["sync r"]
        await callbacks.settle(grace=2, excluding=None)
        assert seen == ["sync r", "async r"]

    run_virtual(main())


def test_a_callback_only_receives_events_of_its_type() -> None:
    """A callback for retries isn't called for a success."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(EventType.RETRY, seen.append)
    callbacks.deliver(event(), CALLER)
    assert seen == []
    assert callbacks.wanted == {EventType.RETRY}


def test_changes_to_an_event_are_invisible_to_other_callbacks() -> None:
    """Each receives its own copy, including nested metadata."""
    callbacks = Callbacks()
    seen: list[dict[str, Any]] = []

    def vandal(received: AsyncEvent) -> None:
        received.context.metadata["nested"]["list"].clear()

    callbacks.add(SUCCESS, vandal)
    callbacks.add(SUCCESS, lambda received: seen.append(received.context.metadata))
    original = event(nested={"list": [1]})
    callbacks.deliver(original, CALLER)
    assert seen == [{"nested": {"list": [1]}}]
    assert original.context.metadata == {"nested": {"list": [1]}}


class Broken(BaseException):
    """An error outside the ``Exception`` hierarchy."""


@pytest.mark.parametrize("error", [ValueError("no"), Broken(), asyncio.CancelledError()])
def test_errors_of_a_sync_callback_are_counted_and_logged_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The log record names the callback; later failures are only counted."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []

    def failing(_: AsyncEvent) -> None:
        raise error

    callbacks.add(SUCCESS, failing)
    callbacks.add(SUCCESS, seen.append)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            callbacks.deliver(event(), CALLER)
    assert callbacks.failed == 3
    assert len(seen) == 3
    assert len(caplog.records) == 1
    assert "failing" in caplog.text


@pytest.mark.parametrize("error", [ValueError("no"), Broken(), asyncio.CancelledError()])
def test_errors_of_an_async_callback_are_counted_and_logged_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if it raises after waiting."""
    callbacks = Callbacks()

    async def failing(_: AsyncEvent) -> None:
        await asyncio.sleep(1)
        raise error

    async def main() -> None:
        callbacks.add(SUCCESS, failing)
        for _ in range(3):
            callbacks.deliver(event(), CALLER)
        await callbacks.settle(grace=5, excluding=None)
        assert callbacks.running == 0

    run_virtual(main())
    assert callbacks.failed == 3
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_keyboard_interrupt_and_system_exit_propagate_from_a_sync_callback(
    stop: type[BaseException],
) -> None:
    """Control-C during a callback is meant for the program."""
    callbacks = Callbacks()

    def stopping(_: AsyncEvent) -> None:
        raise stop

    callbacks.add(SUCCESS, stopping)
    with pytest.raises(stop):
        callbacks.deliver(event(), CALLER)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_keyboard_interrupt_and_system_exit_propagate_from_an_async_callback(
    stop: type[BaseException],
) -> None:
    """They propagate out of the event loop, as from any task."""
    callbacks = Callbacks()

    async def stopping(_: AsyncEvent) -> None:
        raise stop

    async def main() -> None:
        callbacks.add(SUCCESS, stopping)
        callbacks.deliver(event(), CALLER)
        await asyncio.sleep(1)

    with pytest.raises(stop):
        run_virtual(main())


def test_a_callback_may_return_any_awaitable() -> None:
    """A future returned by a sync function is awaited like a coroutine."""

    async def main() -> None:
        callbacks = Callbacks()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        callbacks.add(SUCCESS, lambda _: future)
        callbacks.deliver(event(), CALLER)
        await asyncio.sleep(0)
        assert callbacks.running == 1
        future.set_result(None)
        await callbacks.settle(grace=1, excluding=None)
        assert callbacks.running == 0

    run_virtual(main())


def test_a_callback_runs_in_a_copy_of_the_callers_context() -> None:
    """It sees the caller's context variables, and its own changes stay private to it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def reading(_: AsyncEvent) -> None:
        seen.append(variable.get())
        variable.set("changed")

    async def reading_later(received: AsyncEvent) -> None:
        await asyncio.sleep(1)
        reading(received)

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


def test_remove_drops_one_registration_and_returns_whether_there_was_one() -> None:
    """A callback registered twice must be removed twice."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(SUCCESS, seen.append)
    callbacks.add(SUCCESS, seen.append)
    assert callbacks.remove(SUCCESS, seen.append)
    callbacks.deliver(event(), CALLER)
    assert len(seen) == 1
    assert callbacks.remove(SUCCESS, seen.append)
    assert not callbacks.remove(SUCCESS, seen.append)
    assert not callbacks.remove(EventType.ERROR, seen.append)


def test_removing_a_callback_keeps_those_before_it() -> None:
    """Only the one that is named goes."""
    callbacks = Callbacks()
    first: list[AsyncEvent] = []
    second: list[AsyncEvent] = []
    callbacks.add(SUCCESS, first.append)
    callbacks.add(SUCCESS, second.append)
    assert callbacks.remove(SUCCESS, second.append)
    callbacks.deliver(event(), CALLER)
    assert (len(first), second) == (1, [])


def test_a_callback_may_remove_itself_while_it_runs() -> None:
    """The other callbacks of the same event are still called."""
    callbacks = Callbacks()
    seen: list[str] = []

    def once(_: AsyncEvent) -> None:
        seen.append("once")
        callbacks.remove(SUCCESS, once)

    callbacks.add(SUCCESS, once)
    callbacks.add(SUCCESS, lambda _: seen.append("always"))
    callbacks.deliver(event(), CALLER)
    callbacks.deliver(event(), CALLER)
    assert seen == ["once", "always", "always"]


@pytest.mark.parametrize("bad", [None, "print", 3])
def test_a_callback_that_is_not_callable_raises(bad: Any) -> None:
    """On registration, not at the first event."""
    with pytest.raises(TypeError, match=repr(bad)):
        Callbacks().add(SUCCESS, bad)


def test_beyond_the_limit_the_longest_running_callback_is_cancelled() -> None:
    """This bounds memory without making a request wait for a callback."""
    started: list[int] = []

    async def endless(got: AsyncEvent) -> None:
        started.append(got.context.metadata["number"])
        await asyncio.Event().wait()

    async def main() -> None:
        callbacks = Callbacks(max_running=3)
        callbacks.add(SUCCESS, endless)
        for number in range(10):
            callbacks.deliver(event(number=number), CALLER)
            await asyncio.sleep(1)
        assert started == list(range(10))
        assert callbacks.running == 3
        assert callbacks.failed == 7
        await callbacks.cancel(excluding=None)
        assert callbacks.running == 0

    run_virtual(main())


def test_the_limit_holds_within_one_iteration_of_the_event_loop() -> None:
    """During a burst, cancelled callbacks have no chance to end in between."""

    async def endless(_: AsyncEvent) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        callbacks = Callbacks(max_running=3)
        callbacks.add(SUCCESS, endless)
        for _ in range(50):
            callbacks.deliver(event(), CALLER)
        await asyncio.sleep(1)
        assert callbacks.running == 3
        await callbacks.cancel(excluding=None)

    run_virtual(main())


def test_settle_waits_no_longer_than_the_grace_period() -> None:
    """And not at all if nothing is running."""

    async def endless(_: AsyncEvent) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        callbacks = Callbacks()
        await callbacks.settle(grace=5, excluding=None)
        assert loop.time() == 0
        callbacks.add(SUCCESS, endless)
        callbacks.deliver(event(), CALLER)
        await callbacks.settle(grace=5, excluding=None)
        assert loop.time() == 5
        await callbacks.cancel(excluding=None)

    run_virtual(main())


def test_a_callback_that_calls_settle_does_not_wait_for_itself() -> None:
    """A callback may wait for all requests, and that waits for the callbacks."""
    ends: list[float] = []

    async def main() -> None:
        callbacks = Callbacks()

        async def waiting(_: AsyncEvent) -> None:
            await callbacks.settle(grace=5, excluding=asyncio.current_task())
            ends.append(asyncio.get_running_loop().time())

        callbacks.add(SUCCESS, waiting)
        callbacks.deliver(event(), CALLER)
        await asyncio.sleep(10)

    run_virtual(main())
    assert ends == [0.0]


def test_a_callback_that_suppresses_its_cancellation_is_not_waited_for_indefinitely() -> None:
    """``cancel()`` waits for it for a limited time."""

    async def stubborn(_: AsyncEvent) -> None:
        for _attempt in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(100)

    async def main() -> None:
        callbacks = Callbacks()
        callbacks.add(SUCCESS, stubborn)
        callbacks.deliver(event(), CALLER)
        await asyncio.sleep(0)
        await callbacks.cancel(excluding=None)
        assert asyncio.get_running_loop().time() == 1.0

    run_virtual(main())


def test_an_eager_callback_that_ends_immediately_is_not_kept() -> None:
    """With an eager task factory the task has ended before ``create_task()`` returns."""
    factory = getattr(asyncio, "eager_task_factory", None)

    async def quick(_: AsyncEvent) -> None:
        return None

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        callbacks = Callbacks()
        callbacks.add(SUCCESS, quick)
        callbacks.deliver(event(), CALLER)
        await callbacks.settle(grace=1, excluding=None)
        assert callbacks.running == 0

    run_virtual(main())
