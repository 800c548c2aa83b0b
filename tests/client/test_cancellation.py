"""Cancellation and closing at every await, in virtual time."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    ClientClosedError,
    EventType,
    RequestContext,
    ResultStatus,
)
from typed_async_client.testing import in_virtual_time, run_virtual


class EventCounter:
    """Counts the terminal events of each request, and records events that follow them."""

    def __init__(self, client: AsyncResilientClient) -> None:
        self.terminal_events: Counter[str] = Counter()
        self.late: list[AsyncEvent] = []
        for kind in EventType:
            client.add_event_callback(kind, self.record)

    def record(self, event: AsyncEvent) -> None:
        """Record an event."""
        if self.terminal_events[event.context.request_id]:
            self.late.append(event)
        if event.event_type.is_terminal:
            self.terminal_events[event.context.request_id] += 1


async def refuse_twice(request: httpx.Request) -> httpx.Response:
    """Wait during each attempt, and refuse the first two."""
    seen = request.extensions["seen"]
    seen.append(request)
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.sleep(0.5)
    if len(seen) < 3:
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(200)


def new_client(**options: Any) -> AsyncResilientClient:
    """Create a client whose requests are refused twice."""
    return AsyncResilientClient(transport=httpx.MockTransport(refuse_twice), **options)


async def submit(
    client: AsyncResilientClient, request_id: str = "r"
) -> asyncio.Task[httpx.Response]:
    """Submit a request."""
    context = RequestContext(request_id=request_id)
    return await client.get("http://a.test/", context, extensions={"seen": []})


@in_virtual_time
async def test_a_task_cancelled_before_its_first_step_has_an_event_and_a_result() -> None:
    """Although none of the task's code ever runs."""
    async with new_client() as client:
        counter = EventCounter(client)
        task = await submit(client)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (ResultStatus.CANCELLED, 0)
        await client.wait_for_all_requests()
    assert counter.terminal_events == {"r": 1}


@pytest.mark.parametrize("turns", range(40))
@in_virtual_time
async def test_a_cancellation_at_any_point_leads_to_exactly_one_terminal_event(
    turns: int,
) -> None:
    """Before the first step, during an attempt or backoff, or after the end."""
    async with new_client() as client:
        counter = EventCounter(client)
        task = await submit(client)
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = task.done()
        task.cancel()
        await asyncio.wait({task})
        results = await client.wait_for_all_requests()
        assert client.active_tasks_count == 0
    assert counter.terminal_events == {"r": 1}
    assert counter.late == []
    assert results["r"].status is (ResultStatus.SUCCESS if was_done else ResultStatus.CANCELLED)


@pytest.mark.parametrize("at", [0.25, 0.6, 1.7, 2.2, 3.9, 4.3])
@in_virtual_time
async def test_a_cancellation_takes_effect_immediately(at: float) -> None:
    """In each of the three attempts, and in the backoff between them."""
    async with new_client(random=lambda: 0.5) as client:
        task = await submit(client)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(at):
                await task
        assert asyncio.get_running_loop().time() == at
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.total_time) == (ResultStatus.CANCELLED, at)
        assert result.attempts == 1 + (at > 1.5) + (at > 4.0)


@pytest.mark.parametrize("turns", range(25))
@in_virtual_time
async def test_closing_at_any_point_gives_every_request_one_terminal_event(turns: int) -> None:
    """With requests at every stage."""
    client = new_client()
    counter = EventCounter(client)
    request_ids = [str(number) for number in range(20)]
    tasks = []
    for request_id in request_ids:
        tasks.append(await submit(client, request_id))
        await asyncio.sleep(0.2)
    for _ in range(turns):
        await asyncio.sleep(0)
    await client.close()
    assert all(task.done() for task in tasks)
    assert counter.terminal_events == dict.fromkeys(request_ids, 1)
    assert counter.late == []
    assert client.results_count == 20
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_closing_again_or_concurrently_has_no_further_effect() -> None:
    """Every call returns once the client is closed."""
    client = new_client()
    await submit(client)
    await asyncio.gather(client.close(), client.close())
    await client.close()
    assert client.is_closed
    assert client.statistics().cancelled == 1


@in_virtual_time
async def test_an_unused_client_can_be_closed() -> None:
    """There is nothing to cancel or to deliver."""
    client = new_client()
    assert not client.is_closed
    await client.close()
    assert client.is_closed


@in_virtual_time
async def test_a_closed_client_raises_a_runtime_error() -> None:
    """The message says that a new one is needed; results can still be read."""
    async with new_client() as client:
        await (await submit(client))
    for use in (submit(client), client._initialize_client()):
        with pytest.raises(RuntimeError, match="closed: create a new one"):
            await use
    with pytest.raises(ClientClosedError):
        await client.__aenter__()
    assert client.get_result("r") is not None
    assert list(await client.wait_for_all_requests()) == ["r"]


@pytest.mark.parametrize("turns", range(8))
@in_virtual_time
async def test_close_completes_even_if_its_caller_is_cancelled(turns: int) -> None:
    """Requests end, and the connections are closed."""
    client = new_client()
    counter = EventCounter(client)
    await submit(client)
    closing = asyncio.create_task(client.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await client.close()
    assert counter.terminal_events == {"r": 1}
    assert client._client.is_closed


@in_virtual_time
async def test_a_request_that_ignores_its_cancellation_is_abandoned_after_the_grace_period() -> (
    None
):
    """Its terminal event is published then; what happens later isn't reported."""
    stop = asyncio.Event()

    async def ignore_cancellation(_: httpx.Request) -> httpx.Response:
        while not stop.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stop.wait()
        return httpx.Response(200)

    client = AsyncResilientClient(transport=httpx.MockTransport(ignore_cancellation), grace=2.0)
    counter = EventCounter(client)
    task = await client.get("http://a.test/", RequestContext(request_id="r"))
    await asyncio.sleep(1)
    await client.close()
    assert asyncio.get_running_loop().time() == 3.0
    stop.set()
    await asyncio.wait({task})
    assert counter.terminal_events == {"r": 1}
    result = client.get_result("r")
    assert result is not None
    assert (result.status, result.attempts) == (ResultStatus.CANCELLED, 1)


@in_virtual_time
async def test_the_context_manager_closes_when_its_body_fails() -> None:
    """The requests are cancelled, and the error propagates."""
    client = new_client()

    async def body() -> None:
        async with client:
            await submit(client)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()
    assert client.statistics().cancelled == 1


def test_every_request_ends_once_when_the_event_loop_shuts_down() -> None:
    """``asyncio.run`` finally cancels all tasks, including the monitor."""
    clients: list[AsyncResilientClient] = []

    async def main() -> None:
        client = new_client()
        clients.append(client)
        for number in range(10):
            await submit(client, str(number))
        await asyncio.sleep(0.1)

    run_virtual(main())
    statuses = [result.status for result in clients[0].get_all_results().values()]
    assert statuses == [ResultStatus.CANCELLED] * 10


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="eager tasks need 3.12")
@in_virtual_time
async def test_an_eager_request_has_one_event_and_one_result() -> None:
    """Although it ends before ``create_task()`` returns."""
    factory = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with AsyncResilientClient(transport=transport) as client:
        counter = EventCounter(client)
        task = await client.get("http://a.test/", RequestContext(request_id="r"))
        assert task.done()
        assert (await task).status_code == 200
        assert client.get_result("r") is not None
        await client.wait_for_all_requests()
        assert client.active_tasks_count == 0
    assert counter.terminal_events == {"r": 1}
