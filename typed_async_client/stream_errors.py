"""The errors of ``client.lines()`` and ``client.sse()``.

``errors.py`` shows them within the tree of all errors.
"""

from typing import Any, Self

import httpx

from typed_async_client.forks import class_for

__all__ = [
    "EventStreamEndedError",
    "EventTooLargeError",
    "LineTooLongError",
    "NotEventStreamError",
]


class _OfStreams(httpx.RequestError):
    """What these errors have in common; with an httpx2 client they are errors of httpx2 too.

    Args:
        message: what happened.
        request: the request that was answered, an httpx or an httpx2 request.
    """

    _fork_name = "RequestError"

    def __new__(cls, message: str = "", *, request: Any = None) -> Self:
        """Create the error, which is httpx2's too if the request is an httpx2 request."""
        created: Self = super().__new__(class_for(cls, request), message)
        return created


class LineTooLongError(_OfStreams, httpx.DecodingError):
    """A line has more bytes than ``max_line_bytes``; the lines before it were returned."""

    _fork_name = "DecodingError"


class EventTooLargeError(_OfStreams, httpx.DecodingError):
    """An event has more bytes than ``max_event_bytes``; the events before it were returned."""

    _fork_name = "DecodingError"


class NotEventStreamError(_OfStreams, httpx.DecodingError):
    """The server answered with something else than ``text/event-stream``, or with a redirect."""

    _fork_name = "DecodingError"


class EventStreamEndedError(_OfStreams, httpx.RemoteProtocolError):
    """The server ends its event stream without an event, each time that the client connects."""

    _fork_name = "RemoteProtocolError"
