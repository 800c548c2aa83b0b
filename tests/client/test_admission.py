"""The admission of requests."""

import asyncio
from typing import Any, Self

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    ClientClosedError,
    DeadlineExceededError,
    EventType,
    RequestContext,
)
from typed_async_client.testing import in_virtual_time


class SlowHandler:
    """A handler that takes a second per request and counts concurrent ones."""

    def __init__(self) -> None:
        self.active = 0
        self.max_active = 0
        self.order: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Respond after a second."""
        self.active += 1
        self.max_active = max(self.max_active, self.active)
        self.order.append(request.url.path)
        await asyncio.sleep(1)
        self.active -= 1
        return httpx.Response(200)


def new_client(handler: SlowHandler, **options: Any) -> AsyncResilientClient:
    """Create a client that sends to ``handler``."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(handler), base_url="http://a.test", **options
    )


@in_virtual_time
async def test_at_most_max_concurrent_requests_run() -> None:
    """A loop over many URLs creates no more tasks than that at a time."""
    handler = SlowHandler()
    async with new_client(handler, max_concurrent_requests=4) as client:
        task_counts = []
        for number in range(20):
            await client.get(f"/{number}")
            task_counts.append(client.active_tasks_count)
        await client.wait_for_all_requests()
    assert (handler.max_active, max(task_counts)) == (4, 4)
    assert handler.order == [f"/{number}" for number in range(20)]
    assert asyncio.get_running_loop().time() == 5.0


@in_virtual_time
async def test_waiting_requests_are_admitted_in_order() -> None:
    """First come, first served."""
    handler = SlowHandler()
    async with new_client(handler, max_concurrent_requests=1) as client:
        await asyncio.gather(*(client.get(f"/{number}") for number in range(10)))
        await client.wait_for_all_requests()
    assert handler.order == [f"/{number}" for number in range(10)]


@in_virtual_time
async def test_a_caller_cancelled_while_waiting_takes_no_permit() -> None:
    """It submits nothing, and the next one is admitted."""
    handler = SlowHandler()
    async with new_client(handler, max_concurrent_requests=1) as client:
        await client.get("/first")
        cancelled = asyncio.create_task(client.get("/cancelled"))
        waiting = asyncio.create_task(client.get("/waiting"))
        await asyncio.sleep(0.5)
        cancelled.cancel()
        await (await waiting)
        assert client.statistics().submitted == 2
    assert handler.order == ["/first", "/waiting"]


@pytest.mark.parametrize("turns", range(6))
@in_virtual_time
async def test_a_caller_cancelled_during_its_admission_leaks_no_permit(turns: int) -> None:
    """Even if it was just being given the permit."""
    handler = SlowHandler()
    async with new_client(handler, max_concurrent_requests=1) as client:
        first = await client.get("/first")
        waiting = asyncio.create_task(client.get("/waiting"))
        await asyncio.sleep(0)
        first.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        async with asyncio.timeout(10):
            await (await client.get("/last"))


@in_virtual_time
async def test_closing_rejects_waiting_requests() -> None:
    """Each raises ``ClientClosedError``; none hangs."""
    handler = SlowHandler()
    client = new_client(handler, max_concurrent_requests=1)
    await client.get("/first")
    waiting = [asyncio.create_task(client.get(f"/{number}")) for number in range(5)]
    await asyncio.sleep(0)
    await client.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ClientClosedError}
    assert client.statistics().submitted == 1


@in_virtual_time
async def test_admission_waits_while_more_events_are_queued_than_allowed() -> None:
    """This bounds memory if requests are submitted faster than events are delivered."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with AsyncResilientClient(transport=transport, event_queue_size=2) as client:
        client.add_event_callback(EventType.SUCCESS, lambda _: None)
        backlogs = []

        async def submit_another() -> None:
            backlogs.append(client.event_queue_size)
            await client.get("http://a.test/")
            backlogs.append(client.event_queue_size)

        for _ in range(10):
            await client.get("http://a.test/")
        await asyncio.create_task(submit_another())
        assert backlogs[0] == 10
        assert backlogs[1] <= 2


@in_virtual_time
async def test_a_caller_cancelled_while_the_queue_is_full_blocks_no_other() -> None:
    """The client has no limit of concurrent requests whose permit would have to be returned."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with AsyncResilientClient(transport=transport, event_queue_size=2) as client:
        client.add_event_callback(EventType.SUCCESS, lambda _: None)

        async def give_up() -> None:
            assert client.event_queue_size == 10
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await client.get("http://a.test/")

        for _ in range(10):
            await client.get("http://a.test/")
        await asyncio.create_task(give_up())
        assert (await (await client.get("http://a.test/"))).status_code == 200
        assert client.statistics().submitted == 11


