"""Middleware around the requests of a client: order, changes, short cuts, repeated calls."""

import asyncio
import contextvars
import dataclasses
from typing import Any

import httpx
import pytest
from middleware_kit import App, tagging, watched_client

from typed_async_client import (
    Call,
    CallNext,
    RequestBodyConsumedError,
    RequestContext,
    Resilience,
    RetryPolicy,
)
from typed_async_client.testing import in_virtual_time

URL = "https://api.test/items"


@in_virtual_time
async def test_the_first_middleware_is_the_outermost() -> None:
    """The order is that of the list, around the attempts and their retries."""
    log: list[str] = []
    app = App(httpx.ConnectError("refused"))
    async with watched_client(app, [tagging("a", log), tagging("b", log)]) as watched:
        response = await watched.client.request("GET", URL)
        assert await watched.kinds() == ["retry", "success"]
    assert response.status_code == 200
    assert log == ["a in", "b in", "b out", "a out"]
    assert len(app.requests) == 2


@in_virtual_time
async def test_a_middleware_changes_what_is_sent() -> None:
    """Method, URL, headers, query and body; the caller's own options and context stay as they are."""

    async def change(call: Call, call_next: CallNext) -> httpx.Response:
        assert call.options["json"] == {"a": 1}
        assert call.headers["x-given"] == "yes"
        changed = call.with_header("X-Tenant", "blue").replace(
            method="PUT",
            url="https://other.test/",
            params={"page": 2},
            json={**call.options["json"], "b": 2},
        )
        return await call_next(changed)

    app = App()
    payload = {"a": 1}
    async with watched_client(app, [change]) as watched:
        await watched.client.request("POST", URL, json=payload, headers={"X-Given": "yes"})
        [result] = (await watched.client.wait_for_all_requests()).values()
    [request] = app.requests
    assert (request.method, str(request.url)) == ("PUT", "https://other.test/?page=2")
    assert (request.headers["x-tenant"], request.headers["x-given"]) == ("blue", "yes")
    assert request.content == b'{"a":1,"b":2}'
    assert payload == {"a": 1}
    assert (result.method, result.url) == ("POST", URL)  # what the caller asked for


@in_virtual_time
async def test_a_response_without_a_send_is_the_result() -> None:
    """A cache calls nothing: no attempt is counted, and the response knows its request."""

    async def cached(call: Call, _: CallNext) -> httpx.Response:
        assert call.method == "GET"
        return httpx.Response(203, text="cached")

    app = App()
    async with watched_client(app, [cached], base_url="https://api.test") as watched:
        task = await watched.client.get("/items", params={"page": 1})
        response = await task
        assert await watched.kinds() == ["success"]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert app.requests == []
    assert (response.text, str(response.url)) == ("cached", "https://api.test/items?page=1")
    assert (result.attempts, result.unwrap().status_code, result.history) == (0, 203, ())


@in_virtual_time
async def test_the_body_of_a_response_of_its_own_is_read_before_the_request_ends() -> None:
    """Success means the whole body, whoever has made the response."""

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b"pie"
            yield b"ces"

    async def streaming(_: Call, __: CallNext) -> httpx.Response:
        return httpx.Response(200, stream=Body())

    async with watched_client(App(), [streaming]) as watched:
        response = await watched.client.request("GET", URL)
        assert (response.content, response.is_closed) == (b"pieces", True)
        assert await watched.kinds() == ["success"]


@in_virtual_time
async def test_two_calls_side_by_side_share_the_numbers_of_attempts() -> None:
    """Its own race of two hosts; the loser is cancelled when the middleware returns."""
    ended: list[str] = []

    async def app(request: httpx.Request) -> httpx.Response:
        try:
            await asyncio.sleep(1.0 if request.url.host == "fast.test" else 60.0)
        finally:
            ended.append(request.url.host)
        return httpx.Response(200, text=request.url.host)

    async def race(call: Call, call_next: CallNext) -> httpx.Response:
        calls = [call.replace(url=f"https://{host}.test/") for host in ("slow", "fast")]
        tasks = [asyncio.ensure_future(call_next(each)) for each in calls]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()

    async with watched_client(app, [race]) as watched:
        assert (await watched.client.request("GET", URL)).text == "fast.test"
        assert ended == ["fast.test", "slow.test"]  # before the request has ended
        assert await watched.kinds() == ["success"]
        [result] = (await watched.client.wait_for_all_requests()).values()
    assert result.attempts == 2
    assert [attempt.number for attempt in result.history] == [2, 1]


