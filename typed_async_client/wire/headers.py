"""Reads the headers that frame a body or close the connection, of requests and responses alike."""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = [
    "WITHOUT_BODY",
    "BodyFraming",
    "body_framing",
    "has_close",
    "has_keep_alive",
    "with_close",
]


WITHOUT_BODY = (204, 304)
"""The statuses of responses that have no body, whatever their headers say, RFC 9112 section 6.3."""

_LENGTH_SIZE, _CODING_SIZE = len(b"content-length"), len(b"transfer-encoding")


class BodyFraming(NamedTuple):
    """The headers that define where a body ends, RFC 9112 section 6.

    Attributes:
        lengths: values of ``Content-Length``, as sent.
        codings: values of ``Transfer-Encoding``, in lower case, without the blanks around them.
    """

    lengths: list[bytes]
    codings: list[bytes]


def body_framing(headers: Iterable[tuple[bytes, bytes]]) -> BodyFraming:
    """Extract the framing headers from raw headers."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for name, value in headers:
        size = len(name)  # looked at first, for every message
        if size == _LENGTH_SIZE and name.lower() == b"content-length":
            lengths.append(value)
        elif size == _CODING_SIZE and name.lower() == b"transfer-encoding":
            codings.append(value.strip(b" \t").lower())
    return BodyFraming(lengths, codings)


def has_close(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers have ``Connection: close``, alone or in a list, RFC 9112 section 9.6."""
    return any(
        value != b"keep-alive"
        and name.lower() == b"connection"
        and b"close" in [token.strip(b" \t") for token in value.lower().split(b",")]
        for name, value in headers
        if len(name) == len(b"connection")
    )


def has_keep_alive(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers have ``Connection: keep-alive``, which HTTP/1.0 needs to keep it open."""
    return any(
        name.lower() == b"connection"
        and b"keep-alive" in [token.strip(b" \t") for token in value.lower().split(b",")]
        for name, value in headers
    )


def with_close(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers with ``Connection: close``; those of an upgrade are returned unchanged.

    A connection that was switched to another protocol ends with that, RFC 9110 section 7.8.
    """
    values = [value for name, value in headers if name.lower() == b"connection"]
    options = [option.strip(b" \t") for option in b",".join(values).split(b",")]
    lowered = {option.lower() for option in options}
    if lowered & {b"close", b"upgrade"}:
        return headers
    kept = [option for option in options if option and option.lower() != b"keep-alive"]
    others = [field for field in headers if field[0].lower() != b"connection"]
    return [*others, (b"Connection", b", ".join([*kept, b"close"]))]
