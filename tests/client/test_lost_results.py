"""``wait_for_all_requests()`` warns if the limits of the client have cost results of its batch."""

import warnings
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, RequestResult
from typed_async_client.testing import in_virtual_time

BODY = b"x" * 1000


def new_client(**limits: float) -> AsyncResilientClient:
    """Create a client whose requests are answered with 1,000 bytes."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=BODY))
    options: Any = limits
    return AsyncResilientClient(transport=transport, **options)


async def send(client: AsyncResilientClient, count: int) -> dict[str, RequestResult]:
    """Send a batch of requests, and wait for all of them."""
    for _ in range(count):
        await client.get("http://a.test/")
    return await client.wait_for_all_requests()


@in_virtual_time
async def test_results_dropped_by_their_number_are_warned_about() -> None:
    """With how many, and the limits to raise."""
    async with new_client(max_results=5) as client:
        message = "returns 5 results, after 3 results and 0 responses of this batch were dropped"
        with pytest.warns(RuntimeWarning, match=message) as caught:
            assert len(await send(client, 8)) == 5
    assert len(caught) == 1
    assert "(max_results=5, max_result_age=3600, max_result_bytes=67108864)" in str(
        caught[0].message
    )
    assert caught[0].filename == __file__


@in_virtual_time
async def test_responses_evicted_by_their_size_are_warned_about() -> None:
    """Their results are returned without them."""
    async with new_client(max_result_bytes=2500) as client:
        with pytest.warns(RuntimeWarning, match="0 results and 3 responses"):
            results = await send(client, 5)
    assert [result.response_evicted for result in results.values()] == [True] * 3 + [False] * 2


@in_virtual_time
async def test_each_batch_is_warned_about_once() -> None:
    """Waiting again returns what is left, without another warning."""
    async with new_client(max_results=5) as client:
        for _ in range(2):
            with pytest.warns(RuntimeWarning, match="after 1 results and"):
                await send(client, 6)
            assert len(await client.wait_for_all_requests()) == 5


@in_virtual_time
async def test_results_of_earlier_batches_make_room_without_a_warning() -> None:
    """They were returned before; warnings are errors here."""
    async with new_client(max_results=5, max_result_bytes=4000) as client:
        for _ in range(4):
            assert len(await send(client, 3)) >= 3
        statistics = client.statistics()
    assert (statistics.results_dropped, statistics.responses_evicted) == (7, 8)


@in_virtual_time
async def test_limits_of_zero_and_cleared_results_are_not_warned_about() -> None:
    """The user doesn't want them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with new_client(max_results=0) as client:
            assert await send(client, 3) == {}
        async with new_client(max_result_bytes=0) as client:
            assert len(await send(client, 3)) == 3
        async with new_client() as client:
            await (await client.get("http://a.test/"))
            assert client.clear_old_results(0) == 1
            assert await client.wait_for_all_requests() == {}


@in_virtual_time
async def test_results_dropped_by_their_age_are_warned_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch may take longer than results are kept."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    async with new_client(max_result_age=60) as client:
        await (await client.get("http://a.test/"))
        now += 61
        with pytest.warns(RuntimeWarning, match="1 results and 0 responses"):
            await send(client, 1)
