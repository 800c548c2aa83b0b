"""Results, and the waits for them."""

import asyncio
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    ConnectError,
    EventType,
    RequestContext,
    ResultStatus,
)
from typed_async_client.testing import in_virtual_time


async def by_path(request: httpx.Request) -> httpx.Response:
    """Answer /<seconds> after so many seconds, /refused with a refusal, /slow with a timeout."""
    name = request.url.path.strip("/")
    if name == "refused":
        raise httpx.ConnectError("refused", request=request)
    if name == "slow":
        raise httpx.ReadTimeout("slow", request=request)
    await asyncio.sleep(float(name or 0))
    return httpx.Response(200, text=name)


def new_client(**options: Any) -> AsyncResilientClient:
    """Make a client over the transport above."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(by_path),
        base_url="http://a.test",
        random=lambda: 0.5,
        **options,
    )


def named(request_id: str, **limits: Any) -> RequestContext:
    """Make a context with a name."""
    return RequestContext(request_id=request_id, **limits)


@in_virtual_time
async def test_awaiting_a_verb_gives_a_task_and_awaiting_the_task_gives_the_response() -> None:
    """The first submits, the second completes."""
    async with new_client() as client:
        task = await client.get("/3")
        assert isinstance(task, asyncio.Task)
        assert client.active_tasks_count == 1
        response = await task
        assert response.text == "3"
        assert client.active_tasks_count == 0


@in_virtual_time
async def test_the_result_is_there_right_after_the_task() -> None:
    """Its response is the very one that the task gave."""
    async with new_client() as client:
        response = await (await client.get("/2", named("r")))
        result = client.get_result("r")
        assert result is not None
        assert result.unwrap() is response
        assert (result.status, result.attempts, result.total_time) == (ResultStatus.SUCCESS, 1, 2.0)


@in_virtual_time
async def test_the_total_time_includes_the_waits() -> None:
    """One and two seconds of back-off before the third refusal."""
    async with new_client() as client:
        with pytest.raises(ConnectError):
            await (await client.get("/refused", named("r")))
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts, result.total_time) == (ResultStatus.ERROR, 3, 3.0)


@in_virtual_time
async def test_a_failed_task_that_nobody_awaits_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Its error stays in the result; asyncio has nothing to complain about."""
    async with new_client() as client:
        await client.get("/slow", named("r"))
        results = await client.wait_for_all_requests()
    assert results["r"].status is ResultStatus.TIMEOUT
    assert isinstance(results["r"].error, httpx.ReadTimeout)
    assert caplog.records == []


@in_virtual_time
async def test_a_thousand_concurrent_requests_keep_their_own_counters() -> None:
    """Each is refused a different number of times, and counts exactly those."""
    refusals: dict[str, int] = {}

    def refuse(request: httpx.Request) -> httpx.Response:
        name = request.url.path.strip("/")
        refusals[name] = refusals.get(name, 0) + 1
        if refusals[name] <= int(name) % 4:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, text=name)

    transport = httpx.MockTransport(refuse)
    async with AsyncResilientClient(transport=transport, base_url="http://a.test") as client:
        tasks = [
            await client.get(f"/{n}", named(str(n), max_retries=3, metadata={"n": n}))
            for n in range(1000)
        ]
        responses = await asyncio.gather(*tasks)
        results = await client.wait_for_all_requests()
    assert [response.text for response in responses] == [str(n) for n in range(1000)]
    assert {name: result.attempts for name, result in results.items()} == {
        str(n): n % 4 + 1 for n in range(1000)
    }


@in_virtual_time
async def test_waiting_for_all_requests_gives_every_result_and_every_event() -> None:
    """Whatever way each of them ended, and with the callbacks called."""
    kinds: list[EventType] = []
    async with new_client() as client:
        for kind in EventType:
            client.add_event_callback(kind, lambda event: kinds.append(event.event_type))
        for name in ("1", "refused", "slow"):
            await client.get(f"/{name}", named(name))
        cancelled = await client.get("/9", named("9"))
        cancelled.cancel()
        results = await client.wait_for_all_requests()
        assert client.event_queue_size == 0
        assert client.get_all_results() == results
    assert {name: str(result.status) for name, result in results.items()} == {
        "1": "success",
        "refused": "error",
        "slow": "timeout",
        "9": "cancelled",
    }
    assert sorted(kinds) == ["cancelled", "error", "retry", "retry", "success", "timeout"]


