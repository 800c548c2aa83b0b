"""Results as values."""

import asyncio
import pickle
import socket
import ssl
import time
from typing import Any, cast

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AttemptHistory,
    EventType,
    FailureKind,
    FailureResult,
    RequestCancelledError,
    RequestContext,
    RequestResult,
    ResponseEvictedError,
    ResultStatus,
    SuccessResult,
)
from typed_async_client.attempts import AttemptRecord
from typed_async_client.failure_kinds import kind_of_error
from typed_async_client.kept_results import result_of
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.gates import RejectionReason
from typed_async_client.record import RequestRecord
from typed_async_client.results import ResultBase


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


def test_an_attempt_history_counts_what_was_sent_and_not_its_copies() -> None:
    """Nor an attempt that a policy refused before it was sent."""
    facts = Facts(fault=None, sent=Sent.ANSWERED, status=503)
    refused = Facts(fault=Fault.OTHER, sent=Sent.NOTHING, local=True)
    records = (
        AttemptRecord(number=1, facts=facts),
        AttemptRecord(number=2, facts=facts),
        AttemptRecord(number=2, copy=1, facts=facts),
        AttemptRecord(number=3, facts=refused, rejection=RejectionReason.CIRCUIT_OPEN),
    )
    assert AttemptHistory("a", records, 7.5).attempts == 2
    assert AttemptHistory("a", (), 0.0).attempts == 0


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
        EventType.ERROR,
        RequestContext(),
        None,
        ValueError("http://ann:pw@a.test"),
        0,
        1,
        2,
        record,
        (),
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


@pytest.mark.parametrize(
    "cause",
    [
        ConnectionRefusedError("refused"),
        socket.gaierror(socket.EAI_NONAME, "no such name"),
        ssl.SSLCertVerificationError("self-signed certificate"),
    ],
)
def test_a_connect_failure_is_of_one_kind_whether_it_may_pass_or_not(cause: Exception) -> None:
    """Only the retry policy tells them apart."""
    error = httpx.ConnectError("no connection")
    error.__cause__ = cause
    assert kind_of_error(error) is FailureKind.CONNECT


def test_a_success_whose_response_was_dropped_has_a_default() -> None:
    """There is no value to return instead."""
    dropped = SuccessResult(
        "r", ResultStatus.SUCCESS, None, None, 1, 0.5, status_code=200, response_evicted=True
    )
    assert dropped.unwrap_or("nothing") == "nothing"
    with pytest.raises(ResponseEvictedError, match="'r' was dropped"):
        dropped.unwrap()
