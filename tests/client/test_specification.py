"""The examples and numbers of the specification, through the public API."""

import inspect
from typing import Any
from unittest.mock import MagicMock, patch

import httpcore
import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    ConnectError,
    EventType,
    RequestContext,
    ResultStatus,
    create_async_resilient_client,
    simple_async_request,
)
from typed_async_client.testing import in_virtual_time


@in_virtual_time
async def test_two_connect_errors_and_a_success_are_three_calls() -> None:
    """The test in the specification, verbatim."""
    async with AsyncResilientClient() as client:
        context = RequestContext(max_retries=2, request_id="test")
        with patch.object(client._client, "request") as mock:
            mock.side_effect = [
                httpcore.ConnectError("Fail 1"),
                httpcore.ConnectError("Fail 2"),
                MagicMock(status_code=200),
            ]
            task = await client.get("https://test.com", context=context)
            response = await task

            assert response.status_code == 200
            assert mock.call_count == 3
            result = client.get_result("test")
            assert result is not None
            assert result.attempts == 3


@in_virtual_time
async def test_the_call_has_no_options_that_were_not_given() -> None:
    """Each attempt calls ``request("GET", url)``."""
    async with AsyncResilientClient() as client:
        with patch.object(client._client, "request") as mock:
            mock.side_effect = [httpcore.ConnectError("Fail"), MagicMock(status_code=200)]
            await (await client.get("https://test.com"))
            assert [call.args for call in mock.call_args_list] == [("GET", "https://test.com")] * 2
            assert [call.kwargs for call in mock.call_args_list] == [{}, {}]


@in_virtual_time
async def test_given_options_are_passed_on_unchanged() -> None:
    """Under the same names; only JSON and forms have become bytes."""
    params = {"page": 2}
    async with AsyncResilientClient() as client:
        with patch.object(client._client, "request", return_value=httpx.Response(200)) as mock:
            await client.request("GET", "https://test.com", params=params, timeout=3.0, auth=None)
            mock.assert_called_once_with(
                "GET", "https://test.com", params=params, timeout=3.0, auth=None
            )


@pytest.mark.parametrize("refusals", [0, 1, 2])
@in_virtual_time
async def test_each_connect_error_is_one_retry(refusals: int) -> None:
    """No error means no retry, one error one retry, and two errors two."""
    async with AsyncResilientClient() as client:
        with patch.object(client._client, "request") as mock:
            errors = [httpcore.ConnectError("Fail") for _ in range(refusals)]
            mock.side_effect = [*errors, httpx.Response(200)]
            await (await client.get("https://test.com", RequestContext(request_id="r")))
        result = client.get_result("r")
        assert result is not None
        assert result.attempts == refusals + 1
        assert client.statistics().retries == refusals


@in_virtual_time
async def test_two_retries_are_three_attempts_at_most() -> None:
    """The third failure is raised."""
    async with AsyncResilientClient() as client:
        with patch.object(client._client, "request", side_effect=httpcore.ConnectError("no")) as m:
            task = await client.get("https://test.com", RequestContext(request_id="r"))
            with pytest.raises(httpcore.ConnectError) as raised:
                await task
        assert m.call_count == 3
        assert type(raised.value) is ConnectError
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (ResultStatus.ERROR, 3)
        assert result.error is raised.value


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (httpx.ReadTimeout("slow"), ResultStatus.TIMEOUT),
        (TimeoutError("slow"), ResultStatus.TIMEOUT),
        (httpcore.ReadTimeout("slow"), ResultStatus.TIMEOUT),
        (httpx.ReadError("cut"), ResultStatus.ERROR),
        (httpx.InvalidURL("no"), ResultStatus.ERROR),
        (RuntimeError("any"), ResultStatus.ERROR),
    ],
    ids=repr,
)
@in_virtual_time
async def test_other_errors_are_not_retried(error: Exception, status: ResultStatus) -> None:
    """They are raised unchanged after one attempt."""
    async with AsyncResilientClient() as client:
        with patch.object(client._client, "request", side_effect=error) as mock:
            task = await client.get("https://test.com", RequestContext(request_id="r"))
            with pytest.raises(type(error)) as raised:
                await task
        assert raised.value is error
        assert mock.call_count == 1
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (status, 1)


@pytest.mark.parametrize("code", [404, 429, 500, 503])
@in_virtual_time
async def test_an_error_status_is_a_response_and_not_an_error(code: int) -> None:
    """No status is retried."""
    transport = httpx.MockTransport(lambda _: httpx.Response(code))
    async with create_async_resilient_client(transport=transport) as client:
        response = await (await client.get("http://a.test/"))
        assert response.status_code == code
        assert client.statistics().retries == 0
        assert client.statistics().succeeded == 1


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete", "patch", "head", "options"])
@in_virtual_time
async def test_each_verb_sends_its_method(verb: str) -> None:
    """And accepts the context as its second argument."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.method))
    async with AsyncResilientClient(transport=transport) as client:
        context = RequestContext(request_id=verb)
        response = await (await getattr(client, verb)("http://a.test/", context))
        assert response.request.method == verb.upper()
        assert client.get_result(verb) is not None


@in_virtual_time
async def test_a_method_may_be_in_upper_or_lower_case() -> None:
    """As in httpx."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.method))
    async with AsyncResilientClient(transport=transport) as client:
        assert (await (await client.request_async("query", "http://a.test/"))).text == "QUERY"