@in_virtual_time
async def test_waiting_for_all_requests_includes_those_that_callbacks_submit() -> None:
    """A crawl in which each answer asks for the next ends when the last has ended."""
    async with new_client() as client:

        async def follow(event: Any) -> None:
            depth = int(event.context.request_id)
            if depth < 5:
                await asyncio.sleep(0.1)
                await client.get("/1", named(str(depth + 1)))

        client.add_event_callback(EventType.SUCCESS, follow)
        await client.get("/1", named("0"))
        assert len(await client.wait_for_all_requests()) == 6


@in_virtual_time
async def test_a_callback_may_wait_for_all_requests() -> None:
    """It does not wait for itself."""
    counts: list[int] = []
    async with new_client() as client:

        async def count(_: Any) -> None:
            counts.append(len(await client.wait_for_all_requests()))

        client.add_event_callback(EventType.TIMEOUT, count)
        await client.get("/slow")
        await client.get("/5")
        await client.wait_for_all_requests()
    assert counts == [2]


@in_virtual_time
async def test_waiting_for_one_request_gives_its_result() -> None:
    """In flight or ended, by its name."""
    async with new_client() as client:
        await client.get("/2", named("r"))
        result = await client.wait_for_request("r")
        assert result.is_success
        assert await client.wait_for_request("r") == result


@in_virtual_time
async def test_two_requests_may_share_a_name() -> None:
    """The wait is for both, the later result replaces the earlier."""
    async with new_client() as client:
        await client.get("/4", named("r"))
        await client.get("/2", named("r"))
        result = await client.wait_for_request("r")
        assert asyncio.get_running_loop().time() == 4.0
        assert result.unwrap().text == "4"
        assert client.results_count == 1


@in_virtual_time
async def test_a_wait_ends_at_its_timeout_and_the_request_goes_on() -> None:
    """The error says which request, and how long it waited."""
    async with new_client() as client:
        task = await client.get("/10", named("r"))
        with pytest.raises(TimeoutError, match=r"'r' had no result within 3 s"):
            await client.wait_for_request("r", timeout=3)
        assert not task.done()
        assert (await client.wait_for_request("r", timeout=8)).is_success


@in_virtual_time
async def test_a_wait_with_a_timeout_sees_a_request_that_is_submitted_meanwhile() -> None:
    """The one who waits may be there before the one who submits."""
    async with new_client() as client:
        waiting = asyncio.create_task(client.wait_for_request("later", timeout=10))
        await asyncio.sleep(1)
        await client.get("/1", named("other"))
        await asyncio.sleep(1)
        await client.get("/1", named("later"))
        assert (await waiting).is_success


@in_virtual_time
async def test_any_number_of_tasks_may_wait_for_a_request_to_come() -> None:
    """One submission wakes them all; each looks whether it is theirs."""
    async with new_client() as client:
        names = ["a", "b", "a"]
        waiting = [asyncio.create_task(client.wait_for_request(name, 10)) for name in names]
        await asyncio.sleep(1)
        for name in ("b", "a"):
            await client.get("/1", named(name))
        results = await asyncio.gather(*waiting)
        assert [result.request_id for result in results] == names


@in_virtual_time
async def test_a_wait_for_an_unknown_name_never_hangs() -> None:
    """With a timeout it ends there; without one it is refused at once."""
    async with new_client() as client:
        with pytest.raises(KeyError, match="nobody"):
            await client.wait_for_request("nobody")
        with pytest.raises(TimeoutError):
            await client.wait_for_request("nobody", timeout=1)


@in_virtual_time
async def test_the_ledger_is_bounded() -> None:
    """The oldest results make room; clearing tells how many it dropped."""
    async with new_client(max_results=3) as client:
        for number in range(5):
            await (await client.get("/0", named(str(number))))
        assert list(client.get_all_results()) == ["2", "3", "4"]
        assert client.results_count == 3
        assert client.clear_old_results(max_age=0.0) == 3
        assert client.get_result("4") is None


@in_virtual_time
async def test_the_statistics_add_up() -> None:
    """Requests and events are accounted for, those in flight included."""
    async with new_client(grace=0.0) as client:
        client.add_event_callback(EventType.ERROR, lambda _: 1 / 0)
        for name in ("1", "refused", "slow", "99"):
            await client.get(f"/{name}")
        await asyncio.sleep(10)
        told = client.statistics()
        assert (told.submitted, told.active) == (4, 1)
        assert (told.succeeded, told.failed, told.timed_out, told.cancelled) == (1, 1, 1, 0)
        assert (told.retries, told.callbacks_failed) == (2, 1)
        assert told.events_published == told.events_delivered == 5
        assert (told.events_dropped, told.events_waiting, told.results_kept) == (0, 0, 3)
    told = client.statistics()
    assert (told.active, told.cancelled) == (0, 1)
