"""Results, and waiting for them."""

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
    """Respond to /<seconds> after that time, refuse /refused, and time out for /slow."""
    name = request.url.path.strip("/")
    if name == "refused":
        raise httpx.ConnectError("refused", request=request)
    if name == "slow":
        raise httpx.ReadTimeout("slow", request=request)
    await asyncio.sleep(float(name or 0))
    return httpx.Response(200, text=name)


def new_client(**options: Any) -> AsyncResilientClient:
    """Create a client that sends to ``by_path``."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(by_path),
        base_url="http://a.test",
        random=lambda: 0.5,
        **options,
    )


def with_id(request_id: str, **limits: Any) -> RequestContext:
    """Create a context with an id."""
    return RequestContext(request_id=request_id, **limits)


@in_virtual_time
async def test_awaiting_a_verb_returns_a_task_and_awaiting_the_task_the_response() -> None:
    """The first submits the request, the second completes it."""
    async with new_client() as client:
        task = await client.get("/3")
        assert isinstance(task, asyncio.Task)
        assert client.active_tasks_count == 1
        response = await task
        assert response.text == "3"
        assert client.active_tasks_count == 0


@in_virtual_time
async def test_the_result_is_available_as_soon_as_the_task_has_ended() -> None:
    """Its response is the object that the task returned."""
    async with new_client() as client:
        response = await (await client.get("/2", with_id("r")))
        result = client.get_result("r")
        assert result is not None
        assert result.unwrap() is response
        assert (result.status, result.attempts, result.total_time) == (ResultStatus.SUCCESS, 1, 2.0)


@in_virtual_time
async def test_the_total_time_includes_backoff() -> None:
    """One and two seconds before the third refusal."""
    async with new_client() as client:
        with pytest.raises(ConnectError):
            await (await client.get("/refused", with_id("r")))
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts, result.total_time) == (ResultStatus.ERROR, 3, 3.0)


@in_virtual_time
async def test_a_failed_task_that_is_never_awaited_has_a_result_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By this package; asyncio doesn't report it too."""
    async with new_client() as client:
        await client.get("/slow", with_id("r"))
        results = await client.wait_for_all_requests()
    assert results["r"].status is ResultStatus.TIMEOUT
    assert isinstance(results["r"].error, httpx.ReadTimeout)
    assert [record.name for record in caplog.records] == ["typed_async_client"]


@in_virtual_time
async def test_concurrent_requests_count_their_own_attempts() -> None:
    """A thousand requests are refused different numbers of times."""
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
            await client.get(f"/{n}", with_id(str(n), max_retries=3, metadata={"n": n}))
            for n in range(1000)
        ]
        responses = await asyncio.gather(*tasks)
        results = await client.wait_for_all_requests()
    assert [response.text for response in responses] == [str(n) for n in range(1000)]
    assert {name: result.attempts for name, result in results.items()} == {
        str(n): n % 4 + 1 for n in range(1000)
    }


@in_virtual_time
async def test_waiting_for_all_requests_returns_every_result_and_delivers_every_event() -> None:
    """However each request ended."""
    kinds: list[EventType] = []
    async with new_client() as client:
        for kind in EventType:
            client.add_event_callback(kind, lambda event: kinds.append(event.event_type))
        for name in ("1", "refused", "slow"):
            await client.get(f"/{name}", with_id(name))
        cancelled = await client.get("/9", with_id("9"))
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
    """As in a crawl in which each response leads to the next request."""
    async with new_client() as client:

        async def follow(event: Any) -> None:
            depth = int(event.context.request_id)
            if depth < 5:
                await asyncio.sleep(0.1)
                await client.get("/1", with_id(str(depth + 1)))

        client.add_event_callback(EventType.SUCCESS, follow)
        await client.get("/1", with_id("0"))
        assert len(await client.wait_for_all_requests()) == 6


