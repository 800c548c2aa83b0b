"""What events, results, logs, task names and reprs tell about a request."""

import asyncio
import gc
import logging
import sys

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncPoolTransport,
    AsyncResilientClient,
    EventType,
    HSTSTransport,
    RequestContext,
    ResilientTransport,
)
from typed_async_client.testing import FaultServer, answer, in_virtual_time

URL = "https://ann:hunter2@a.test:8443/x?page=2&token=s3cret"
SHOWN = "https://a.test:8443/x?page=2&token=REDACTED"
SHOWN_BY_HTTPX = SHOWN.replace("//", "//REDACTED:REDACTED@")


async def respond(request: httpx.Request) -> httpx.Response:
    """Do what the path asks for."""
    match request.url.path.removeprefix("/v1"):
        case "/refused":
            raise httpx.ConnectError("refused", request=request)
        case "/slow":
            raise httpx.ReadTimeout("slow", request=request)
        case "/forever":
            await asyncio.Event().wait()
    return httpx.Response(200)


def watched_client(seen: list[AsyncEvent], **options: object) -> AsyncResilientClient:
    """Create a client whose events are all recorded."""
    client = AsyncResilientClient(
        transport=httpx.MockTransport(respond),
        max_retries=1,
        base_delay=0.1,
        **options,  # type: ignore[arg-type]  # options of the tests below
    )
    for kind in EventType:
        client.add_event_callback(kind, seen.append)
    return client


@in_virtual_time
async def test_every_kind_of_event_and_result_tells_method_url_and_origin() -> None:
    """Relative to the base URL, with the parameters of client and request, without secrets."""
    seen: list[AsyncEvent] = []
    base = "https://ann:hunter2@a.test:8443/v1/"
    async with watched_client(seen, base_url=base, params={"key": "s3cret"}) as client:
        for path in ("ok", "slow", "refused"):
            await asyncio.wait([await client.get(path, params={"page": 2})])
        forever = await client.get("/forever", params={"page": 2})
        at_once = await client.get("/forever", params={"page": 2})
        await asyncio.sleep(1)
        forever.cancel()
        at_once.cancel()
        results = await client.wait_for_all_requests()
    kinds = ["success", "timeout", "retry", "error", "cancelled", "cancelled"]
    assert [event.event_type for event in seen] == kinds
    paths = ["ok", "slow", "refused", "refused", "forever", "forever"]
    told = "https://a.test:8443/v1/%s?key=REDACTED&page=2"
    assert [event.url for event in seen] == [told % path for path in paths]
    assert {event.method for event in seen} == {"GET"}
    assert {event.origin for event in seen} == {"https://a.test:8443"}
    last = [event for event in seen if event.is_terminal]
    assert [(r.method, r.url, r.origin) for r in results.values()] == [
        (event.method, event.url, event.origin) for event in last
    ]


@in_virtual_time
async def test_a_request_cancelled_before_its_first_step_tells_its_url() -> None:
    """Its task has never run."""
    seen: list[AsyncEvent] = []
    async with watched_client(seen) as client:
        (await client.delete(URL)).cancel()
        [result] = (await client.wait_for_all_requests()).values()
    assert [(event.method, event.url) for event in seen] == [("DELETE", SHOWN)]
    assert (result.method, result.url, result.attempts) == ("DELETE", SHOWN, 0)


@in_virtual_time
async def test_an_invalid_url_is_refused_before_there_is_a_request() -> None:
    """No event and no result has it."""
    seen: list[AsyncEvent] = []
    async with watched_client(seen) as client:
        with pytest.raises(httpx.InvalidURL):
            await client.get("https://ann:hun/ter2@a.test:x/")
        assert await client.wait_for_all_requests() == {}
    assert seen == []


@in_virtual_time
async def test_a_task_is_named_after_method_and_host() -> None:
    """So a debugger, or asyncio's own messages, tell which request it is."""
    async with watched_client([]) as client:
        task = await client.post(URL)
        assert task.get_name() == "POST a.test"
        await task


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="asyncio names every task itself")
async def test_a_task_factory_may_create_tasks_without_names() -> None:
    """Then the request goes on unnamed."""
    loop = asyncio.get_running_loop()

    class Unnamed(asyncio.Task):  # type: ignore[type-arg]  # generic only to type checkers
        set_name = None  # type: ignore[assignment]  # what the test is about

    loop.set_task_factory(lambda loop, coro, **options: Unnamed(coro, loop=loop, **options))
    try:
        async with watched_client([]) as client:
            assert (await client.request("GET", URL)).status_code == 200
    finally:
        loop.set_task_factory(None)


