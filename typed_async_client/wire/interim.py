"""Interim responses (1xx): how many are accepted, and how long a body waits for 100 (Continue).

Nothing is sent or read here.
"""

import asyncio
from collections.abc import Awaitable, Callable

import httpcore

__all__ = ["MAX_INTERIM", "expects_continue", "wait_for_continue"]

MAX_INTERIM = 20
"""Most interim (1xx) responses before the final one."""

_CONTINUE_TIMEOUT = 1.0
"""Seconds to wait, RFC 9110 section 10.1.1. The RFC requires a limit but sets none; curl's default is 1 s too."""


def expects_continue(request: httpcore.Request) -> bool:
    """Whether a request has the header ``Expect: 100-continue``, alone or in a list."""
    values = [value.lower() for name, value in request.headers if name.lower() == b"expect"]
    return any(token.strip(b" \t") == b"100-continue" for token in b",".join(values).split(b","))


async def wait_for_continue(
    receive: Callable[[float], Awaitable[bool]], timeout: float | None
) -> None:
    """Read until the server asks for the body, responds without it, or takes too long.

    Other interim responses, such as early hints, are read and ignored.

    Args:
        receive: reads once, with a timeout in seconds; returns whether the wait is over.
        timeout: the request's read timeout in seconds; None is no limit.

    Raises:
        httpcore.ReadError: the connection was lost.
        httpcore.RemoteProtocolError: the server sent something that isn't a valid response.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + (_CONTINUE_TIMEOUT if timeout is None else min(timeout, _CONTINUE_TIMEOUT))
    is_over = False
    while not is_over:
        try:
            is_over = await receive(max(deadline - now(), 0.0))
        except httpcore.ReadTimeout:
            return
