"""A request with middleware, driven by hand where a driver rarely goes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    Call,
    CallNext,
    EventType,
    RequestContext,
    Resilience,
    ResilientTransport,
)
from typed_async_client.engine.around import CallRun, Chain, around_flow
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Consult
from typed_async_client.record import RequestRecord
from typed_async_client.testing import in_virtual_time

URL = "https://api.test/items"


class Doing(Chain):
    """A chain that is asked for nothing but its events."""

    def __call__(self, call: Any) -> Any:
        """Return the call."""
        return call


def new_run(make: Any = Run, **options: Any) -> Any:
    """Create the state of a request, with a stopped clock."""
    return make(
        RequestContext(request_id="r"),
        SharedPolicies().of(Resilience.connect_only()),
        lambda: 5.0,
        lambda: 0.5,
        RequestRecord("GET", URL),
        True,  # noqa: FBT003 - idempotent, positional as in the client
        frozenset(EventType),
        **options,
    )


def test_a_flow_that_is_closed_publishes_nothing() -> None:
    """No driver would perform another step."""
    flow = around_flow(new_run(), Doing(lambda _: None), "call")
    assert isinstance(next(flow), Consult)
    flow.close()


def test_a_call_publishes_nothing_once_the_middleware_has_returned() -> None:
    """And its own terminal event never: the request has another one."""
    published: list[AsyncEvent] = []
    chain, run = Doing(published.append), new_run()
    call = new_run(lambda *args, **options: CallRun(run, *args, **options), deadline=9.0)
    chain.emit(call.event(EventType.STARTED))
    chain.emit(call.event(EventType.SUCCESS))
    chain.close()
    chain.emit(call.event(EventType.STARTED))
    assert [event.seq for event in published] == [0]
    with pytest.raises(RuntimeError, match="the request has ended"):
        chain.check("call", str)


def test_a_call_ends_no_later_than_its_request() -> None:
    """Whichever deadline comes first."""
    for own, outer, expected in ((3.0, 9.0, 3.0), (9.0, 3.0, 3.0)):
        run = new_run(deadline=outer)
        call = new_run(lambda *args, run=run, **more: CallRun(run, *args, **more), deadline=own)
        assert call.deadline == expected


@in_virtual_time
async def test_a_timeout_of_the_middleware_itself_is_its_own_error() -> None:
    """The deadline hasn't passed, so nothing is said about it."""

    async def failing(_: Call, __: CallNext) -> httpx.Response:
        raise TimeoutError("its own")

    async with AsyncResilientClient(middleware=[failing]) as client:
        with pytest.raises(TimeoutError, match="its own"):
            await client.request("GET", URL, deadline=60.0)


class Stalling(httpx.AsyncByteStream):
    """A body that stalls after its first part."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"part"
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Close the body."""
        self.is_closed = True


class Server(httpx.AsyncBaseTransport):
    """Answers with bodies that stall."""

    def __init__(self) -> None:
        self.bodies: list[Stalling] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.bodies.append(Stalling())
        return httpx.Response(200, stream=self.bodies[-1], request=request)


@pytest.mark.parametrize("is_failing", [False, True])
@in_virtual_time
async def test_a_cancellation_while_responses_are_discarded_closes_all(*, is_failing: bool) -> None:
    """The one that is being drained, those that wait for it, and the one to return."""

    async def thrice(request: httpx.Request, call_next: Any) -> httpx.Response:
        await call_next(request)
        await call_next(request)
        response: httpx.Response = await call_next(request)
        if is_failing:
            raise ValueError("no")
        return response

    server = Server()
    events: list[AsyncEvent] = []
    transport = ResilientTransport(server, middleware=[thrice], on_event=events.append)
    async with httpx.AsyncClient(transport=transport) as client:
        task = asyncio.ensure_future(client.get(URL))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [body.is_closed for body in server.bodies] == [True] * 3
    assert [event.event_type for event in events] == [EventType.CANCELLED]


@in_virtual_time
async def test_a_reader_who_is_cancelled_cancels_the_request() -> None:
    """The body was handed over; the only terminal event says what has become of it."""

    async def passing(request: httpx.Request, call_next: Any) -> httpx.Response:
        response: httpx.Response = await call_next(request)
        return response

    server = Server()
    events: list[AsyncEvent] = []
    transport = ResilientTransport(server, middleware=[passing], on_event=events.append)
    async with httpx.AsyncClient(transport=transport) as client:
        task = asyncio.ensure_future(client.get(URL))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.bodies[0].is_closed
    assert [event.event_type for event in events] == [EventType.CANCELLED]
