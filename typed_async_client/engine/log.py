"""Logs what went wrong: a retry as INFO, a request that gave up as WARNING, one line each."""

import contextlib
import logging

from typed_async_client.events import AsyncEvent, EventType
from typed_async_client.redact import error_line

__all__ = ["log_event"]

_log = logging.getLogger("typed_async_client")


def log_event(event: AsyncEvent) -> None:
    """Log a ``RETRY``, ``ERROR`` or ``TIMEOUT`` event; the others aren't worth a line.

    A failure is logged here once, so it isn't lost if nobody awaits the request's task.
    """
    match event.event_type:
        case EventType.RETRY:
            attempt = f"attempt {event.attempts} of {event.context.max_retries + 1} failed"
            _write(logging.INFO, event, f"{attempt}, retry in {event.data.delay:.2f} s")
        case EventType.ERROR | EventType.TIMEOUT:
            attempts = "1 attempt" if event.attempts == 1 else f"{event.attempts} attempts"
            _write(logging.WARNING, event, f"gave up after {attempts} in {event.elapsed:.2f} s")


def _write(level: int, event: AsyncEvent, what_happened: str) -> None:
    if not _log.isEnabledFor(level):
        return
    with contextlib.suppress(Exception):  # a logging handler may raise, and mustn't fail a request
        _log.log(level, "%s %s: %s (%s)", event.method, event.url, what_happened, _cause(event))


def _cause(event: AsyncEvent) -> str:
    message = error_line(event.error).removeprefix(f"{event.method}: ")  # the line has it
    name = type(event.error).__name__
    return f"{name}: {message}" if message else name
