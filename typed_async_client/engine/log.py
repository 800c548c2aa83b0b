"""Logs what went wrong: a retry as INFO, a request that has failed as WARNING, one line each."""

import contextlib
import logging

from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.policies.transitions import Transition
from typed_async_client.redact import error_line

__all__ = ["log_event"]

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
            attempts = "1 attempt" if event.attempts == 1 else f"{event.attempts} attempts"
            _write(logging.WARNING, event, f"gave up after {attempts} in {event.elapsed:.2f} s")
        case EventType.REJECTED:
            _write(logging.WARNING, event, "refused by a policy")
        case EventType.CIRCUIT_OPENED:
            _write(logging.WARNING, event, f"the circuit of {event.origin} has opened")
        case EventType.CIRCUIT_HALF_OPEN:
            _write(logging.INFO, event, f"the circuit of {event.origin} is half-open")
        case EventType.CIRCUIT_CLOSED:
            _write(logging.INFO, event, f"the circuit of {event.origin} has closed")


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
    message = error_line(event.error)
    for named in (f"{event.method}: ", f"{event.method} {event.url}: "):  # the line has it
        message = message.removeprefix(named)
    name = type(event.error).__name__
    return f"{name}: {message}" if message else name
