"""Values and callbacks that misbehave while a request is in flight: it ends all the same."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncEvent, AsyncResilientClient, EventType, RequestContext
from typed_async_client.testing import in_virtual_time


class Handle:
    """Metadata that can be copied a number of times."""

    def __init__(self, copies: int) -> None:
        self.copies = copies

    def __deepcopy__(self, memo: Any) -> "Handle":
        self.copies -= 1
        if self.copies < 0:
            raise TypeError("can't be copied any more")
        return self


def client_of(answers: Any, **options: Any) -> AsyncResilientClient:
    """Create a client with a mocked transport."""
    return AsyncResilientClient(transport=httpx.MockTransport(answers), base_delay=0.1, **options)


@pytest.mark.parametrize("copies", range(1, 12))
@in_virtual_time
async def test_metadata_that_can_no_longer_be_copied_is_shared(copies: int) -> None:
    """The request is retried, ends as a success, is reported, and gives its permit back."""
    is_refused = itertools.cycle([True, False])

    def answer(request: httpx.Request) -> httpx.Response:
        if next(is_refused):
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200)

    heard: list[str] = []
    async with client_of(answer, max_concurrent_requests=1) as client:
        for kind in EventType:
            client.add_event_callback(kind, lambda event: heard.append(event.event_type))
            client.add_event_callback(kind, lambda event: heard.append(event.event_type))
        for _ in range(2):
            context = RequestContext(metadata={"handle": Handle(copies)})
            assert (await client.request("GET", "http://a.test/", context)).status_code == 200
        await client.wait_for_all_requests()
    assert heard == ["retry", "retry", "success", "success"] * 2


@in_virtual_time
async def test_a_callback_that_cancels_the_current_task_cancels_no_request() -> None:
    """It runs in the monitor, which goes on."""

    def cancel(_: AsyncEvent) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async with client_of(lambda _: httpx.Response(200)) as client:
        client.add_event_callback(EventType.SUCCESS, cancel)
        for _ in range(20):
            assert (await client.request("GET", "http://a.test/")).status_code == 200
        await client.wait_for_all_requests()
        statistics = client.statistics()
    assert (statistics.succeeded, statistics.events_delivered) == (20, 20)


@in_virtual_time
async def test_a_transport_that_raises_generator_exit_ends_its_request() -> None:
    """With one event and one result, and its permit comes back."""

    def leave(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/leave":
            raise GeneratorExit
        return httpx.Response(200)

    seen: list[AsyncEvent] = []
    async with client_of(leave, max_concurrent_requests=1) as client:
        for kind in EventType:
            client.add_event_callback(kind, seen.append)
        task = await client.get("http://a.test/leave")
        await asyncio.wait({task})
        assert (await client.request("GET", "http://a.test/")).status_code == 200
        results = await client.wait_for_all_requests()
    assert [event.event_type for event in seen] == ["cancelled", "success"]
    assert [result.status for result in results.values()] == ["cancelled", "success"]


@in_virtual_time
async def test_waiting_for_all_waits_for_what_callbacks_submit() -> None:
    """Every event is delivered and every callback has ended, even if they submit new requests."""
    heard: list[AsyncEvent] = []

    async def follow_up(event: AsyncEvent) -> None:
        heard.append(event)
        await asyncio.sleep(0.2)
        if len(heard) < 50:
            await client.request("GET", "http://a.test/")

    options: dict[str, Any] = {"event_queue_size": 1, "max_concurrent_requests": 1}
    async with client_of(lambda _: httpx.Response(200), **options) as client:
        client.add_event_callback(EventType.SUCCESS, follow_up)
        for _ in range(5):
            await client.get("http://a.test/")
        await client.wait_for_all_requests()
        statistics = client.statistics()
        assert (statistics.events_waiting, statistics.callbacks_running) == (0, 0)
        assert len(heard) == statistics.succeeded


@in_virtual_time
async def test_waiting_for_all_delivers_what_the_last_callback_has_caused() -> None:
    """More events than the monitor delivers at once may wait when the callback ends."""
    heard: list[AsyncEvent] = []

    async def burst(_: AsyncEvent) -> None:
        client.remove_event_callback(EventType.SUCCESS, burst)
        await asyncio.sleep(0.5)  # by now, only this callback is waited for
        tasks = [await client.get("http://a.test/") for _ in range(2000)]
        await asyncio.gather(*tasks)

    async with client_of(lambda _: httpx.Response(200), event_queue_size=5000) as client:
        client.add_event_callback(EventType.SUCCESS, burst)
        client.add_event_callback(EventType.SUCCESS, heard.append)
        await client.get("http://a.test/")
        await client.wait_for_all_requests()
        assert len(heard) == 2001
