"""Events and results as values."""

import asyncio
import dataclasses
import pickle
import time
from typing import Any
from unittest.mock import MagicMock, patch

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AttemptHistory,
    EventType,
    RequestCancelledError,
    RequestContext,
    RequestResult,
    ResultStatus,
)
from typed_async_client.events import RetryDetails


def test_an_event_type_is_looked_up_by_value_or_name() -> None:
    """So a string from a configuration file works too."""
    assert EventType("retry") is EventType("RETRY") is EventType.RETRY
    assert str(EventType.RETRY) == "retry"


@pytest.mark.parametrize("unknown", ["retries", "", None, 3])
def test_an_unknown_event_type_raises(unknown: Any) -> None:
    """The error is that of the enum."""
    with pytest.raises(ValueError, match="EventType"):
        AsyncEvent(unknown, RequestContext())


def test_all_but_retry_are_terminal() -> None:
    """Nothing follows a terminal event."""
    assert [kind for kind in EventType if not kind.is_terminal] == [EventType.RETRY]


def test_an_event_is_frozen_and_takes_positional_arguments() -> None:
    """In the documented order."""
    context = RequestContext()
    error = ValueError("no")
    event = AsyncEvent(EventType.ERROR, context, 12.5, "data", error, {"k": 1})
    assert (event.timestamp, event.data, event.error) == (12.5, "data", error)
    assert event.metadata == {"k": 1}
    assert event.context == context
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.seq = 3  # type: ignore[misc]  # the point of the test


def test_an_event_keeps_a_copy_of_context_and_metadata() -> None:
    """Changes on either side don't affect the other."""
    context = RequestContext(metadata={"list": [1]})
    metadata = {"nested": {"a": 1}}
    event = AsyncEvent(EventType.RETRY, context, metadata=metadata)
    event.context.metadata["list"].append(2)
    metadata["nested"]["a"] = 2
    assert context.metadata == {"list": [1]}
    assert event.metadata == {"nested": {"a": 1}}


def test_a_cloned_event_shares_no_mutable_state() -> None:
    """Context, metadata and data are copied; the error is the one the caller gets."""
    error = ValueError("no")
    event = AsyncEvent(
        EventType.ERROR,
        RequestContext(metadata={"list": [1]}),
        data={"deep": [1]},
        error=error,
        metadata={"m": [1]},
    )
    clone = event.clone()
    assert clone == event
    clone.context.metadata["list"].append(2)
    clone.data["deep"].append(2)
    clone.metadata["m"].append(2)
    assert event.context.metadata == {"list": [1]}
    assert event.data == {"deep": [1]}
    assert event.metadata == {"m": [1]}
    assert clone.error is error


def response_with_history() -> httpx.Response:
    """Create a response like the one a client returns after a redirect."""
    request = httpx.Request("GET", "http://a.test/", headers={"X-Sent": "1"})
    first = httpx.Response(302, headers={"Set-Cookie": "a=1"}, request=request)
    return httpx.Response(
        200,
        headers={"X-Got": "1", "Set-Cookie": "b=2"},
        content=b'{"a": 1}',
        request=request,
        history=[first],
        extensions={"http_version": b"HTTP/1.1"},
    )


def test_a_cloned_response_is_complete() -> None:
    """Status, body, headers, request, history and extensions are equal."""
    clone = AsyncEvent(EventType.SUCCESS, RequestContext(), data=response_with_history()).clone()
    response = clone.data
    assert (response.status_code, response.json(), response.headers["x-got"]) == (
        200,
        {"a": 1},
        "1",
    )
    assert response.request.url == "http://a.test/"
    assert response.history[0].status_code == 302
    assert response.http_version == "HTTP/1.1"
    assert response.cookies["b"] == "2"


