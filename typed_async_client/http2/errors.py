"""What ends a request over HTTP/2, in the classes of httpcore."""

import httpcore

__all__ = [
    "CANCEL",
    "ENHANCE_YOUR_CALM",
    "FRAME_SIZE_ERROR",
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "REFUSED_STREAM",
    "ConnectionEndedError",
    "ConnectionFullError",
    "UnprocessedError",
    "describe_code",
]

NO_ERROR, PROTOCOL_ERROR, FRAME_SIZE_ERROR = 0, 1, 6
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
"""Error codes of RST_STREAM and GOAWAY, RFC 9113 section 7."""

_NAMES = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)


class ConnectionEndedError(httpcore.ConnectionNotAvailable):
    """The connection was lost, or accepts no further request; nothing was sent."""


class ConnectionFullError(httpcore.ConnectionNotAvailable):
    """The server allows no further stream on the connection; nothing was sent."""


class UnprocessedError(httpcore.RemoteProtocolError):
    """The server has said that it didn't process a request that was sent, RFC 9113 section 8.7.

    Attributes:
        is_body_untouched: whether nothing was taken from the source of the body, so that the
            request may be sent elsewhere even if it can't be read twice.
        is_graceful: whether the server was shutting down in good order, and not because of an error.
    """

    is_body_untouched: bool = False
    is_graceful: bool = False


def describe_code(code: int) -> str:
    """Return an error code with its name, such as ``"2 (INTERNAL_ERROR)"``."""
    return f"{code} ({_NAMES[code]})" if code < len(_NAMES) else str(code)
