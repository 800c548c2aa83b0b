"""``Expect: 100-continue``: a body that waits for the server to ask for it, RFC 9110 section 10.1.1.

It decides how long, and reads what the server says meanwhile. It sends nothing itself.
"""

import asyncio
from typing import Any

import httpcore

from typed_async_client.http1.parser import ResponseParser

__all__ = ["asks_first", "wait_for_leave"]

_PATIENCE = 1.0
"""Seconds to wait: the RFC wants a bound and names none, and this is curl's (``--expect100-timeout``)."""

_READ_SIZE = 64 * 1024


def asks_first(request: httpcore.Request) -> bool:
    """Say whether a request with a body wants to be asked for it."""
    return any(
        name.lower() == b"expect" and value.lower() == b"100-continue"
        for name, value in request.headers
    )


async def wait_for_leave(stream: Any, reading: ResponseParser, patience: float | None) -> None:
    """Read until the server asks for the body or answers without it, or patience ends.

    What else may come first, such as early hints, is read and passed over.

    Args:
        stream: the connection.
        reading: the response as far as it has come; ``has_head`` says that no body is wanted.
        patience: seconds that a read may take by itself; None is no limit.

    Raises:
        httpcore.ReadError: the connection was lost.
        httpcore.RemoteProtocolError: what came is no response.
    """
    now = asyncio.get_running_loop().time
    until = now() + (_PATIENCE if patience is None else min(patience, _PATIENCE))
    while not (reading.may_continue or reading.has_head):
        try:
            data = await stream.read(_READ_SIZE, max(until - now(), 0.0))
        except httpcore.ReadTimeout:
            return
        reading.take(data)
