"""What a failure means for the next attempt.

Pure: it reads a ``Fault``, never an exception. ``facts.py`` turns exceptions into faults.
"""

import enum
from typing import Final

__all__ = ["IDEMPOTENT", "Fault", "Verdict", "classify"]


class Fault(enum.StrEnum):
    """What went wrong with an attempt, whichever library said so."""

    CONNECT = enum.auto()  #: no connection came about; nothing was sent; the next one may work
    CONNECT_LATER = enum.auto()  #: the same, after an earlier hop of the attempt was sent
    UNREACHABLE = enum.auto()  #: no connection can come about: certificate, unknown host, bad port
    TIMEOUT = enum.auto()  #: a time limit passed, at whichever stage
    OTHER = enum.auto()  #: all the rest: the request may have been processed, or was wrong


class Verdict(enum.StrEnum):
    """What the engine makes of one attempt."""

    TRANSIENT = enum.auto()  #: a new attempt may succeed, and nothing was sent by this one
    FATAL = enum.auto()  #: a new attempt would be unsafe, or would end the same way


IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods that may be sent twice, RFC 9110 section 9.2.2; QUERY by its own definition."""


def classify(fault: Fault, *, method: str) -> Verdict:
    """Say whether a failed attempt may be followed by another.

    Only a connect failure may: no byte of the request has left, so sending it anew can never
    make the server act twice, whatever the method. When an earlier hop was sent, a redirect or
    a challenge, the whole attempt may be made anew only if its method is idempotent.

    Args:
        fault: what went wrong.
        method: the request's method, in upper case.
    """
    if fault is Fault.CONNECT or (fault is Fault.CONNECT_LATER and method in IDEMPOTENT):
        return Verdict.TRANSIENT
    return Verdict.FATAL
