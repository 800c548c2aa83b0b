"""The command ``get``: one request through the public client, its body to stdout.

It owns the two streams: stdout takes the body and nothing else, stderr all that is told about
it. What an end means is decided in ``exits.py``.
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
from typed_async_client.cli.exits import Ending, Exit, complaint, describe, exit_code
from typed_async_client.cli.order import Order
from typed_async_client.cli.redact import one_line

__all__ = ["fetch", "narrate", "run_get", "say"]


def run_get(order: Order, *, verbose: bool, check_status: bool) -> Exit:
    """Make the request, write its body to stdout, and give the exit code.

    Args:
        order: the request.
        verbose: whether each event is told on stderr.
        check_status: whether a response of 300 and above counts as a failure.

    Raises:
        KeyboardInterrupt: SIGINT came; the request was cancelled and the client closed.
    """
    tell = _tell if verbose else None
    ending = asyncio.run(fetch(order, tell))
    code = exit_code(ending, check_status=check_status)
    if isinstance(ending, httpx.Response) and not _write(ending.content):
        return Exit.UNEXPECTED
    trouble = complaint(ending, code)
    if trouble is not None:
        say(trouble)
    return code


async def fetch(order: Order, tell: Callable[[str], None] | None = None) -> Ending:
    """Make one request; give its response, or the error that it ended with.

    Args:
        order: the request.
        tell: takes one line for the request and one for each event, as they happen.
    """
    try:
        async with create_async_resilient_client(
            timeout=order.timeout, max_retries=order.retries, follow_redirects=order.follow
        ) as client:
            if tell is not None:
                tell(one_line(f"request: GET {order.url}"))
                for kind in EventType:
                    client.add_event_callback(kind, lambda event: tell(narrate(event)))
            task = await client.get(order.url, headers=order.headers)
            return await task
    except Exception as error:  # noqa: BLE001 - whatever it is, the user is told it in one line
        return error


def narrate(event: AsyncEvent) -> str:
    """Tell an event in one line; delays and durations in seconds."""
    if isinstance(event.data, RetryDetails):
        failed = event.data
        return (
            f"retry: attempt {failed.attempt} failed with {describe(failed.cause)}, "
            f"next attempt in {failed.delay:.2f} s"
        )
    attempts = f"{event.attempts} attempt{'' if event.attempts == 1 else 's'}"
    return f"end: {event.event_type}{_how(event)} after {attempts} in {event.elapsed:.2f} s"


def _how(event: AsyncEvent) -> str:
    if isinstance(event.data, httpx.Response):
        return f", status {event.data.status_code},"
    return f" with {describe(event.error)}" if event.error is not None else ""


def say(trouble: str) -> None:
    """Print one line on stderr in the name of the command."""
    _tell(f"typed-async-client: {trouble}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - it is a command


def _write(body: bytes) -> bool:
    """Write the body to stdout, and tell whether whoever reads got all that they wanted."""
    try:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # ``get ... | head``: whoever reads has had enough, which is no failure of the request.
        # Not 141, the code of SIGPIPE: under ``set -o pipefail`` it would make one of it.
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        say(f"the body could not be written to stdout ({error.strerror}): check where it goes")
        return False
    return True


def _drop_stdout() -> None:
    """Let go of what stays in the buffer: it would raise once more when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
