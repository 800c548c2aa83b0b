"""Cancellation and closing, at every await, on a clock that jumps."""

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


class Watcher:
    """Counts the terminal events of each request, and notes what follows them."""

    def __init__(self, client: AsyncResilientClient) -> None:
        self.ends: Counter[str] = Counter()
        self.late: list[AsyncEvent] = []
        for kind in EventType:
            client.add_event_callback(kind, self.see)

    def see(self, event: AsyncEvent) -> None:
        """Take one event."""
        if self.ends[event.context.request_id]:
            self.late.append(event)
        if event.event_type.is_terminal:
            self.ends[event.context.request_id] += 1


async def refuse_then_answer(request: httpx.Request) -> httpx.Response:
    """Take a few turns for each attempt; refuse the first two."""
    seen = request.extensions["seen"]
    seen.append(request)
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.sleep(0.5)
    if len(seen) < 3:
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(200)


def new_client(**options: Any) -> AsyncResilientClient:
    """Make a client over that transport."""
    return AsyncResilientClient(transport=httpx.MockTransport(refuse_then_answer), **options)


async def submit(client: AsyncResilientClient, name: str = "r") -> asyncio.Task[httpx.Response]:
    """Submit a request that is refused twice and then answered."""
    context = RequestContext(request_id=name)
    return await client.get("http://a.test/", context, extensions={"seen": []})


@in_virtual_time
async def test_a_task_cancelled_before_its_first_step_has_its_event_and_its_result() -> None:
    """No code of the task ever runs; the story has an end all the same."""
    async with new_client() as client:
        watcher = Watcher(client)
        task = await submit(client)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (ResultStatus.CANCELLED, 0)
        await client.wait_for_all_requests()
    assert watcher.ends == {"r": 1}


@pytest.mark.parametrize("turns", range(40))
@in_virtual_time
async def test_a_cancellation_after_any_turn_ends_in_exactly_one_terminal_event(
    turns: int,
) -> None:
    """Before the first step, in an attempt, in a back-off, or after the end."""
    async with new_client() as client:
        watcher = Watcher(client)
        task = await submit(client)
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = task.done()
        task.cancel()
        await asyncio.wait({task})
        results = await client.wait_for_all_requests()
        assert client.active_tasks_count == 0
    assert watcher.ends == {"r": 1}
    assert watcher.late == []
    assert results["r"].status is (ResultStatus.SUCCESS if was_done else ResultStatus.CANCELLED)


@pytest.mark.parametrize("at", [0.25, 0.6, 1.7, 2.2, 3.9, 4.3])
@in_virtual_time
async def test_a_cancellation_at_any_time_is_heard_at_once(at: float) -> None:
    """In the first, second and third attempt, and in both back-offs."""
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
async def test_closing_at_any_turn_leaves_every_request_with_one_end(turns: int) -> None:
    """Requests in every stage, submitted one turn apart."""
    client = new_client()
    watcher = Watcher(client)
    names = [str(number) for number in range(20)]
    tasks = []
    for name in names:
        tasks.append(await submit(client, name))
        await asyncio.sleep(0.2)
    for _ in range(turns):
        await asyncio.sleep(0)
    await client.close()
    assert all(task.done() for task in tasks)
    assert watcher.ends == dict.fromkeys(names, 1)
    assert watcher.late == []
    assert client.results_count == 20
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_closing_twice_or_at_once_from_two_tasks_is_one_closing() -> None:
    """Both return when it is done."""
    client = new_client()
    await submit(client)
    await asyncio.gather(client.close(), client.close())
    await client.close()
    assert client.is_closed
    assert client.statistics().cancelled == 1


@in_virtual_time
async def test_closing_an_unused_client_does_nothing_more_than_that() -> None:
    """There is nothing to cancel and nothing to drain."""
    client = new_client()
    assert not client.is_closed
    await client.close()
    assert client.is_closed


@in_virtual_time
async def test_a_closed_client_refuses_with_a_runtime_error() -> None:
    """It says so, and that a new one is needed; what it knows can still be read."""
    async with new_client() as client:
        await (await submit(client))
    for refused in (submit(client), client._initialize_client()):
        with pytest.raises(RuntimeError, match="closed: create a new one"):
            await refused
    with pytest.raises(ClientClosedError):
        await client.__aenter__()
    assert client.get_result("r") is not None
    assert list(await client.wait_for_all_requests()) == ["r"]


@pytest.mark.parametrize("turns", range(8))
@in_virtual_time
async def test_a_closing_whose_caller_is_cancelled_goes_on_to_its_end(turns: int) -> None:
    """Requests end and connections close; nothing hangs half-way."""
    client = new_client()
    watcher = Watcher(client)
    await submit(client)
    closing = asyncio.create_task(client.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await client.close()
    assert watcher.ends == {"r": 1}
    assert client._client.is_closed


@in_virtual_time
async def test_a_request_that_does_not_end_when_cancelled_is_given_up_after_the_grace() -> None:
    """Its end is told; what its own code does later is told to nobody."""
    stop = asyncio.Event()

    async def stubborn(_: httpx.Request) -> httpx.Response:
        while not stop.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stop.wait()
        return httpx.Response(200)

    client = AsyncResilientClient(transport=httpx.MockTransport(stubborn), grace=2.0)
    watcher = Watcher(client)
    task = await client.get("http://a.test/", RequestContext(request_id="r"))
    await asyncio.sleep(1)
    await client.close()
    assert asyncio.get_running_loop().time() == 3.0
    stop.set()
    await asyncio.wait({task})
    assert watcher.ends == {"r": 1}
    result = client.get_result("r")
    assert result is not None
    assert (result.status, result.attempts) == (ResultStatus.CANCELLED, 1)


@in_virtual_time
async def test_the_context_manager_closes_when_its_body_fails() -> None:
    """The error goes on, the requests are cancelled."""
    client = new_client()

    async def body() -> None:
        async with client:
            await submit(client)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()
    assert client.statistics().cancelled == 1


def test_a_loop_that_is_torn_down_ends_every_request_once() -> None:
    """``asyncio.run`` cancels all tasks at its end, the monitor's included."""
    kept: list[AsyncResilientClient] = []

    async def main() -> None:
        client = new_client()
        kept.append(client)
        for number in range(10):
            await submit(client, str(number))
        await asyncio.sleep(0.1)

    run_virtual(main())
    statuses = [result.status for result in kept[0].get_all_results().values()]
    assert statuses == [ResultStatus.CANCELLED] * 10


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="eager tasks need 3.12")
@in_virtual_time
async def test_eager_tasks_keep_the_promises() -> None:
    """A request that ends within its own creation has one event and one result."""
    factory = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with AsyncResilientClient(transport=transport) as client:
        watcher = Watcher(client)
        task = await client.get("http://a.test/", RequestContext(request_id="r"))
        assert task.done()
        assert (await task).status_code == 200
        assert client.get_result("r") is not None
        await client.wait_for_all_requests()
        assert client.active_tasks_count == 0
    assert watcher.ends == {"r": 1}
