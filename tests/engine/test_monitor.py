"""The queue of events: delivery, dropping and back-pressure."""

import asyncio
import contextvars
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext, RetryDetails
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.testing import in_virtual_time, run_virtual

CALLER = contextvars.copy_context()


class Recorder:
    """A monitor with callbacks that record the events delivered to them."""

    def __init__(self, queue_size: int) -> None:
        self.ledger = Ledger(max_results=1000, max_age=3600)
        self.callbacks = Callbacks()
        self.monitor = Monitor(self.ledger, self.callbacks, queue_size=queue_size)
        self.seen: list[str] = []
        for kind in EventType:
            self.callbacks.add(kind, self.record)

    def start(self) -> None:
        """Start the monitor."""
        self.monitor.start(asyncio.get_running_loop())

    def record(self, event: AsyncEvent) -> None:
        """Record the id of the request and the type of the event."""
        self.seen.append(f"{event.context.request_id} {event.event_type}")

    def publish(self, request_id: str, kind: EventType) -> None:
        """Publish an event of a request."""
        context = RequestContext(request_id=request_id)
        details = RetryDetails(1, 0.1, "backoff", httpx.ConnectError("refused"))
        event = AsyncEvent(kind, context, data=details if kind == "retry" else None, attempts=1)
        self.monitor.publish(event, CALLER)


def delivering(excluding: "asyncio.Task[Any] | None" = None) -> set["asyncio.Task[Any]"]:
    """Return the tasks that deliver events: every other one than the current, or the given task."""
    return asyncio.all_tasks() - {excluding or asyncio.current_task()}


@in_virtual_time
async def test_a_result_is_available_before_any_callback_is_called() -> None:
    """The ledger records an event before it is queued."""
    recorder = Recorder(queue_size=10)
    recorder.start()
    recorder.publish("a", EventType.SUCCESS)
    assert recorder.ledger.get("a") is not None
    assert recorder.seen == []


@in_virtual_time
async def test_events_are_delivered_by_a_task_that_ends_with_the_last_of_them() -> None:
    """Before the monitor is started, they are delivered when published."""
    recorder = Recorder(queue_size=1)
    recorder.publish("a", EventType.SUCCESS)
    assert recorder.seen == ["a success"]
    recorder.start()
    for name in "bcd":
        recorder.publish(name, EventType.SUCCESS)
        assert len(delivering()) == 1
    await recorder.monitor.wait_until_delivered()
    await recorder.monitor.wait_for_room()
    assert recorder.seen == ["a success", "b success", "c success", "d success"]
    await recorder.monitor.stop()
    assert delivering() == set()


@in_virtual_time
async def test_events_of_cancelled_requests_are_delivered_at_once() -> None:
    """A loop that shuts down may run only a few more iterations, after it has cancelled all tasks."""
    recorder = Recorder(queue_size=1000)
    recorder.start()
    for number in range(500):
        recorder.publish(str(number), EventType.CANCELLED)
    await asyncio.sleep(0)
    assert len(recorder.seen) == 500


def test_events_are_delivered_in_the_order_they_were_published() -> None:
    """One task delivers them, from one queue."""
    recorder = Recorder(queue_size=10)

    async def main() -> None:
        recorder.start()
        recorder.publish("a", EventType.RETRY)
        recorder.publish("b", EventType.SUCCESS)
        recorder.publish("a", EventType.ERROR)
        await recorder.monitor.wait_until_delivered()

    run_virtual(main())
    assert recorder.seen == ["a retry", "b success", "a error"]


@in_virtual_time
async def test_a_full_queue_drops_and_counts_retries_but_never_terminal_events() -> None:
    """Every published event is either delivered or counted as dropped."""
    recorder = Recorder(queue_size=2)
    recorder.start()
    for name in "abcd":
        recorder.publish(name, EventType.RETRY)
        recorder.publish(name, EventType.SUCCESS)
    assert recorder.monitor.dropped == 3
    assert recorder.monitor.backlog == 5
    recorder.monitor.drain()
    assert recorder.seen == ["a retry", "a success", "b success", "c success", "d success"]
    assert recorder.monitor.published.total() == len(recorder.seen) + recorder.monitor.dropped


def test_an_event_without_callbacks_is_not_queued() -> None:
    """It is only recorded in the ledger."""
    monitor = Monitor(Ledger(max_results=9, max_age=9), Callbacks(), queue_size=1)
    event = AsyncEvent(EventType.SUCCESS, RequestContext())
    monitor.publish(event, CALLER)
    assert monitor.backlog == 0
    assert monitor.published == {EventType.SUCCESS: 1}


def test_there_is_room_again_once_the_backlog_is_within_the_queue_size() -> None:
    """Admission waits only while the queue exceeds its size."""
    recorder = Recorder(queue_size=2)

    async def main() -> None:
        recorder.start()
        for name in "abc":
            assert recorder.monitor.has_room
            recorder.publish(name, EventType.SUCCESS)
        assert not recorder.monitor.has_room
        await recorder.monitor.wait_for_room()
        assert recorder.monitor.has_room

    run_virtual(main())


def test_a_burst_is_delivered_over_several_iterations_of_the_event_loop() -> None:
    """Hundreds of sync callbacks in a row would block every other task."""
    recorder = Recorder(queue_size=1000)

    async def main() -> int:
        recorder.start()
        for number in range(500):
            recorder.publish(str(number), EventType.SUCCESS)
        turns = 0
        while recorder.monitor.backlog:
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert run_virtual(main()) > 5
    assert len(recorder.seen) == 500


def test_a_cancelled_monitor_loses_no_event() -> None:
    """It delivers them before it ends, even if it is cancelled before its first step."""
    recorder = Recorder(queue_size=1000)

    async def main(turns: int) -> None:
        recorder.start()
        for number in range(100):
            recorder.publish(str(number), EventType.SUCCESS)
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in delivering():
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    for turns in range(4):
        recorder.seen.clear()
        run_virtual(main(turns))
        assert recorder.seen == [f"{number} success" for number in range(100)]


@pytest.mark.parametrize("bad", [0, -1, 1.5, None, True])
def test_an_invalid_queue_size_raises(bad: Any) -> None:
    """The message names the option and its value."""
    with pytest.raises(ValueError, match=rf"event_queue_size.*{bad!r}"):
        Recorder(queue_size=bad)


@in_virtual_time
async def test_a_callback_that_cancels_the_current_task_does_not_stop_the_monitor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The current task is the monitor; other events are still delivered by it, and one line says so."""
    recorder = Recorder(queue_size=10)

    def cancel(_: AsyncEvent) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert {task} == delivering(excluding=main)
        task.cancel()
        task.cancel()

    main = asyncio.current_task()
    recorder.callbacks.add(EventType.RETRY, cancel)
    recorder.start()
    for _ in range(2):
        recorder.publish("a", EventType.RETRY)
        recorder.publish("b", EventType.SUCCESS)
        await recorder.monitor.wait_until_delivered()
        await asyncio.sleep(1)
    assert recorder.seen == ["a retry", "b success"] * 2
    assert recorder.callbacks.failed == 2
    assert caplog.text.count("asyncio.current_task().cancel()") == 2
