"""The queue of events, what is dropped, and what never is."""

import asyncio
import contextvars
from typing import Any

import pytest

from typed_async_client import AsyncEvent, EventType, RequestContext
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.testing import in_virtual_time, run_virtual

HERE = contextvars.copy_context()


class Desk:
    """A monitor with callbacks that write down what they get."""

    def __init__(self, queue_size: int) -> None:
        self.ledger = Ledger(max_results=1000, max_age=3600)
        self.callbacks = Callbacks()
        self.monitor = Monitor(self.ledger, self.callbacks, queue_size=queue_size)
        self.seen: list[str] = []
        for kind in EventType:
            self.callbacks.add(kind, self.note)

    def start(self) -> "asyncio.Task[None]":
        """Start the monitor coroutine."""
        return self.monitor.start(asyncio.get_running_loop())

    def note(self, event: AsyncEvent) -> None:
        """Write down the name of the request and the kind of the event."""
        self.seen.append(f"{event.context.request_id} {event.event_type}")

    def publish(self, request_id: str, kind: EventType) -> None:
        """Publish an event of a request."""
        context = RequestContext(request_id=request_id)
        event = AsyncEvent(kind, context, attempts=1)
        self.monitor.publish(event, HERE)


@in_virtual_time
async def test_a_result_is_there_before_any_callback_was_called() -> None:
    """The ledger is written as the event enters the queue."""
    desk = Desk(queue_size=10)
    desk.start()
    desk.publish("a", EventType.SUCCESS)
    assert desk.ledger.get("a") is not None
    assert desk.seen == []


@in_virtual_time
async def test_without_a_monitor_coroutine_events_are_delivered_as_they_come() -> None:
    """Before it starts, and after somebody has cancelled every task of the program."""
    desk = Desk(queue_size=1)
    desk.publish("a", EventType.SUCCESS)
    monitoring = desk.start()
    await asyncio.sleep(0)
    monitoring.cancel()
    await asyncio.wait({monitoring})
    for name in "bcd":
        desk.publish(name, EventType.SUCCESS)
    await desk.monitor.wait_until_delivered()
    await desk.monitor.wait_for_room()
    assert desk.seen == ["a success", "b success", "c success", "d success"]


def test_events_are_delivered_in_the_order_of_their_publication() -> None:
    """By one coroutine, from one queue."""
    desk = Desk(queue_size=10)

    async def main() -> None:
        monitoring = desk.start()
        desk.publish("a", EventType.RETRY)
        desk.publish("b", EventType.SUCCESS)
        desk.publish("a", EventType.ERROR)
        await desk.monitor.wait_until_delivered()
        monitoring.cancel()

    run_virtual(main())
    assert desk.seen == ["a retry", "b success", "a error"]


@in_virtual_time
async def test_a_full_queue_drops_retries_and_counts_them_but_never_an_end() -> None:
    """What is published is delivered or counted as dropped, and every end is delivered."""
    desk = Desk(queue_size=2)
    desk.start()
    for name in "abcd":
        desk.publish(name, EventType.RETRY)
        desk.publish(name, EventType.SUCCESS)
    assert desk.monitor.dropped == 3
    assert desk.monitor.backlog == 5
    desk.monitor.drain()
    assert desk.seen == ["a retry", "a success", "b success", "c success", "d success"]
    assert desk.monitor.published.total() == len(desk.seen) + desk.monitor.dropped


def test_an_event_that_nobody_wants_is_not_queued() -> None:
    """It goes no further than the ledger."""
    monitor = Monitor(Ledger(max_results=9, max_age=9), Callbacks(), queue_size=1)
    event = AsyncEvent(EventType.SUCCESS, RequestContext())
    monitor.publish(event, HERE)
    assert monitor.backlog == 0
    assert monitor.published == {EventType.SUCCESS: 1}


def test_there_is_room_again_when_the_backlog_is_down_to_its_size() -> None:
    """Admission waits exactly as long as the queue is overfull."""
    desk = Desk(queue_size=2)

    async def main() -> None:
        desk.start()
        for name in "abc":
            assert desk.monitor.has_room
            desk.publish(name, EventType.SUCCESS)
        assert not desk.monitor.has_room
        await desk.monitor.wait_for_room()
        assert desk.monitor.has_room

    run_virtual(main())


def test_a_burst_is_delivered_in_turns_of_the_loop() -> None:
    """Hundreds of plain callbacks in a row would hold up every other task."""
    desk = Desk(queue_size=1000)

    async def main() -> int:
        monitoring = desk.start()
        for number in range(500):
            desk.publish(str(number), EventType.SUCCESS)
        turns = 0
        while desk.monitor.backlog:
            turns += 1
            await asyncio.sleep(0)
        monitoring.cancel()
        return turns

    assert run_virtual(main()) > 5
    assert len(desk.seen) == 500


def test_a_cancelled_monitor_loses_no_event() -> None:
    """What it had not delivered is delivered by the drain that follows, once."""
    desk = Desk(queue_size=1000)

    async def main(turns: int) -> None:
        monitoring = desk.start()
        await asyncio.sleep(0)
        for number in range(100):
            desk.publish(str(number), EventType.SUCCESS)
        for _ in range(turns):
            await asyncio.sleep(0)
        monitoring.cancel()
        await asyncio.wait({monitoring})
        desk.monitor.drain()

    for turns in range(4):
        desk.seen.clear()
        run_virtual(main(turns))
        assert desk.seen == [f"{number} success" for number in range(100)]


@pytest.mark.parametrize("bad", [0, -1, 1.5, None, True])
def test_a_queue_without_a_size_is_refused(bad: Any) -> None:
    """The message names the option and its value."""
    with pytest.raises(ValueError, match=rf"event_queue_size.*{bad!r}"):
        Desk(queue_size=bad)