@in_virtual_time
async def test_no_call_begins_after_the_middleware_has_returned() -> None:
    """What goes on in the background must be a request of its own."""
    later: list[asyncio.Task[Any]] = []
    kept: list[Any] = []

    async def leaving(call: Call, call_next: CallNext) -> httpx.Response:
        async def call_later() -> httpx.Response:
            await asyncio.sleep(1.0)
            return await call_next(call)

        later.append(asyncio.create_task(call_later()))
        kept.append(call)
        return httpx.Response(200)

    app = App()
    async with watched_client(app, [leaving]) as watched:
        await watched.client.request("GET", URL)
        with pytest.raises(RuntimeError, match="the request has ended; submit another one"):
            await later[0]
        assert await watched.kinds() == ["success"]
    assert app.requests == []


@in_virtual_time
async def test_a_call_can_have_other_limits_and_policies() -> None:
    """Its context and its policies; the request keeps its id."""

    async def insist(call: Call, call_next: CallNext) -> httpx.Response:
        patient = dataclasses.replace(call.context, max_retries=3, metadata={"why": "patience"})
        with pytest.raises(httpx.ConnectError):
            await call_next(call.replace(context=patient))
        policies = Resilience(retry=RetryPolicy(max_retries=1, statuses=[503]))
        changed = call.replace(resilience=policies)
        assert (changed.resilience, changed.context.max_retries) == (policies, 1)
        return await call_next(changed)

    app = App(*[httpx.ConnectError("refused")] * 4, 503, 200)
    async with watched_client(app, [insist], max_retries=0) as watched:
        context = RequestContext(request_id="r", max_retries=0)
        assert (await watched.client.request("GET", URL, context)).status_code == 200
        assert await watched.kinds() == ["retry"] * 4 + ["success"]
        assert watched.events[0].context.metadata == {"why": "patience"}
        result = await watched.client.wait_for_request("r")
    assert (result.attempts, len(app.requests)) == (6, 6)


@in_virtual_time
async def test_a_context_of_another_request_is_refused() -> None:
    """Events and results are found by the id, so it can't change on the way."""

    async def renamed(call: Call, call_next: CallNext) -> httpx.Response:
        return await call_next(call.replace(context=RequestContext(request_id="other")))

    async with watched_client(App(), [renamed]) as watched:
        context = RequestContext(request_id="r")
        with pytest.raises(ValueError, match=r"keeps the request_id of its request, 'r'"):
            await watched.client.request("GET", URL, context)
        assert await watched.kinds() == ["error"]


@in_virtual_time
async def test_a_body_that_can_be_read_once_is_not_sent_by_a_second_call() -> None:
    """Its rest, or nothing, would be sent; a call that hasn't sent it may be followed by another."""

    class Parts:
        def __init__(self) -> None:
            self.left = [b"a", b"b"]

        def __aiter__(self) -> "Parts":
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    async def again(call: Call, call_next: CallNext) -> httpx.Response:
        with pytest.raises(httpx.ConnectError):
            await call_next(call)
        await call_next(call)
        return await call_next(call)

    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            bodies.append(b"")
            if len(bodies) == 1:
                raise httpx.ConnectError("refused")
            bodies[-1] = await request.aread()
            return httpx.Response(200)

    bodies: list[bytes] = []
    async with watched_client(Refusing(), [again], max_retries=0) as watched:
        with pytest.raises(RequestBodyConsumedError, match="an earlier call has sent it"):
            await watched.client.request("POST", URL, content=Parts())
        assert await watched.kinds() == ["error"]
    assert bodies == [b"", b"ab"]


@in_virtual_time
async def test_context_variables_reach_the_attempts() -> None:
    """A middleware runs in the request's task, with the variables of whoever submitted it."""
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")
    seen: list[str] = []

    async def scoped(call: Call, call_next: CallNext) -> httpx.Response:
        seen.append(tenant.get())
        tenant.set("inner")
        return await call_next(call)

    async def app(_: httpx.Request) -> httpx.Response:
        seen.append(tenant.get())
        return httpx.Response(200)

    tenant.set("outer")
    async with watched_client(app, [scoped]) as watched:
        watched.client.add_event_callback("success", lambda _: seen.append(tenant.get()))
        await watched.client.request("GET", URL)
        await watched.kinds()
    assert seen == ["outer", "inner", "outer"]
    assert tenant.get() == "outer"
