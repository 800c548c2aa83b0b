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


def test_an_event_type_is_found_by_value_and_by_name() -> None:
    """A string from a configuration file serves as well as the member."""
    assert EventType("retry") is EventType("RETRY") is EventType.RETRY
    assert str(EventType.RETRY) == "retry"


@pytest.mark.parametrize("unknown", ["retries", "", None, 3])
def test_an_unknown_event_type_is_refused(unknown: Any) -> None:
    """The error is the enum's own."""
    with pytest.raises(ValueError, match="EventType"):
        AsyncEvent(unknown, RequestContext())


def test_all_but_retry_are_terminal() -> None:
    """Nothing follows a terminal event."""
    assert [kind for kind in EventType if not kind.is_terminal] == [EventType.RETRY]


def test_an_event_is_frozen_and_made_in_the_contracts_order() -> None:
    """Positional use follows the contract."""
    context = RequestContext()
    error = ValueError("no")
    event = AsyncEvent(EventType.ERROR, context, 12.5, "data", error, {"k": 1})
    assert (event.timestamp, event.data, event.error) == (12.5, "data", error)
    assert event.metadata == {"k": 1}
    assert event.context == context
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.seq = 3  # type: ignore[misc]  # the point of the test


def test_an_event_keeps_a_clone_of_context_and_metadata() -> None:
    """Its maker and its holder do not see each other's changes."""
    context = RequestContext(metadata={"list": [1]})
    metadata = {"nested": {"a": 1}}
    event = AsyncEvent(EventType.RETRY, context, metadata=metadata)
    event.context.metadata["list"].append(2)
    metadata["nested"]["a"] = 2
    assert context.metadata == {"list": [1]}
    assert event.metadata == {"nested": {"a": 1}}


def test_a_clone_shares_nothing_that_can_change() -> None:
    """Context, metadata and plain data are the clone's own; the error is the caller's."""
    error = ValueError("no")
    event = AsyncEvent(
        EventType.ERROR,
        RequestContext(metadata={"list": [1]}),
        data={"deep": [1]},
        error=error,
        metadata={"m": [1]},
    )
    twin = event.clone()
    assert twin == event
    twin.context.metadata["list"].append(2)
    twin.data["deep"].append(2)
    twin.metadata["m"].append(2)
    assert event.context.metadata == {"list": [1]}
    assert event.data == {"deep": [1]}
    assert event.metadata == {"m": [1]}
    assert twin.error is error


def response_with_history() -> httpx.Response:
    """Make a response as a client would give it after one redirect."""
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


def test_a_cloned_response_is_whole() -> None:
    """Status, body, headers, request, history and extensions read as before."""
    twin = AsyncEvent(EventType.SUCCESS, RequestContext(), data=response_with_history()).clone()
    response = twin.data
    assert (response.status_code, response.json(), response.headers["x-got"]) == (
        200,
        {"a": 1},
        "1",
    )
    assert response.request.url == "http://a.test/"
    assert response.history[0].status_code == 302
    assert response.http_version == "HTTP/1.1"
    assert response.cookies["b"] == "2"


def test_what_is_done_to_a_cloned_response_stays_with_it() -> None:
    """Headers, cookies, request, history and extensions of the original do not change."""
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
    """A transport of the user's own may leave it out."""
    twin = AsyncEvent(EventType.SUCCESS, RequestContext(), data=httpx.Response(204)).clone()
    assert twin.data.status_code == 204


def test_data_that_cannot_be_copied_is_shared() -> None:
    """A generator has no copy; the event still goes out."""
    data = (number for number in [1])
    assert AsyncEvent(EventType.SUCCESS, RequestContext(), data=data).clone().data is data


def test_a_mock_response_is_cloned_or_shared_but_never_fails() -> None:
    """The specification's own test puts one into the flow."""
    event = AsyncEvent(EventType.SUCCESS, RequestContext(), data=MagicMock(status_code=200))
    assert event.clone().data.status_code == 200


def test_age_is_counted_on_the_monotonic_clock() -> None:
    """A clone is as old as its original, and a jump of the wall clock ages neither."""
    event = AsyncEvent(EventType.SUCCESS, RequestContext())
    with patch("time.time", return_value=time.time() + 365 * 86400):
        assert 0 <= event.clone().age < 60


def result(status: ResultStatus, **fields: Any) -> RequestResult:
    """Make a result of the given status."""
    values: dict[str, Any] = {"response": None, "error": None, "attempts": 1, "total_time": 0.5}
    return RequestResult("a", status, **(values | fields))


def test_a_successful_result_unwraps_to_its_response() -> None:
    """And says that it is no error."""
    response = httpx.Response(200)
    success = result(ResultStatus.SUCCESS, response=response)
    assert success.unwrap() is response
    assert success.is_success
    assert not success.is_error


@pytest.mark.parametrize("status", [ResultStatus.ERROR, ResultStatus.TIMEOUT])
def test_a_failed_result_unwraps_to_its_error(status: ResultStatus) -> None:
    """The very error that the task raised."""
    error = httpx.ReadTimeout("slow")
    failure = result(status, error=error)
    assert failure.is_error
    with pytest.raises(httpx.ReadTimeout) as raised:
        failure.unwrap()
    assert raised.value is error


def test_a_cancelled_result_does_not_cancel_who_looks_at_it() -> None:
    """It unwraps to an error of its own, with the cancellation as its cause."""
    cancelled = result(ResultStatus.CANCELLED, error=asyncio.CancelledError())
    assert cancelled.is_error
    with pytest.raises(RequestCancelledError, match="'a' was cancelled") as raised:
        cancelled.unwrap()
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)


def test_a_record_of_attempts_tells_the_time_that_they_took() -> None:
    """And not the age of the event that it is read off."""
    event = AsyncEvent.adopt(
        EventType.SUCCESS, RequestContext(request_id="a"), None, None, 2, 3, 7.5
    )
    cause = httpx.ConnectError("refused")
    retries = tuple(RetryDetails(n, 1.0, "backoff", cause) for n in (1, 2))
    assert AttemptHistory.of(event, retries) == AttemptHistory("a", 3, retries, 7.5)


def test_a_result_has_an_age_and_pickles() -> None:
    """The age starts at the stamp."""
    old = result(ResultStatus.ERROR, created_at=time.time() - 50)
    assert 50 <= old.age < 110
    assert pickle.loads(pickle.dumps(old)) == old
