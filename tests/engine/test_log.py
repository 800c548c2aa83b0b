"""What is logged about requests."""

import logging

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    RequestContext,
    RetryDetails,
)
from typed_async_client.bad_status import status_error
from typed_async_client.engine.log import log_event
from typed_async_client.events import CIRCUIT_EVENTS
from typed_async_client.policies.transitions import CircuitState, Transition, TransitionReason
from typed_async_client.record import RequestRecord

TARGET = RequestRecord("POST", "https://ann:pw@a.test/pay?token=t")
CAUSE = httpx.ConnectError("cannot reach https://ann:pw@a.test/\nat all")


def event(kind: EventType, error: BaseException | None = CAUSE) -> AsyncEvent:
    """Create an event of the second of three attempts."""
    details = RetryDetails(2, 1.25, "backoff", CAUSE) if kind is EventType.RETRY else None
    return AsyncEvent(
        kind, RequestContext(), data=details, error=error, request=TARGET, attempts=2, elapsed=3.5
    )


@pytest.mark.parametrize(
    ("kind", "level", "what_happened"),
    [
        (EventType.RETRY, "INFO", "attempt 2 of 3 failed, retry in 1.25 s"),
        (EventType.ERROR, "WARNING", "gave up after 2 attempts in 3.50 s"),
        (EventType.TIMEOUT, "WARNING", "gave up after 2 attempts in 3.50 s"),
        (EventType.REJECTED, "WARNING", "refused by a policy"),
    ],
)
def test_a_failed_attempt_is_one_line_without_secrets(
    kind: EventType, level: str, what_happened: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With method, URL, attempt, cause, and what follows."""
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        log_event(event(kind))
    [record] = caplog.records
    assert (record.name, record.levelname) == ("typed_async_client", level)
    assert record.getMessage() == (
        f"POST https://REDACTED:REDACTED@a.test/pay?token=REDACTED: {what_happened} "
        "(ConnectError: cannot reach https://REDACTED:REDACTED@a.test/ at all)"
    )


@pytest.mark.parametrize(
    ("state", "level", "what_happened"),
    [
        (CircuitState.OPEN, "WARNING", "has opened"),
        (CircuitState.ISOLATED, "WARNING", "has opened"),
        (CircuitState.HALF_OPEN, "INFO", "is half-open"),
        (CircuitState.CLOSED, "INFO", "has closed"),
    ],
)
def test_a_circuit_that_changes_its_state_is_one_line(
    state: CircuitState, level: str, what_happened: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With its host, and the reason."""
    transition = Transition(
        state=state,
        previous=CircuitState.CLOSED,
        reason=TransitionReason.FAILURE_RATE,
        calls=20,
        failure_rate=0.5,
        slow_rate=0.0,
    )
    changed = AsyncEvent(CIRCUIT_EVENTS[state], RequestContext(), data=transition, request=TARGET)
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        log_event(changed)
    [record] = caplog.records
    assert record.levelname == level
    assert f": the circuit of https://a.test {what_happened} (failure_rate)" in record.getMessage()


def test_a_retry_of_a_response_tells_its_status(caplog: pytest.LogCaptureFixture) -> None:
    """There is no error."""
    details = RetryDetails(1, 1.0, "server", status=503)
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        log_event(AsyncEvent(EventType.RETRY, RequestContext(), data=details, attempts=1))
    assert "retry in 1.00 s (status 503)" in caplog.text


def test_an_error_without_a_message_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """By its class."""
    log_event(event(EventType.ERROR, KeyError()))
    assert "in 3.50 s (KeyError)" in caplog.text


def test_a_single_attempt_is_not_counted_against_those_allowed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A timeout isn't retried, so "1 of 3" would read as if two were missing."""
    log_event(AsyncEvent(EventType.TIMEOUT, RequestContext(), error=CAUSE, attempts=1))
    assert "failed after 1 attempt in 0.00 s" in caplog.text


def test_the_method_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The message of a network error starts with it, and so does the line."""
    log_event(event(EventType.ERROR, httpx.ReadError("POST: connection to a.test:443 lost")))
    assert "in 3.50 s (ReadError: connection to a.test:443 lost)" in caplog.text


@pytest.mark.parametrize("query", ["", "?page=2", "?token=s3cret", "?page=2&sig=s3cret#top"])
async def test_the_url_is_told_once(query: str, caplog: pytest.LogCaptureFixture) -> None:
    """The message of an error by status starts with it, as does the one of a body that isn't decoded."""
    caplog.set_level(logging.INFO, logger="typed_async_client")
    transport = httpx.MockTransport(
        lambda request: httpx.Response(404 if request.url.path == "/missing" else 200, text="no")
    )
    async with AsyncResilientClient(transport=transport) as client:
        for path in ("missing", "there"):
            await client.fetch("GET", f"http://a.test/{path}{query}", response_model=list[int])
    said = query.replace("s3cret", "REDACTED")
    missing, there = caplog.messages
    assert missing.startswith(f"GET http://a.test/missing{said}: failed after 1 attempt")
    assert missing.endswith("(NotFoundError: 404 Not Found: no)")
    assert there.startswith(f"GET http://a.test/there{said}: failed after 1 attempt")
    assert "(DecodeError: 200: can't decode" in there


@pytest.mark.parametrize("kind", [EventType.SUCCESS, EventType.CANCELLED])
def test_successes_and_cancellations_are_not_logged(
    kind: EventType, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller asked for both."""
    with caplog.at_level(logging.DEBUG, logger="typed_async_client"):
        log_event(event(kind))
    assert caplog.records == []


def test_nothing_is_formatted_for_a_level_that_is_off(caplog: pytest.LogCaptureFixture) -> None:
    """A retry is logged as INFO, which is off by default."""
    unread = RequestRecord("GET", "http://a.test/")
    details = RetryDetails(1, 0.1, "backoff", CAUSE)
    retry = AsyncEvent(EventType.RETRY, RequestContext(), data=details, request=unread)
    with caplog.at_level(logging.WARNING, logger="typed_async_client"):
        log_event(retry)
    assert caplog.records == []
    assert unread._parsed is None


def test_a_logging_filter_that_raises_does_not_fail_the_request() -> None:
    """Logging is watching, which never fails a request."""

    def refuse(_: logging.LogRecord) -> bool:
        raise RuntimeError("no disk")

    logger = logging.getLogger("typed_async_client")
    logger.addFilter(refuse)
    try:
        log_event(event(EventType.ERROR))
    finally:
        logger.removeFilter(refuse)


@pytest.mark.parametrize(
    ("status", "attempts", "level"),
    [(404, 1, "INFO"), (404, 2, "WARNING"), (500, 1, "WARNING")],
)
def test_a_status_that_may_be_expected_is_no_warning(
    status: int, attempts: int, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that was retried, and one of the server's own failures, is."""
    request = httpx.Request("POST", "https://a.test/pay")
    error = status_error(httpx.Response(status, request=request), TARGET)
    failed = AsyncEvent(
        EventType.ERROR, RequestContext(), error=error, request=TARGET, attempts=attempts
    )
    with caplog.at_level(logging.INFO, logger="typed_async_client"):
        log_event(failed)
    assert [record.levelname for record in caplog.records] == [level]
