"""What a request with middleware ends with when something fails, is refused, or is cancelled."""

import asyncio
import contextlib
import gc
import weakref
from typing import Any

import httpx
import pytest
from middleware_kit import App, tagging, watched_client

from typed_async_client import (
    AsyncResilientClient,
    Bulkhead,
    BulkheadFullError,
    Call,
    CallNext,
    ConnectError,
    EventType,
    Resilience,
    ResultStatus,
    RetryPolicy,
)
from typed_async_client.testing import in_virtual_time

URL = "https://api.test/items"


class OwnError(Exception):
    """Raised by a middleware."""


async def passing(call: Call, call_next: CallNext) -> httpx.Response:
    """Pass the call on, in two turns more than are needed."""
    await asyncio.sleep(0)
    response = await call_next(call)
    await asyncio.sleep(0)
    return response


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OwnError("no"), "error"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (TimeoutError("slow"), "timeout"),
        (BulkheadFullError("full"), "rejected"),
        (httpx.ConnectError("refused"), "error"),
    ],
)
@in_virtual_time
async def test_an_error_of_a_middleware_is_the_error_of_the_request(
    error: Exception, kind: str
) -> None:
    """The caller, the event and the result have the same one, after a successful attempt too."""

    async def failing(call: Call, call_next: CallNext) -> httpx.Response:
        await call_next(call)
        raise error

    async with watched_client(App(), [failing]) as watched:
        task = await watched.client.get(URL)
        with pytest.raises(type(error)) as raised:
            await task
        assert await watched.kinds() == [kind]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert raised.value is error
    assert watched.events[0].error is error
    assert (result.attempts, len(result.history)) == (1, 1)
    with pytest.raises(type(error), match=str(error)):
        result.unwrap()


@in_virtual_time
async def test_an_error_that_a_middleware_handles_is_no_event() -> None:
    """A fallback: the attempts are on the record, and the request succeeds."""

    async def fallback(call: Call, call_next: CallNext) -> httpx.Response:
        try:
            return await call_next(call)
        except ConnectError:
            return httpx.Response(200, text="stale")

    app = App(*[httpx.ConnectError("refused")] * 3)
    async with watched_client(app, [fallback]) as watched:
        response = await watched.client.request("GET", URL)
        assert response.text == "stale"
        assert await watched.kinds() == ["retry", "retry", "success"]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert (result.status, result.attempts) == (ResultStatus.SUCCESS, 3)


@in_virtual_time
async def test_an_error_that_passes_a_middleware_keeps_its_kind() -> None:
    """With its history, its note, and the kind of event that it has without middleware."""
    app = App(*[httpx.ConnectError("refused")] * 3)
    async with watched_client(app, [passing]) as watched:
        with pytest.raises(ConnectError) as raised:
            await watched.client.request("GET", URL)
        assert await watched.kinds() == ["retry", "retry", "error"]
    assert raised.value.__notes__ == ["no connection after 3 attempts"]
    assert [attempt.number for attempt in raised.value.history] == [1, 2, 3]


@pytest.mark.parametrize(
    ("middleware", "message"),
    [
        ("none", "must return a response, got NoneType: return its response"),
        ("coroutine", "must return a response, got coroutine: await call_next"),
        ("text", "must return a response, got str"),
    ],
)
@in_virtual_time
async def test_what_is_no_response_is_refused(middleware: str, message: str) -> None:
    """The message names the middleware; nothing is left that was never awaited."""

    async def returning(call: Call, call_next: CallNext) -> Any:
        results: dict[str, Any] = {"none": None, "text": "body"}
        return results[middleware] if middleware in results else call_next(call)

    async with watched_client(App(), [tagging("a", []), returning]) as watched:
        with pytest.raises(TypeError, match=f"returning {message}"):
            await watched.client.request("GET", URL)
        assert await watched.kinds() == ["error"]
    gc.collect()


@in_virtual_time
async def test_call_next_takes_calls_only() -> None:
    """Whoever forgets the argument, or passes another, is told so."""

    async def wrong(_: Call, call_next: Any) -> httpx.Response:
        response: httpx.Response = await call_next(None)
        return response

    async with watched_client(App(), [wrong, tagging("b", [])]) as watched:
        with pytest.raises(TypeError, match=r"call_next takes the Call .* got NoneType"):
            await watched.client.request("GET", URL)
        assert await watched.kinds() == ["error"]


@pytest.mark.parametrize("turns", range(40))
@in_virtual_time
async def test_a_cancellation_at_any_turn_passes_and_gives_permits_back(turns: int) -> None:
    """Before, during and after the attempts: one event, one result, and the bulkhead is free."""
    policies = Resilience(
        retry=RetryPolicy(base_delay=0.1), bulkhead=Bulkhead(max_concurrent=1, max_wait=0.0)
    )

    async def app(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        return httpx.Response(503 if turns % 2 else 200)

    async with watched_client(app, [passing, passing], resilience=policies) as watched:
        task = await watched.client.get(URL)
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns > 20:
            await asyncio.sleep(0.1 * (turns - 20))
        was_cancelled = task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        kinds = await watched.kinds()
        assert isinstance(outcome, asyncio.CancelledError) == was_cancelled
        assert (kinds[-1] == "cancelled") == was_cancelled
        await watched.client.request("GET", URL)  # raises if a permit is left


@in_virtual_time
async def test_a_client_that_closes_cancels_the_middleware() -> None:
    """As it cancels attempts: nothing is left running, and the request has its event."""
    ended: list[str] = []

    async def endless(_: Call, __: CallNext) -> httpx.Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("m")
        raise AssertionError

    async with watched_client(App(), [endless]) as watched:
        task = await watched.client.get(URL)
        await asyncio.sleep(0)
    assert ended == ["m"]
    assert [event.event_type for event in watched.events] == [EventType.CANCELLED]
    assert task.cancelled()


@in_virtual_time
async def test_a_request_that_a_middleware_submits_is_another_request() -> None:
    """A token is fetched with the same client, without middleware and within no attempt."""
    client: AsyncResilientClient

    async def authorized(call: Call, call_next: CallNext) -> httpx.Response:
        token = await client.with_options(middleware=[]).request("GET", "https://auth.test/")
        return await call_next(call.with_header("Authorization", token.text))

    app = App()
    async with watched_client(app, [authorized]) as watched:
        client = watched.client
        await client.request("GET", URL)
        assert await watched.kinds() == ["success", "success"]
    assert [request.url.host for request in app.requests] == ["auth.test", "api.test"]


@in_virtual_time
async def test_a_failed_request_is_freed_with_its_error() -> None:
    """No cycle keeps the call, the middleware and the error until the next garbage collection."""

    class Payload:
        pass

    kept: list[weakref.ref[Any]] = []

    async def failing(call: Call, call_next: CallNext) -> httpx.Response:
        payload = Payload()
        kept.append(weakref.ref(payload))
        response = await call_next(call)
        del payload
        return response

    def app(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("cut")  # App would keep a reference in its frame

    async with AsyncResilientClient(
        transport=httpx.MockTransport(app), middleware=[failing]
    ) as client:
        gc.collect()
        gc.disable()
        try:
            with contextlib.suppress(httpx.ReadError):
                await client.request("GET", URL)
            await client.wait_for_all_requests()
            await asyncio.sleep(0)  # the task has just woken its waiters
            assert [each() for each in kept] == [None]
        finally:
            gc.enable()
