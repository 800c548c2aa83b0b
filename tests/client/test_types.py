"""The public types, as mypy and pyright see them: ``assert_type`` checks nothing at runtime."""

from typing import Any, assert_type

import httpx
import httpx_sse
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    FailureResult,
    HedgeDetails,
    RequestContext,
    RequestResult,
    ResultStatus,
    RetryDetails,
    ThrottleDetails,
    Transition,
    create_async_resilient_client,
    simple_async_request,
)
from typed_async_client.testing import in_virtual_time

NOTHING: Any = None
URL = "http://a.test/"


def mocked(**options: Any) -> AsyncResilientClient:
    """Create a client that is answered at once."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, text="hello")), **options
    )


@in_virtual_time
async def test_the_data_of_an_event_has_the_type_of_its_kind() -> None:
    """Also in a lambda, which has no annotations."""
    seen: list[str] = []

    def on_retry(event: AsyncEvent[RetryDetails]) -> None:
        assert_type(event.data.delay, float)
        seen.append(event.data.source)

    async def on_success(event: AsyncEvent[httpx.Response]) -> None:
        assert_type(event.data, httpx.Response)
        seen.append(event.data.text)

    def on_failure(event: AsyncEvent[None]) -> None:
        assert event.error is not None

    def on_any(event: AsyncEvent) -> None:
        seen.append(event.method)

    async with mocked() as client:
        client.add_event_callback(EventType.RETRY, on_retry)
        client.add_event_callback(EventType.SUCCESS, on_success)
        client.add_event_callback(EventType.ERROR, on_failure)
        client.add_event_callback("timeout", on_failure)
        client.add_event_callback(EventType.CANCELLED, lambda event: seen.append(event.origin))
        client.add_event_callback("success", lambda event: seen.append(event.data.reason_phrase))
        client.add_event_callback(EventType.RETRY, lambda event: seen.append(event.data.source))
        for kind in EventType:
            client.add_event_callback(kind, on_any)
        await client.request("GET", URL)
        await client.wait_for_all_requests()
    assert sorted(seen) == ["GET", "OK", "hello"]


async def test_the_data_of_the_events_of_policies_is_typed() -> None:
    """A type checker knows what a throttled, a hedged and a circuit's event say."""

    def on_change(event: AsyncEvent[Transition]) -> None:
        assert_type(event.data.failure_rate, float)

    def on_refusal(event: AsyncEvent[None]) -> None:
        assert event.error is not None

    def on_throttled(event: AsyncEvent[ThrottleDetails]) -> None:
        assert_type(event.data.delay, float)

    def on_hedged(event: AsyncEvent[HedgeDetails]) -> None:
        assert_type(event.data.copy, int)

    client = mocked()
    client.add_event_callback("throttled", on_throttled)
    client.add_event_callback(EventType.HEDGED, on_hedged)
    client.add_event_callback(EventType.CIRCUIT_OPENED, on_change)
    client.add_event_callback("circuit_closed", on_change)
    client.add_event_callback(EventType.REJECTED, on_refusal)
    client.add_event_callback("started", on_refusal)
    await client.close()


def status_of(result: RequestResult) -> int | str:
    """Return the status code, or the name of the error."""
    if result.is_success is True:
        assert_type(result.response, httpx.Response)
        return result.response.status_code
    assert_type(result.error, BaseException)
    return type(result.error).__name__


def text_of(result: RequestResult) -> str:
    """Return the body, or nothing."""
    if result.status is ResultStatus.SUCCESS:
        assert_type(result.unwrap(), httpx.Response)
        return result.response.text
    assert_type(result, FailureResult)
    return ""


@in_virtual_time
async def test_a_result_is_narrowed_by_is_success_and_by_its_status() -> None:
    """So its response needs no further check."""
    async with mocked() as client:
        await client.request("GET", URL, RequestContext(request_id="r"))
        (await client.get(URL)).cancel()
        results = await client.wait_for_all_requests()
        found = client.get_result("r")
        assert found is not None
        assert text_of(found) == "hello"
    assert [status_of(result) for result in results.values()] == [200, "CancelledError"]


async def test_what_is_streamed_is_typed() -> None:
    """A line is text, and an event is one of httpx-sse."""
    stream = {"Content-Type": "text/event-stream"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=stream, text="data: 1\n\n")
    )
    async with AsyncResilientClient(transport=transport) as client:
        async with client.lines("GET", URL) as lines:
            assert_type(await anext(lines), str)
        async with client.sse(URL, reconnect=False) as events:
            assert_type(events.response, httpx.Response)
            async for event in events:
                assert_type(event, httpx_sse.ServerSentEvent)


async def post_with_nones(
    params: dict[str, str] | None, headers: dict[str, str] | None, auth: tuple[str, str] | None
) -> int:
    """Pass on what may not be given, as a wrapper does."""
    async with (
        create_async_resilient_client(
            params=params, headers=headers, auth=auth, cookies=None, cert=None, proxy=None,
            mounts=None, event_hooks=None, transport=None, timeout=None,
        ) as unused,
        mocked() as client,
    ):  # fmt: skip
        assert unused.active_tasks_count == 0
        task = await client.post(
            URL, params=params, headers=headers, auth=auth, cookies=None, content=None, data=None,
            files=None, json=None, extensions=None, timeout=None,
        )  # fmt: skip
        first = await task
        second = await client.request(
            "POST", URL, auth=httpx.USE_CLIENT_DEFAULT, timeout=httpx.USE_CLIENT_DEFAULT,
            follow_redirects=httpx.USE_CLIENT_DEFAULT,
        )  # fmt: skip
    assert_type(second, httpx.Response)
    return first.status_code + second.status_code


async def test_values_that_run_are_accepted_by_the_types() -> None:
    """None means that an option isn't given, as in httpx's own signatures."""
    assert await post_with_nones(None, None, None) == 400


async def test_a_misspelt_option_is_named() -> None:
    """Whether it belongs to the request or to the client."""
    with pytest.raises(TypeError, match="unknown option 'retries': did you mean 'max_retries'"):
        await simple_async_request("GET", URL, retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # the point of the test
    with pytest.raises(TypeError, match="unknown option 'header': did you mean 'headers'"):
        await simple_async_request("GET", URL, header={})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # the point of the test
    with pytest.raises(TypeError, match="unknown option 'contxt': did you mean 'context'"):
        await simple_async_request("GET", URL, contxt=None)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # the point of the test
    with pytest.raises(TypeError, match="unknown client option 'time_out': did you mean 'timeout'"):
        AsyncResilientClient(time_out=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the point of the test


async def test_a_single_request_takes_options_of_both_and_a_context() -> None:
    """And reports to nobody."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.url)))
    response = await simple_async_request(
        "GET",
        "/users",
        base_url=URL,
        params={"page": 2},
        transport=transport,
        context=RequestContext(max_retries=0),
    )
    assert response.text == "http://a.test/users?page=2"
