"""Who may start, and when."""

import asyncio
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    ClientClosedError,
    EventType,
    RequestContext,
)
from typed_async_client.testing import in_virtual_time


class Peak:
    """A transport that takes a second for each request and counts how many are inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.highest = 0
        self.order: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer after a second."""
        self.inside += 1
        self.highest = max(self.highest, self.inside)
        self.order.append(request.url.path)
        await asyncio.sleep(1)
        self.inside -= 1
        return httpx.Response(200)


def new_client(peak: Peak, **options: Any) -> AsyncResilientClient:
    """Make a client over that transport."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(peak), base_url="http://a.test", **options
    )


@in_virtual_time
async def test_no_more_requests_run_than_allowed() -> None:
    """A loop over many URLs holds as many tasks as allowed, not as many as URLs."""
    peak = Peak()
    async with new_client(peak, max_concurrent_requests=4) as client:
        held = []
        for number in range(20):
            await client.get(f"/{number}")
            held.append(client.active_tasks_count)
        await client.wait_for_all_requests()
    assert (peak.highest, max(held)) == (4, 4)
    assert peak.order == [f"/{number}" for number in range(20)]
    assert asyncio.get_running_loop().time() == 5.0


@in_virtual_time
async def test_those_who_wait_are_admitted_in_turn() -> None:
    """First come, first served."""
    peak = Peak()
    async with new_client(peak, max_concurrent_requests=1) as client:
        await asyncio.gather(*(client.get(f"/{number}") for number in range(10)))
        await client.wait_for_all_requests()
    assert peak.order == [f"/{number}" for number in range(10)]


@in_virtual_time
async def test_a_caller_who_gives_up_waiting_takes_no_place() -> None:
    """Cancelled in the queue, it submitted nothing, and the next one is admitted."""
    peak = Peak()
    async with new_client(peak, max_concurrent_requests=1) as client:
        await client.get("/first")
        gives_up = asyncio.create_task(client.get("/gives-up"))
        waits = asyncio.create_task(client.get("/waits"))
        await asyncio.sleep(0.5)
        gives_up.cancel()
        await (await waits)
        assert client.statistics().submitted == 2
    assert peak.order == ["/first", "/waits"]


@pytest.mark.parametrize("turns", range(6))
@in_virtual_time
async def test_a_caller_cancelled_at_any_turn_of_its_admission_loses_no_place(turns: int) -> None:
    """Also when the place was just being handed to it."""
    peak = Peak()
    async with new_client(peak, max_concurrent_requests=1) as client:
        first = await client.get("/first")
        waits = asyncio.create_task(client.get("/waits"))
        await asyncio.sleep(0)
        first.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        waits.cancel()
        await asyncio.wait({waits})
        async with asyncio.timeout(10):
            await (await client.get("/last"))


@in_virtual_time
async def test_closing_turns_those_who_wait_away() -> None:
    """Each of them hears that the client is closed; none hangs."""
    peak = Peak()
    client = new_client(peak, max_concurrent_requests=1)
    await client.get("/first")
    waiting = [asyncio.create_task(client.get(f"/{number}")) for number in range(5)]
    await asyncio.sleep(0)
    await client.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ClientClosedError}
    assert client.statistics().submitted == 1


@in_virtual_time
async def test_admission_waits_while_more_events_are_queued_than_allowed() -> None:
    """Memory is bounded: who submits faster than events are delivered waits for the monitor."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with AsyncResilientClient(transport=transport, event_queue_size=2) as client:
        client.add_event_callback(EventType.SUCCESS, lambda _: None)
        backlogs = []

        async def come_late() -> None:
            backlogs.append(client.event_queue_size)
            await client.get("http://a.test/")
            backlogs.append(client.event_queue_size)

        for _ in range(10):
            await client.get("http://a.test/")
        await asyncio.create_task(come_late())
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
    """At a queue of one, a hundred requests end in the same turn of the clock as at a thousand."""
    for queue_size in (1, 1000):
        peak = Peak()
        begun = asyncio.get_running_loop().time()
        async with new_client(peak, event_queue_size=queue_size) as client:
            client.add_event_callback(EventType.SUCCESS, lambda _: None)
            tasks = [await client.get(f"/{number}") for number in range(100)]
            await asyncio.gather(*tasks)
            assert asyncio.get_running_loop().time() == begun + 1.0


@in_virtual_time
async def test_a_context_given_by_the_caller_is_not_shared_with_it() -> None:
    """Its metadata may be changed right after the submission."""
    seen: list[Any] = []
    context = RequestContext(metadata={"tags": ["a"]})
    async with new_client(Peak()) as client:
        client.add_event_callback(
            EventType.SUCCESS, lambda event: seen.append(event.context.metadata)
        )
        task = await client.get("/", context)
        context.metadata["tags"].append("changed")
        await task
        await client.wait_for_all_requests()
    assert seen == [{"tags": ["a"]}]


@in_virtual_time
async def test_options_changed_after_the_submission_are_not_what_is_sent() -> None:
    """One payload, filled anew for each request, sends what it held at each submission."""
    bodies: list[bytes] = []

    def keep(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content + request.headers["x-n"].encode() + request.url.query)
        return httpx.Response(200)

    payload: dict[str, Any] = {"nested": [0]}
    headers, params = {"X-N": "0"}, {"n": "0"}
    async with AsyncResilientClient(transport=httpx.MockTransport(keep)) as client:
        for number in range(3):
            payload["nested"][0] = number
            headers["X-N"] = params["n"] = str(number)
            await client.post("http://a.test/", json=payload, headers=headers, params=params)
        await client.wait_for_all_requests()
    assert bodies == [f'{{"nested":[{n}]}}{n}n={n}'.encode() for n in range(3)]
