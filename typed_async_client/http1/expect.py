"""``Expect: 100-continue``: wait for the server to ask for the body, RFC 9110 section 10.1.1.

It decides how long to wait, and reads what the server sends meanwhile. It sends nothing itself.
"""

import asyncio
from typing import Any

import httpcore

from typed_async_client.http1.parser import ResponseParser

__all__ = ["expects_continue", "wait_for_continue"]

_CONTINUE_TIMEOUT = 1.0
"""Seconds to wait. The RFC requires a limit but sets none; curl's default is 1 s too."""

_READ_SIZE = 64 * 1024


def expects_continue(request: httpcore.Request) -> bool:
    """Whether a request has the header ``Expect: 100-continue``, alone or in a list."""
    values = [value.lower() for name, value in request.headers if name.lower() == b"expect"]
    return any(token.strip(b" \t") == b"100-continue" for token in b",".join(values).split(b","))


async def wait_for_continue(stream: Any, parser: ResponseParser, timeout: float | None) -> None:
    """Read until the server asks for the body, responds without it, or takes too long.

    Other interim responses, such as early hints, are read and ignored.

    Args:
        stream: the network stream.
        parser: reads the response. If it has a head afterwards, the body must not be sent.
        timeout: the request's read timeout in seconds; None is no limit.

    Raises:
        httpcore.ReadError: the connection was lost.
        httpcore.RemoteProtocolError: the server sent something that isn't a valid response.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + (_CONTINUE_TIMEOUT if timeout is None else min(timeout, _CONTINUE_TIMEOUT))
    while not (parser.got_continue or parser.has_head):
        try:
            data = await stream.read(_READ_SIZE, max(deadline - now(), 0.0))
        except httpcore.ReadTimeout:
            return
        parser.take(data)
