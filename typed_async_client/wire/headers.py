"""Reads the headers that frame a body, for requests and responses alike."""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["BodyFraming", "body_framing"]


class BodyFraming(NamedTuple):
    """The headers that define where a body ends, RFC 9112 section 6.

    Attributes:
        lengths: values of ``Content-Length``, as sent.
        codings: values of ``Transfer-Encoding``, in lower case.
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
            codings.append(value.lower())
    return BodyFraming(lengths, codings)
