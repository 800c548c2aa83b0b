"""A request in request, and the register of them."""

import asyncio
import contextvars

from typed_async_client import AsyncEvent, EventType, RequestContext
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.in_flight import InFlight, InFlightRequests, wait_for_tasks
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.state import RequestState
from typed_async_client.testing import in_virtual_time


def new_request(register: InFlightRequests, ledger: Ledger) -> InFlight:
    """Make a request that is registered and has no task yet, as an eager one while it starts."""
    state = RequestState(
        RequestContext(request_id="r"), now=lambda: 0.0, random=lambda: 0.5, method="GET"
    )
    request = InFlight(state, Monitor(ledger, Callbacks(), queue_size=1), register.remove)
    register.add(request)
    return request


@in_virtual_time
async def test_a_flight_without_a_task_is_waited_for_by_giving_way() -> None:
    """Its task is made in this very turn of the loop."""
    request = new_request(InFlightRequests(), Ledger(max_results=1, max_age=1))
    turned: list[str] = []
    asyncio.get_running_loop().call_soon(turned.append, "turn")
    await wait_for_tasks([request])
    assert turned == ["turn"]


def test_a_flight_lands_once() -> None:
    """What comes after its end is told to nobody."""
    register, ledger = InFlightRequests(), Ledger(max_results=1, max_age=1)
    request = new_request(register, ledger)
    request.abandon()
    first = request.terminal_event
    request.abandon()
    assert request.terminal_event is first
    assert len(register) == 0
    assert register.active() == []


def test_publishing_without_a_loop_delivers_at_once() -> None:
    """There is no monitor coroutine to wait for."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(EventType.SUCCESS, seen.append)
    monitor = Monitor(Ledger(max_results=1, max_age=1), callbacks, queue_size=1)
    monitor.publish(AsyncEvent(EventType.SUCCESS, RequestContext()), contextvars.copy_context())
    assert len(seen) == 1
