"""Results as values."""

import asyncio
import pickle
import time
from typing import Any, cast

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AttemptHistory,
    EventType,
    FailureResult,
    RequestCancelledError,
    RequestContext,
    RequestResult,
    ResultStatus,
    SuccessResult,
)
from typed_async_client.events import RetryDetails
from typed_async_client.record import RequestRecord
from typed_async_client.results import ResultBase, result_of


def result(status: ResultStatus, **fields: Any) -> RequestResult:
    """Create a result with a status."""
    values: dict[str, Any] = {"response": None, "error": None, "attempts": 1, "total_time": 0.5}
    return cast("RequestResult", ResultBase("a", status, **(values | fields)))


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
        EventType.SUCCESS,
        RequestContext(request_id="a"),
        None,
        None,
        2,
        3,
        7.5,
        RequestRecord("GET", "http://a.test"),
    )
    cause = httpx.ConnectError("refused")
    retries = tuple(RetryDetails(n, 1.0, "backoff", cause) for n in (1, 2))
    assert AttemptHistory.of(event, retries) == AttemptHistory("a", 3, retries, 7.5)


def test_a_result_has_an_age_and_can_be_pickled() -> None:
    """The age is counted from ``created_at``."""
    old = result(ResultStatus.ERROR, created_at=time.time() - 50)
    assert 50 <= old.age < 110
    assert pickle.loads(pickle.dumps(old)) == old


@pytest.mark.parametrize("status", list(ResultStatus))
def test_the_status_decides_whether_a_result_is_a_success_or_a_failure(
    status: ResultStatus,
) -> None:
    """Whatever class it was created with; a contradiction raises."""
    right, wrong = (
        (SuccessResult, FailureResult)
        if status is ResultStatus.SUCCESS
        else (FailureResult, SuccessResult)
    )
    created = result(status)
    assert type(created) is right
    assert isinstance(created, RequestResult)
    with pytest.raises(ValueError, match=f"can't have the status '{status.value}'"):
        wrong("a", cast("Any", status), cast("Any", None), cast("Any", None), 1, 0.5)


def test_a_result_reports_its_request_without_secrets() -> None:
    """Method, URL and origin, also in its repr and after pickling."""
    record = RequestRecord("GET", "https://ann:pw@a.test/x?token=t")
    event = AsyncEvent.adopt(
        EventType.ERROR, RequestContext(), None, ValueError("http://ann:pw@a.test"), 0, 1, 2, record
    )
    failed = result_of(event)
    assert (failed.method, failed.origin) == ("GET", "https://a.test")
    assert failed.url == "https://REDACTED:REDACTED@a.test/x?token=REDACTED"
    assert b"pw" not in pickle.dumps(result_of(event)).replace(b"http://ann:pw", b"")
    assert "pw" not in repr(failed)
    assert repr(failed).startswith("<FailureResult ERROR GET https://REDACTED")


def test_the_repr_of_a_success_has_its_status_code() -> None:
    """So a printed result tells how the request ended."""
    success = result(ResultStatus.SUCCESS, response=httpx.Response(503), method="GET", url="u")
    assert "SuccessResult SUCCESS GET u request_id='a'" in repr(success)
    assert "<Response [503 Service Unavailable]>" in repr(success)
