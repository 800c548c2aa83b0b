"""The command ``get``: one request through the public client, with its body written to stdout.

Only the body goes to stdout; messages go to stderr. ``exits.py`` maps the result to an exit code.
"""

import asyncio
import os
import sys
from collections.abc import Callable

import httpx

from typed_async_client import (
    AsyncEvent,
    EventType,
    RetryDetails,
    create_async_resilient_client,
)
from typed_async_client.cli.exits import Exit, Result, describe, exit_code, failure_message
from typed_async_client.cli.options import GetOptions
from typed_async_client.redact import one_line

__all__ = ["describe_event", "fetch", "print_error", "run_get"]


def run_get(options: GetOptions, *, verbose: bool, check_status: bool) -> Exit:
    """Make the request, write its body to stdout, and return the exit code.

    Args:
        options: what to request, and how.
        verbose: whether to log each event to stderr.
        check_status: whether a response of 300 and above counts as a failure.

    Raises:
        KeyboardInterrupt: SIGINT was received; the request was cancelled and the client closed.
    """
    log = _print_to_stderr if verbose else None
    result = asyncio.run(fetch(options, log))
    code = exit_code(result, check_status=check_status)
    if isinstance(result, httpx.Response) and not _write(result.content):
        return Exit.UNEXPECTED
    message = failure_message(result, code)
    if message is not None:
        print_error(message)
    return code


async def fetch(options: GetOptions, log: Callable[[str], None] | None = None) -> Result:
    """Make one request; return its response, or the error that it ended with.

    Args:
        options: what to request, and how.
        log: called with a line for the request and a line for each event, as they happen.
    """
    try:
        async with create_async_resilient_client(
            timeout=options.timeout, max_retries=options.retries, follow_redirects=options.follow
        ) as client:
            if log is not None:
                log(one_line(f"request: GET {options.url}"))
                for kind in EventType:
                    client.add_event_callback(kind, lambda event: log(describe_event(event)))
            task = await client.get(options.url, headers=options.headers)
            return await task
    except Exception as error:  # noqa: BLE001 - any error is reported in one line
        return error


def describe_event(event: AsyncEvent) -> str:
    """Return one line for an event, with delays and durations in seconds."""
    if isinstance(event.data, RetryDetails):
        details = event.data
        return (
            f"retry: attempt {details.attempt} failed with {_cause_of(details)}, "
            f"next attempt in {details.delay:.2f} s"
        )
    attempts = f"{event.attempts} attempt{'' if event.attempts == 1 else 's'}"
    return f"end: {event.event_type}{_result_of(event)} after {attempts} in {event.elapsed:.2f} s"


def _cause_of(details: RetryDetails) -> str:
    return f"status {details.status}" if details.cause is None else describe(details.cause)


def _result_of(event: AsyncEvent) -> str:
    if isinstance(event.data, httpx.Response):
        return f", status {event.data.status_code},"
    return f" with {describe(event.error)}" if event.error is not None else ""


def print_error(message: str) -> None:
    """Print one line to stderr, prefixed with the name of the command."""
    _print_to_stderr(f"typed-async-client: {message}")


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command prints


def _write(body: bytes) -> bool:
    """Write the body to stdout; return False if that failed, unless the reader stopped reading."""
    try:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # ``get ... | head``: the reader has seen enough, so the request hasn't failed. The exit
        # code isn't 141, that of SIGPIPE, as ``set -o pipefail`` would treat it as a failure.
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        print_error(f"the body could not be written to stdout ({error.strerror})")
        return False
    return True


def _drop_stdout() -> None:
    """Discard buffered output: flushing it at exit would raise again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