@in_virtual_time
async def test_a_callback_may_wait_for_all_requests() -> None:
    """It doesn't wait for itself."""
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
async def test_waiting_for_one_request_returns_its_result() -> None:
    """Whether it is in flight or has ended."""
    async with new_client() as client:
        await client.get("/2", with_id("r"))
        result = await client.wait_for_request("r")
        assert result.is_success
        assert await client.wait_for_request("r") == result


@in_virtual_time
async def test_two_requests_may_share_an_id() -> None:
    """Waiting is for both; the later result replaces the earlier one."""
    async with new_client() as client:
        await client.get("/4", with_id("r"))
        await client.get("/2", with_id("r"))
        result = await client.wait_for_request("r")
        assert asyncio.get_running_loop().time() == 4.0
        assert result.unwrap().text == "4"
        assert client.results_count == 1


@in_virtual_time
async def test_a_wait_ends_at_its_timeout_and_the_request_continues() -> None:
    """The error names the request and the timeout."""
    async with new_client() as client:
        task = await client.get("/10", with_id("r"))
        with pytest.raises(TimeoutError, match=r"'r' had no result within 3 s"):
            await client.wait_for_request("r", timeout=3)
        assert not task.done()
        assert (await client.wait_for_request("r", timeout=8)).is_success


@in_virtual_time
async def test_a_wait_with_a_timeout_includes_requests_submitted_later() -> None:
    """Waiting may start before the request is submitted."""
    async with new_client() as client:
        waiting = asyncio.create_task(client.wait_for_request("later", timeout=10))
        await asyncio.sleep(1)
        await client.get("/1", with_id("other"))
        await asyncio.sleep(1)
        await client.get("/1", with_id("later"))
        assert (await waiting).is_success


@in_virtual_time
async def test_several_tasks_may_wait_for_requests_to_be_submitted() -> None:
    """For the same request or for different ones."""
    async with new_client() as client:
        request_ids = ["a", "b", "a"]
        waiting = [asyncio.create_task(client.wait_for_request(one, 10)) for one in request_ids]
        await asyncio.sleep(1)
        for name in ("b", "a"):
            await client.get("/1", with_id(name))
        results = await asyncio.gather(*waiting)
        assert [result.request_id for result in results] == request_ids


@in_virtual_time
async def test_waiting_for_an_unknown_id_never_hangs() -> None:
    """It raises at the timeout, or immediately if there is none."""
    async with new_client() as client:
        with pytest.raises(KeyError, match="nobody"):
            await client.wait_for_request("nobody")
        with pytest.raises(TimeoutError):
            await client.wait_for_request("nobody", timeout=1)


@in_virtual_time
async def test_the_ledger_is_bounded() -> None:
    """The oldest results are dropped; clearing returns how many were dropped."""
    async with new_client(max_results=3) as client:
        for number in range(5):
            await (await client.get("/0", with_id(str(number))))
        assert list(client.get_all_results()) == ["2", "3", "4"]
        assert client.results_count == 3
        assert client.clear_old_results(max_age=0.0) == 3
        assert client.get_result("4") is None


@in_virtual_time
async def test_the_statistics_add_up() -> None:
    """For requests and events, including those in flight."""
    async with new_client(grace=0.0) as client:
        client.add_event_callback(EventType.ERROR, lambda _: 1 / 0)
        for name in ("1", "refused", "slow", "99"):
            await client.get(f"/{name}")
        await asyncio.sleep(10)
        counts = client.statistics()
        assert (counts.submitted, counts.active) == (4, 1)
        assert (counts.succeeded, counts.failed, counts.timed_out, counts.cancelled) == (1, 1, 1, 0)
        assert (counts.retries, counts.callbacks_failed) == (2, 1)
        assert counts.events_published == counts.events_delivered == 5
        assert (counts.events_dropped, counts.events_waiting, counts.results_kept) == (0, 0, 3)
    counts = client.statistics()
    assert (counts.active, counts.cancelled) == (0, 1)
