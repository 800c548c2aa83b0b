"""Requests in flight."""

import asyncio
import contextvars

from typed_async_client import AsyncEvent, EventType, RequestContext, Resilience
from typed_async_client.engine.callbacks import Callbacks
from typed_async_client.engine.in_flight import InFlight, InFlightRequests, wait_for_tasks
from typed_async_client.engine.ledger import Ledger
from typed_async_client.engine.monitor import Monitor
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.record import RequestRecord
from typed_async_client.testing import in_virtual_time


def new_request(requests: InFlightRequests, ledger: Ledger) -> InFlight:
    """Create a request that has no task yet, like an eager one while it starts."""
    run = Run(
        RequestContext(request_id="r"),
        SharedPolicies().of(Resilience.connect_only()),
        lambda: 0.0,
        lambda: 0.5,
        RequestRecord("GET", "http://a.test"),
        True,  # noqa: FBT003 - positional for speed: idempotent
        frozenset(),
    )
    request = InFlight(run, Monitor(ledger, Callbacks(), queue_size=1), requests.remove)
    requests.add(request)
    return request


@in_virtual_time
async def test_waiting_for_a_request_without_a_task_yields_to_the_event_loop() -> None:
    """Its task is created in the current iteration."""
    request = new_request(InFlightRequests(), Ledger(max_results=1, max_age=1))
    called: list[str] = []
    asyncio.get_running_loop().call_soon(called.append, "iteration")
    await wait_for_tasks([request])
    assert called == ["iteration"]


def test_a_request_ends_once() -> None:
    """Anything after the terminal event is ignored."""
    requests, ledger = InFlightRequests(), Ledger(max_results=1, max_age=1)
    request = new_request(requests, ledger)
    request.abandon()
    first = request.terminal_event
    request.abandon()
    assert request.terminal_event is first
    assert len(requests) == 0
    assert requests.active() == []


def test_publishing_without_an_event_loop_delivers_immediately() -> None:
    """There is no monitor task to do it later."""
    callbacks = Callbacks()
    seen: list[AsyncEvent] = []
    callbacks.add(EventType.SUCCESS, seen.append)
    monitor = Monitor(Ledger(max_results=1, max_age=1), callbacks, queue_size=1)
    monitor.publish(AsyncEvent(EventType.SUCCESS, RequestContext()), contextvars.copy_context())
    assert len(seen) == 1
