"""Middleware and the policies of a client, which are inside of it; deadlines are around both."""

import asyncio

import httpx
import pytest
from middleware_kit import App, tagging, watched_client

from typed_async_client import (
    Call,
    CallNext,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceededError,
    Hedge,
    Resilience,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.testing import in_virtual_time

URL = "https://api.test/items"


@in_virtual_time
async def test_each_call_has_its_own_retries_in_one_history() -> None:
    """A middleware that calls twice: attempts are counted on, and one event ends the request."""
    policies = Resilience(retry=RetryPolicy(max_retries=1, statuses=[503]))

    async def again(call: Call, call_next: CallNext) -> httpx.Response:
        first = await call_next(call)
        assert first.status_code == 503
        return await call_next(call.with_header("X-Second", "1"))

    app = App(503, 503, 503, 200)
    async with watched_client(app, [again], resilience=policies) as watched:
        assert (await watched.client.request("GET", URL)).status_code == 200
        assert await watched.kinds() == ["retry", "retry", "success"]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert [attempt.number for attempt in result.history] == [1, 2, 3, 4]
    assert result.attempts == 4
    started = [attempt.started for attempt in result.history]
    assert started == sorted(started)
    assert [event.data.attempt for event in watched.events[:2]] == [1, 3]
    assert ["x-second" in request.headers for request in app.requests] == [False] * 2 + [True] * 2


@in_virtual_time
async def test_one_idempotency_key_serves_all_calls() -> None:
    """A key that the policies have made is seen by the middleware, and sent by each call."""
    policies = Resilience(automatic_key=True)
    keys: list[str] = []

    async def again(call: Call, call_next: CallNext) -> httpx.Response:
        keys.append(call.options["idempotency_key"])
        await call_next(call)
        return await call_next(call)

    app = App()
    async with watched_client(app, [again], resilience=policies) as watched:
        await watched.client.request("POST", URL, content=b"x")
    assert [request.headers["idempotency-key"] for request in app.requests] == keys * 2


@in_virtual_time
async def test_the_deadline_covers_the_middleware() -> None:
    """Its own waits, before and after a call; the request is a timeout."""
    loop = asyncio.get_running_loop()

    async def slow(call: Call, call_next: CallNext) -> httpx.Response:
        remaining.append(call.remaining())
        response = await call_next(call.replace(deadline=100.0))
        await asyncio.sleep(60.0)
        return response

    remaining: list[float] = []
    async with watched_client(App(), [slow]) as watched:
        await watched.client.request("GET", URL, deadline=90.0)  # as the loop's clock is known now
        began = loop.time()
        with pytest.raises(DeadlineExceededError, match=r"https://api\.test passed while"):
            await watched.client.request("GET", URL, deadline=2.0)
        assert loop.time() - began == pytest.approx(2.0, abs=0.05)
        assert (await watched.kinds())[-1] == "timeout"
    assert remaining == pytest.approx([90.0, 2.0], abs=0.05)


@in_virtual_time
async def test_an_attempt_at_the_deadline_says_what_it_was_waiting_for() -> None:
    """The attempt ends first, so its error reaches the middleware and the history."""
    seen: list[Exception] = []

    async def app(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60.0)
        raise AssertionError

    async def watching(call: Call, call_next: CallNext) -> httpx.Response:
        try:
            return await call_next(call)
        except DeadlineExceededError as error:
            seen.append(error)
            raise

    async with watched_client(app, [watching]) as watched:
        with pytest.raises(DeadlineExceededError, match="no complete response from") as raised:
            await watched.client.request("GET", URL, deadline=2.0)
        assert await watched.kinds() == ["timeout"]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert seen == [raised.value]
    assert len(result.history) == 1


@in_virtual_time
async def test_policies_are_inside_of_the_middleware() -> None:
    """A circuit that is open refuses each call, and counts what it has let through."""
    policies = Resilience(circuit=CircuitBreaker(minimum_calls=2, failure_rate=0.5))
    refused: list[Exception] = []

    async def insisting(call: Call, call_next: CallNext) -> httpx.Response:
        for _ in range(3):
            response = await call_next(call)
            assert response.status_code == 503
        raise AssertionError

    async def noting(call: Call, call_next: CallNext) -> httpx.Response:
        try:
            return await call_next(call)
        except CircuitOpenError as error:
            refused.append(error)
            raise

    app = App(*[503] * 9)
    async with watched_client(app, [insisting, noting], resilience=policies) as watched:
        with pytest.raises(CircuitOpenError) as raised:
            await watched.client.request("GET", URL)
        assert await watched.kinds() == ["circuit_opened", "rejected"]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert refused == [raised.value]
    assert len(app.requests) == 2
    assert [attempt.rejection is None for attempt in result.history] == [True, True, False]


@in_virtual_time
async def test_copies_of_a_hedged_attempt_are_inside_of_the_middleware() -> None:
    """It is called once, whichever copy answers."""
    log: list[str] = []

    async def app(_: httpx.Request) -> httpx.Response:
        log.append("send")
        await asyncio.sleep(60.0 if log.count("send") == 1 else 0.1)
        return httpx.Response(200)

    policies = Resilience(hedge=Hedge(after=1.0))
    async with watched_client(app, [tagging("m", log)], resilience=policies) as watched:
        await watched.client.request("GET", URL)
        assert await watched.kinds() == ["hedged", "success"]
    assert log == ["m in", "send", "send", "m out"]


@in_virtual_time
async def test_a_request_counts_once_in_the_budget() -> None:
    """Calls that a middleware adds don't allow more retries."""

    async def thrice(call: Call, call_next: CallNext) -> httpx.Response:
        for _ in range(2):
            await call_next(call)
        return await call_next(call)

    policies = Resilience(retry=RetryPolicy(), budget=RetryBudget())
    async with watched_client(App(503), [thrice], resilience=policies) as watched:
        await watched.client.request("GET", URL)
        [result] = (await watched.client.wait_for_all_requests()).values()
    left = [attempt.budget_left for attempt in result.history]
    assert len(left) == 4
    assert left[1:] == [left[1]] * 3