@in_virtual_time
async def test_a_request_never_waits_for_the_queue() -> None:
    """With a queue size of 1, a hundred requests take as long as with 1,000."""
    for queue_size in (1, 1000):
        handler = SlowHandler()
        start = asyncio.get_running_loop().time()
        async with new_client(handler, event_queue_size=queue_size) as client:
            client.add_event_callback(EventType.SUCCESS, lambda _: None)
            tasks = [await client.get(f"/{number}") for number in range(100)]
            await asyncio.gather(*tasks)
            assert asyncio.get_running_loop().time() == start + 1.0


@in_virtual_time
async def test_a_context_passed_by_the_caller_is_copied() -> None:
    """Its metadata can be changed as soon as the request is submitted."""
    seen: list[Any] = []
    context = RequestContext(metadata={"tags": ["a"]})
    async with new_client(SlowHandler()) as client:
        client.add_event_callback(
            EventType.SUCCESS, lambda event: seen.append(event.context.metadata)
        )
        task = await client.get("/", context)
        context.metadata["tags"].append("changed")
        await task
        await client.wait_for_all_requests()
    assert seen == [{"tags": ["a"]}]


@in_virtual_time
async def test_options_are_copied_on_submission() -> None:
    """A payload that is reused for several requests is sent as it was on each submission."""
    bodies: list[bytes] = []

    def record(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content + request.headers["x-n"].encode() + request.url.query)
        return httpx.Response(200)

    payload: dict[str, Any] = {"nested": [0]}
    headers, params = {"X-N": "0"}, {"n": "0"}
    async with AsyncResilientClient(transport=httpx.MockTransport(record)) as client:
        for number in range(3):
            payload["nested"][0] = number
            headers["X-N"] = params["n"] = str(number)
            await client.post("http://a.test/", json=payload, headers=headers, params=params)
        await client.wait_for_all_requests()
    assert bodies == [f'{{"nested":[{n}]}}{n}n={n}'.encode() for n in range(3)]


@in_virtual_time
async def test_a_request_whose_deadline_passes_before_it_is_admitted_ends_like_any_other() -> None:
    """With an event, a result, and a count; and those that follow are admitted."""
    handler = SlowHandler()
    events: list[AsyncEvent] = []
    async with new_client(handler, max_concurrent_requests=1) as client:
        client.add_event_callback(EventType.TIMEOUT, events.append)
        task = await client.get("/first")
        with pytest.raises(DeadlineExceededError, match="raise max_concurrent_requests") as raised:
            await client.request("GET", "/late", client.new_context("late"), deadline=0.5)
        assert (await client.wait_for_request("late")).error is raised.value
        await task
        assert (await client.request("GET", "/next")).status_code == 200
        await client.wait_for_all_requests()
        assert [(event.context.request_id, event.attempts) for event in events] == [("late", 0)]
        statistics = client.statistics()
        assert (statistics.submitted, statistics.timed_out, statistics.active) == (3, 1, 0)
        assert handler.order == ["/first", "/next"]


@in_virtual_time
async def test_a_deadline_includes_entering_the_transport() -> None:
    """Which happens when the first request is submitted, if the client wasn't entered before."""

    class Slow(httpx.MockTransport):
        async def __aenter__(self) -> Self:
            await asyncio.sleep(2.0)
            return self

    loop = asyncio.get_running_loop()
    client = AsyncResilientClient(transport=Slow(SlowHandler()))
    began = loop.time()
    with pytest.raises(DeadlineExceededError, match="took long to enter it"):
        await client.request("GET", "http://a.test/", deadline=0.5)
    assert loop.time() == began + 0.5
    assert (await client.request("GET", "http://a.test/", deadline=5.0)).status_code == 200
    await client.close()