@pytest.mark.parametrize("method", ["PROPFIND", "query", "M-SEARCH", "!#$%&'*+-.^_`|~09azAZ"])
@in_virtual_time
async def test_any_token_is_a_method(method: str) -> None:
    """As RFC 9110 section 9.1 says; httpx sends it in upper case."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.method))
    async with AsyncResilientClient(transport=transport) as client:
        assert (await client.request(method, "http://a.test/")).text == method.upper()


@pytest.mark.parametrize("method", ["", "GET ", "G\nET", "GÉT", "a/b", "GET\n", None, 7, b"GET"])
@in_virtual_time
async def test_what_is_no_token_raises_before_anything_is_sent(method: Any) -> None:
    """No request is submitted."""
    async with AsyncResilientClient() as client:
        with pytest.raises(ValueError, match="invalid HTTP method"):
            await client.request_async(method, "http://a.test/")
        assert client.statistics().submitted == 0


@in_virtual_time
async def test_an_unknown_option_raises_before_anything_is_sent() -> None:
    """The message names it and lists the valid ones."""
    async with AsyncResilientClient() as client:
        with pytest.raises(
            TypeError, match=r"unknown request option 'jsn': did you mean 'json'\? .*params"
        ):
            await client.post("http://a.test/", jsn={})  # type: ignore[call-overload]  # the point of the test
        assert client.statistics().submitted == 0


@in_virtual_time
async def test_a_context_without_attempts_left_raises_before_anything_is_sent() -> None:
    """The message says how to fix it."""
    spent = RequestContext(max_retries=1, current_attempt=2, request_id="spent")
    async with AsyncResilientClient() as client:
        with pytest.raises(ValueError, match=r"'spent' has no attempts left.*reset_attempts"):
            await client.get("http://a.test/", spent)


@in_virtual_time
async def test_the_context_of_a_request_overrides_the_clients_limits() -> None:
    """The client's limits are the defaults of the contexts that it creates."""
    delays: list[float] = []
    async with create_async_resilient_client(
        max_retries=1, base_delay=8.0, backoff_factor=3.0, max_delay=20.0, random=lambda: 0.5
    ) as client:
        client.add_event_callback(EventType.RETRY, lambda event: delays.append(event.data.delay))
        with patch.object(client._client, "request", side_effect=httpx.ConnectError("no")):
            own = RequestContext(max_retries=2, base_delay=1.0)
            for context in (None, own):
                task = await client.get("http://a.test/", context)
                with pytest.raises(ConnectError):
                    await task
        await client.wait_for_all_requests()
    assert delays == [8.0, 1.0, 2.0]


@in_virtual_time
async def test_invalid_options_raise_when_the_client_is_created() -> None:
    """Not at the first request."""
    with pytest.raises(ValueError, match="max_retries"):
        AsyncResilientClient(max_retries=-1)
    with pytest.raises(ValueError, match="base_delay"):
        AsyncResilientClient(base_delay=float("nan"))
    with pytest.raises(ValueError, match="max_concurrent_requests"):
        AsyncResilientClient(max_concurrent_requests=0)
    with pytest.raises(ValueError, match="grace"):
        AsyncResilientClient(grace=-1)
    with pytest.raises(ValueError, match="max_result_age must be a number > 0, got '60'"):
        AsyncResilientClient(max_result_age="60")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(TypeError, match="tiemout"):
        AsyncResilientClient(tiemout=3)  # type: ignore[call-arg]  # the point of the test


@in_virtual_time
async def test_a_simple_request_needs_no_client() -> None:
    """Options of the request and of the client are distinguished by name."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=request.content))
    response = await simple_async_request(
        "POST", "/echo", json={"a": 1}, transport=transport, base_url="http://a.test"
    )
    assert response.json() == {"a": 1}
    assert response.request.url == "http://a.test/echo"


@in_virtual_time
async def test_a_simple_request_is_retried_as_often_as_requested() -> None:
    """It raises the same error as the client."""

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise httpx.ConnectError("refused", request=request)

    calls: list[httpx.Request] = []
    with pytest.raises(ConnectError):
        await simple_async_request(
            "GET", "http://a.test/", max_retries=4, transport=httpx.MockTransport(refuse)
        )
    assert len(calls) == 5


def test_a_simple_request_has_a_timeout_of_ten_seconds_by_default() -> None:
    """As in httpx, it applies to each of connect, read, write and pool."""
    parameters = inspect.signature(simple_async_request).parameters
    assert (parameters["timeout"].default, parameters["max_retries"].default) == (10.0, 2)


@in_virtual_time
async def test_a_simple_request_can_use_a_client_of_the_caller() -> None:
    """Which stays open, and whose own timeout is replaced by that of the request."""
    seen: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as given:
        await simple_async_request("GET", "http://a.test/", http_client=given)
        await simple_async_request("GET", "http://a.test/", http_client=given, timeout=3)
        assert not given.is_closed
    assert [timeout["read"] for timeout in seen] == [10, 3]
