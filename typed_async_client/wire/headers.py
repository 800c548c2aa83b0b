"""Reads the headers that frame a body or close the connection, of requests and responses alike."""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["BodyFraming", "body_framing", "has_close"]


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
        lowered = name.lower()
        if lowered == b"content-length":
            lengths.append(value)
        elif lowered == b"transfer-encoding":
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
