"""Middleware of a transport that is cancelled, runs calls beside each other, or meets its deadline."""

import asyncio
import threading
from typing import Any

import httpx
import pytest
from middleware_sending import URL, AsyncBody

from typed_async_client import (
    AsyncEvent,
    Bulkhead,
    DeadlineExceededError,
    Resilience,
    ResilientTransport,
    RetryPolicy,
)
from typed_async_client.testing import in_virtual_time


class Slow(httpx.AsyncBaseTransport):
    """Takes half a second, then answers with an open body."""

    def __init__(self) -> None:
        self.bodies: list[AsyncBody] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail if the URL says so."""
        await asyncio.sleep(60.0 if request.url.path == "/slow" else 0.5)
        self.bodies.append(AsyncBody(None))
        return httpx.Response(200, stream=self.bodies[-1])


class Watched:
    """A client on a transport with middleware around a slow one."""

    def __init__(self, middleware: Any, server: Slow | None = None, **policies: Any) -> None:
        self.events: list[AsyncEvent] = []
        self.server = server or Slow()
        self.transport = ResilientTransport(
            self.server,
            middleware=[middleware],
            on_event=self.record,
            resilience=Resilience(**policies),
        )
        self.client = httpx.AsyncClient(transport=self.transport)

    def record(self, event: AsyncEvent) -> None:
        """Record an event that isn't about a single attempt."""
        if event.is_terminal:
            self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the terminal events."""
        return [event.event_type.value for event in self.events]


async def twice(request: httpx.Request, call_next: Any) -> httpx.Response:
    """Ask again, and leave the first response open."""
    await asyncio.sleep(0)
    await call_next(request)
    await asyncio.sleep(0)
    response: httpx.Response = await call_next(request)
    await asyncio.sleep(0)
    return response


@pytest.mark.parametrize("turns", range(30))
@in_virtual_time
async def test_a_cancellation_at_any_turn_leaves_no_body_open(turns: int) -> None:
    """One terminal event, every permit is back, and every body closed."""
    watched = Watched(twice, bulkhead=Bulkhead(max_concurrent=2, max_wait=0.0))
    task = asyncio.ensure_future(watched.client.get(URL))
    for turn in range(turns):
        await asyncio.sleep(0)
        if turn in {8, 16}:
            await asyncio.sleep(0.5)
    was_cancelled = task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError) == was_cancelled
    if was_cancelled and watched.events:
        assert watched.kinds == ["cancelled"]
    assert all(body.is_closed for body in watched.server.bodies)
    await watched.client.get(URL)  # needs both permits
    assert watched.kinds[-1] == "success"
    await watched.client.aclose()


@pytest.mark.parametrize("turns", range(12))
@in_virtual_time
async def test_a_cancellation_while_the_losers_are_cancelled_leaves_nothing(turns: int) -> None:
    """The response that has won is closed, too."""

    class Stubborn(Slow):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await super().handle_async_request(request)
            finally:
                if request.url.path == "/slow":
                    for _ in range(6):
                        await asyncio.sleep(0)

    async def race(request: httpx.Request, call_next: Any) -> httpx.Response:
        slow = httpx.Request("GET", "https://api.test/slow")
        tasks = [asyncio.ensure_future(call_next(each)) for each in (slow, request)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        response: httpx.Response = done.pop().result()
        ended.set()
        return response

    ended = asyncio.Event()
    watched = Watched(race, Stubborn(), bulkhead=Bulkhead(max_concurrent=2, max_wait=0.0))
    task = asyncio.ensure_future(watched.client.get(URL))
    await ended.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    was_cancelled = task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError) == was_cancelled
    assert all(body.is_closed for body in watched.server.bodies)
    assert watched.kinds == ["cancelled" if was_cancelled else "success"]
    await watched.client.aclose()


@in_virtual_time
async def test_the_deadline_covers_the_middleware() -> None:
    """Also what it does after a response, whose body is then closed."""

    async def slow(request: httpx.Request, call_next: Any) -> httpx.Response:
        response: httpx.Response = await call_next(request)
        await asyncio.sleep(60.0)
        return response

    watched = Watched(slow, retry=RetryPolicy())
    with pytest.raises(DeadlineExceededError, match=r"https://api\.test passed while"):
        await watched.client.get(URL, extensions={"deadline": 2.0})
    assert watched.kinds == ["timeout"]
    assert watched.server.bodies[0].is_closed
    await watched.client.aclose()


def test_threads_share_a_transport_with_middleware() -> None:
    """Eight threads, each calling twice: the bulkhead is never passed."""
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def app(_: httpx.Request) -> httpx.Response:
        with lock:
            running.append(1)
            most.append(len(running))
        threading.Event().wait(0.001)
        with lock:
            running.pop()
        return httpx.Response(200, text="ok")

    def again(request: httpx.Request, call_next: Any) -> httpx.Response:
        call_next(request)
        response: httpx.Response = call_next(request)
        return response

    transport = ResilientTransport(
        httpx.MockTransport(app),
        middleware=[again],
        resilience=Resilience(bulkhead=Bulkhead(max_concurrent=2, max_wait=30.0)),
    )
    client = httpx.Client(transport=transport)
    threads = [
        threading.Thread(target=lambda: [client.get(URL) for _ in range(5)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert len(most) == 80
    assert max(most) <= 2
