"""Events and results as values."""

import dataclasses
import time
from typing import Any
from unittest.mock import MagicMock, patch

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    EventType,
    RequestContext,
)
from typed_async_client.events import RetryDetails
from typed_async_client.record import RequestRecord


def test_an_event_type_is_looked_up_by_value_or_name() -> None:
    """So a string from a configuration file works too."""
    assert EventType("retry") is EventType("RETRY") is EventType.RETRY
    assert str(EventType.RETRY) == "retry"


@pytest.mark.parametrize("unknown", ["retries", "", None, 3])
def test_an_unknown_event_type_raises(unknown: Any) -> None:
    """The error names the types that there are."""
    with pytest.raises(ValueError, match=rf"no event type {unknown!r}: the types are success, ret"):
        AsyncEvent(unknown, RequestContext())


def test_only_the_end_of_a_request_is_terminal() -> None:
    """Nothing follows a terminal event; the others report what happens on the way."""
    assert {kind for kind in EventType if kind.is_terminal} == {
        EventType.SUCCESS,
        EventType.ERROR,
        EventType.TIMEOUT,
        EventType.CANCELLED,
        EventType.REJECTED,
    }


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
    assert response.next_request is not None
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


def test_an_event_reports_its_request() -> None:
    """Method, URL and origin, of which a clone has the same."""
    record = RequestRecord("POST", "https://ann:pw@a.test:8443/x?sig=1")
    event = AsyncEvent(EventType.CANCELLED, RequestContext(), request=record, resends=1).clone()
    assert (event.method, event.origin) == ("POST", "https://a.test:8443")
    assert event.url == "https://REDACTED:REDACTED@a.test:8443/x?sig=REDACTED"
    assert (event.resends, event.is_terminal) == (1, True)


def test_a_callback_cannot_change_the_request() -> None:
    """The next attempt reads its method from the record."""
    event = AsyncEvent(EventType.RETRY, RequestContext(), request=RequestRecord("PUT", "/x"))
    clone = event.clone()
    clone.request.method, clone.request.resends = "DELETE", 7
    assert (event.method, event.request.resends) == ("PUT", 0)
    assert event.clone() == event


def test_the_repr_of_an_event_has_no_secrets() -> None:
    """Neither of the URL, of an error message, nor of the metadata."""
    error = httpx.ConnectError("cannot reach https://ann:pw@a.test/")
    context = RequestContext(request_id="r", metadata={"password": "pw"})
    record = RequestRecord("GET", "https://ann:pw@a.test/")
    details = RetryDetails(1, 0.52, "backoff", error)
    event = AsyncEvent(EventType.RETRY, context, data=details, error=error, request=record)
    assert "pw" not in repr(event)
    assert "pw" not in repr(context)
    assert "RETRY GET https://REDACTED:REDACTED@a.test/ request_id='r'" in repr(event)
    assert "data=RetryDetails(attempt=1, delay=0.52" in repr(event)
    assert "metadata={'password': ...}" in repr(context)
    assert "error" not in repr(AsyncEvent(EventType.SUCCESS, context))
