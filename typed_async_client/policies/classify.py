"""What a failure means for the next attempt.

Pure: it reads a ``Fault``, never an exception. ``facts.py`` turns exceptions into faults.
"""

import enum
from collections.abc import Iterable
from typing import Final

__all__ = ["IDEMPOTENT", "Fault", "has_idempotency_key", "is_idempotent"]


class Fault(enum.StrEnum):
    """What went wrong with an attempt, whichever library reported it."""

    CONNECT = enum.auto()  #: the connection couldn't be established; nothing was sent
    CONNECT_LATER = enum.auto()  #: the same, after an earlier hop of the attempt was sent
    UNREACHABLE = enum.auto()  #: no connection is possible: certificate, unknown host, bad port
    TIMEOUT = enum.auto()  #: a timeout expired, in whichever phase
    LOST = enum.auto()  #: the connection was lost, or the response was cut short or malformed
    OTHER = enum.auto()  #: anything else: the request may have been processed, or was invalid


IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods that may be sent twice, RFC 9110 section 9.2.2; QUERY by its own definition."""

_KEY = b"idempotency-key"


def has_idempotency_key(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether raw headers carry an ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header)."""
    return any(name.lower() == _KEY for name, _ in headers)


def is_idempotent(method: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> bool:
    """Whether a request may be sent twice, by its method or by its idempotency key.

    Args:
        method: the method, in upper case.
        headers: raw names and values.
    """
    return method in IDEMPOTENT or has_idempotency_key(headers)
