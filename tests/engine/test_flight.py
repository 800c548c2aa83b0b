"""A request in flight, and the register of them."""

import asyncio
import contextvars

from typed_async_client import AsyncEvent, EventType, RequestContext
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.flight import Flight, Register, wait_for_landing
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.story import Clock, Story
from typed_async_client.testing import in_virtual_time


def new_flight(register: Register, ledger: Ledger) -> Flight:
    """Make a flight that is registered and has no task yet, as an eager one while it starts."""
    story = Story(RequestContext(request_id="r"), Clock(lambda: 0.0, lambda: 0.5), method="GET")
    flight = Flight(story, Monitor(ledger, Callbacks(), queue_size=1), register.remove)
    register.add(flight)
    return flight


@in_virtual_time
async def test_a_flight_without_a_task_is_waited_for_by_giving_way() -> None:
    """Its task is made in this very turn of the loop."""
    flight = new_flight(Register(), Ledger(max_results=1, max_age=1))
    turned: list[str] = []
    asyncio.get_running_loop().call_soon(turned.append, "turn")
    await wait_for_landing([flight])
    assert turned == ["turn"]


def test_a_flight_lands_once() -> None:
    """What comes after its end is told to nobody."""
    register, ledger = Register(), Ledger(max_results=1, max_age=1)
    flight = new_flight(register, ledger)
    flight.abandon()
    first = flight.ending
    flight.abandon()
    assert flight.ending is first
    assert len(register) == 0
    assert register.flights() == []


def test_publishing_without_a_loop_delivers_at_once() -> None:
    """There is no monitor coroutine to wait for."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(EventType.SUCCESS, seen.append)
    monitor = Monitor(Ledger(max_results=1, max_age=1), callbacks, queue_size=1)
    monitor.publish(AsyncEvent(EventType.SUCCESS, RequestContext()), contextvars.copy_context())
    assert len(seen) == 1