@in_virtual_time
async def test_a_failure_that_nobody_awaits_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By this package, and not by asyncio as well."""
    async with watched_client([]) as client:
        with caplog.at_level(logging.INFO):
            await client.get("https://a.test/slow")
            await client.wait_for_all_requests()
            gc.collect()
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("typed_async_client", "WARNING")
    ]
    assert (
        "GET https://a.test/slow: failed after 1 attempt in 0.00 s (ReadTimeout: slow)"
        in caplog.text
    )


@in_virtual_time
async def test_a_retry_is_logged_as_info_and_giving_up_as_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The transport within the client retries, so the client logs the end only."""
    async with AsyncResilientClient(
        transport=ResilientTransport(httpx.MockTransport(respond), max_retries=2), max_retries=0
    ) as client:
        with caplog.at_level(logging.INFO, logger="typed_async_client"):
            await asyncio.wait([await client.get("https://a.test/refused")])
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING"]


def test_a_transport_of_a_synchronous_client_logs_too(caplog: pytest.LogCaptureFixture) -> None:
    """As the asynchronous client does."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    transport = ResilientTransport(httpx.MockTransport(refuse), max_retries=1, base_delay=0)
    with (
        httpx.Client(transport=transport) as client,
        caplog.at_level(logging.INFO, logger="typed_async_client"),
        pytest.raises(httpx.ConnectError),
    ):
        client.get(URL)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert all(
        record.getMessage().startswith(f"GET {SHOWN_BY_HTTPX}: ") for record in caplog.records
    )


@in_virtual_time
async def test_the_repr_of_a_client_tells_its_state() -> None:
    """And no secret of its options."""
    async with watched_client([], headers={"Authorization": "s3cret"}) as client:
        task = await client.get("https://a.test/forever")
        assert repr(client) == (
            "<AsyncResilientClient open: 1 in flight, 0 results, 0 events waiting>"
        )
        task.cancel()
    assert repr(client).startswith("<AsyncResilientClient closed: 0 in flight, 1 results")


async def test_the_repr_of_a_transport_tells_its_state() -> None:
    """Of the pool, and of every wrapper around it."""
    pool = AsyncPoolTransport(proxy="http://ann:hunter2@proxy.test:3128")
    assert repr(pool) == "<AsyncPoolTransport on <ConnectionPool [0 active, 0 idle, 0 waiting]>>"
    assert repr(ResilientTransport(pool)) == f"<ResilientTransport around {pool!r}>"
    assert repr(HSTSTransport(ResilientTransport(pool))).endswith(f"{pool!r}>>")
    assert repr(ResilientTransport()) == "<ResilientTransport around its default transport>"
    await pool.aclose()


async def test_request_is_submission_and_response_in_one_await() -> None:
    """It takes a context, and raises what the request raises."""
    async with FaultServer(answer(200, b"hello")) as server, AsyncResilientClient() as client:
        response = await client.request("get", server.url, RequestContext(request_id="r"))
        assert response.text == "hello"
        assert client.get_result("r") is not None
    with pytest.raises(RuntimeError, match="closed"):
        await client.request("GET", server.url)


@in_virtual_time
async def test_cancelling_the_caller_of_request_cancels_the_request() -> None:
    """The task is its own."""
    async with watched_client([]) as client:
        caller = asyncio.ensure_future(client.request("GET", "https://a.test/forever"))
        await asyncio.sleep(1)
        caller.cancel()
        await asyncio.wait([caller])
        assert client.statistics().cancelled == 1


def test_a_new_context_has_the_limits_of_the_client_except_where_told() -> None:
    """Each limit can be passed."""
    client = AsyncResilientClient(max_retries=1, base_delay=0.5)
    context = client.new_context("r", {"k": 1}, max_retries=5, max_delay=9)
    assert (context.request_id, context.metadata) == ("r", {"k": 1})
    assert (context.max_retries, context.base_delay, context.max_delay) == (5, 0.5, 9)
    assert client.new_context(backoff_factor=3.0, base_delay=0).calculate_delay() == 0
    with pytest.raises(ValueError, match="max_retries must be an integer >= 0, got -1"):
        client.new_context(max_retries=-1)
    with pytest.raises(ValueError, match="metadata must be a mapping"):
        client.new_context(metadata="k")  # type: ignore[arg-type]  # the point of the test


def test_a_wrong_argument_of_a_new_context_names_the_right_one() -> None:
    """As everywhere."""
    with pytest.raises(TypeError, match="argument 'retries': did you mean 'max_retries'"):
        AsyncResilientClient().new_context(retries=3)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("name", ["current_attempt", "created_at"])
def test_a_new_context_refuses_what_a_new_request_starts_with(name: str) -> None:
    """It would have been ignored."""
    with pytest.raises(TypeError, match=f"unknown .* argument '{name}'"):
        AsyncResilientClient().new_context(**{name: 1})  # type: ignore[arg-type]  # the point of the test