def test_changes_to_a_cloned_response_do_not_affect_the_original() -> None:
    """Not its headers, cookies, request, history or extensions."""
    original = response_with_history()
    original.next_request = httpx.Request("GET", "http://a.test/next")
    assert original.cookies["b"] == "2"
    response = AsyncEvent(EventType.SUCCESS, RequestContext(), data=original).clone().data
    response.headers["x-got"] = "changed"
    response.request.headers["x-sent"] = "changed"
    response.history[0].headers["x-new"] = "1"
    response.next_request.headers["x-new"] = "1"
    response.history.clear()
    response.cookies.clear()
    response.extensions["http_version"] = b"changed"
    assert original.headers["x-got"] == "1"
    assert original.request.headers["x-sent"] == "1"
    assert "x-new" not in original.history[0].headers
    assert original.next_request is not None
    assert "x-new" not in original.next_request.headers
    assert original.cookies["b"] == "2"
    assert original.http_version == "HTTP/1.1"


def test_a_response_without_a_request_is_cloned_too() -> None:
    """A custom transport may not set one."""
    clone = AsyncEvent(EventType.SUCCESS, RequestContext(), data=httpx.Response(204)).clone()
    assert clone.data.status_code == 204


def test_data_that_cannot_be_copied_is_shared() -> None:
    """A generator can't be copied; the event is still delivered."""
    data = (number for number in [1])
    assert AsyncEvent(EventType.SUCCESS, RequestContext(), data=data).clone().data is data


def test_cloning_an_event_with_a_mock_response_does_not_fail() -> None:
    """Tests of applications use mock responses."""
    event = AsyncEvent(EventType.SUCCESS, RequestContext(), data=MagicMock(status_code=200))
    assert event.clone().data.status_code == 200


def test_age_is_measured_on_the_monotonic_clock() -> None:
    """A clone has the age of its original; changes of the wall clock affect neither."""
    event = AsyncEvent(EventType.SUCCESS, RequestContext())
    with patch("time.time", return_value=time.time() + 365 * 86400):
        assert 0 <= event.clone().age < 60


def result(status: ResultStatus, **fields: Any) -> RequestResult:
    """Create a result with a status."""
    values: dict[str, Any] = {"response": None, "error": None, "attempts": 1, "total_time": 0.5}
    return RequestResult("a", status, **(values | fields))


def test_unwrapping_a_successful_result_returns_its_response() -> None:
    """It isn't an error."""
    response = httpx.Response(200)
    success = result(ResultStatus.SUCCESS, response=response)
    assert success.unwrap() is response
    assert success.is_success
    assert not success.is_error


@pytest.mark.parametrize("status", [ResultStatus.ERROR, ResultStatus.TIMEOUT])
def test_unwrapping_a_failed_result_raises_its_error(status: ResultStatus) -> None:
    """The same object that the task raised."""
    error = httpx.ReadTimeout("slow")
    failure = result(status, error=error)
    assert failure.is_error
    with pytest.raises(httpx.ReadTimeout) as raised:
        failure.unwrap()
    assert raised.value is error


def test_unwrapping_a_cancelled_result_does_not_cancel_the_caller() -> None:
    """It raises ``RequestCancelledError``, with the cancellation as its cause."""
    cancelled = result(ResultStatus.CANCELLED, error=asyncio.CancelledError())
    assert cancelled.is_error
    with pytest.raises(RequestCancelledError, match="'a' was cancelled") as raised:
        cancelled.unwrap()
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)


def test_an_attempt_history_has_the_duration_of_the_attempts() -> None:
    """And not the age of the event it is created from."""
    event = AsyncEvent.adopt(
        EventType.SUCCESS, RequestContext(request_id="a"), None, None, 2, 3, 7.5
    )
    cause = httpx.ConnectError("refused")
    retries = tuple(RetryDetails(n, 1.0, "backoff", cause) for n in (1, 2))
    assert AttemptHistory.of(event, retries) == AttemptHistory("a", 3, retries, 7.5)


def test_a_result_has_an_age_and_can_be_pickled() -> None:
    """The age is counted from ``created_at``."""
    old = result(ResultStatus.ERROR, created_at=time.time() - 50)
    assert 50 <= old.age < 110
    assert pickle.loads(pickle.dumps(old)) == old
