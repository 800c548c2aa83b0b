"""Logs what went wrong: a retry or a reconnection as INFO, a request that has failed as WARNING, one line each."""

import contextlib
import logging

from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.policies.transitions import Transition
from typed_async_client.record import RequestRecord
from typed_async_client.redact import error_line
from typed_async_client.status_errors import ClientStatusError

__all__ = ["log_event", "log_reconnection"]

_log = logging.getLogger("typed_async_client")


def log_event(event: AsyncEvent) -> None:
    """Log a retry, a circuit that opens or closes, and a request that has failed.

    A failure is logged here once, so it isn't lost if nobody awaits the request's task.
    """
    match event.event_type:
        case EventType.RETRY:
            attempt = f"attempt {event.attempts} of {event.context.max_retries + 1} failed"
            _write(logging.INFO, event, f"{attempt}, retry in {event.data.delay:.2f} s")
        case EventType.ERROR | EventType.TIMEOUT:
            _write(_level_of(event), event, _failure(event))
        case EventType.REJECTED:
            _write(logging.WARNING, event, "refused by a policy")
        case EventType.CIRCUIT_OPENED:
            _write(logging.WARNING, event, f"the circuit of {event.origin} has opened")
        case EventType.CIRCUIT_HALF_OPEN:
            _write(logging.INFO, event, f"the circuit of {event.origin} is half-open")
        case EventType.CIRCUIT_CLOSED:
            _write(logging.INFO, event, f"the circuit of {event.origin} has closed")


def _failure(event: AsyncEvent) -> str:
    many = event.attempts != 1
    attempts = f"gave up after {event.attempts} attempts" if many else "failed after 1 attempt"
    return f"{attempts} in {event.elapsed:.2f} s"


def _level_of(event: AsyncEvent) -> int:
    """Return the level of a failure: a status that isn't retried, such as 404, may be expected."""
    is_expected = isinstance(event.error, ClientStatusError) and event.attempts == 1
    return logging.INFO if is_expected else logging.WARNING


def log_reconnection(record: RequestRecord, delay: float, error: Exception | None) -> None:
    """Log that an event stream will be connected to again.

    Args:
        record: its request.
        delay: the seconds before that.
        error: what broke the last connection; None if the server has ended it.
    """
    if not _log.isEnabledFor(logging.INFO):
        return
    with contextlib.suppress(Exception):  # as below
        cause = "it ended" if error is None else _described(error, record.method, record.url)
        words = "%s %s: reconnecting the event stream in %.2f s (%s)"
        _log.info(words, record.method, record.url, delay, cause)


def _write(level: int, event: AsyncEvent, what_happened: str) -> None:
    if not _log.isEnabledFor(level):
        return
    with contextlib.suppress(Exception):  # a logging handler may raise, and mustn't fail a request
        named = f"{event.method} {event.url}".lstrip()  # a circuit changed by hand has no method
        _log.log(level, "%s: %s (%s)", named, what_happened, _cause(event))


def _cause(event: AsyncEvent) -> str:
    if isinstance(event.data, Transition):
        return str(event.data.reason)
    if event.error is None:
        return f"status {event.data.status}"
    return _described(event.error, event.method, event.url)


def _described(error: BaseException, method: str, url: str) -> str:
    message = error_line(error)
    for named in (f"{method}: ", f"{method} {url}: "):  # the line has it
        message = message.removeprefix(named)
    name = type(error).__name__
    return f"{name}: {message}" if message else name
