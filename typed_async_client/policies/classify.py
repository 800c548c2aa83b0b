"""What a failure means for the next attempt.

Pure: it reads a ``Fault``, never an exception. ``facts.py`` turns exceptions into faults.
"""

import enum

__all__ = ["Fault", "Verdict", "classify"]


class Fault(enum.StrEnum):
    """What went wrong with an attempt, whichever library said so."""

    CONNECT = enum.auto()  #: no connection came about; nothing was sent; the next one may work
    UNREACHABLE = enum.auto()  #: no connection can come about: certificate, unknown host, bad port
    TIMEOUT = enum.auto()  #: a time limit passed, at whichever stage
    OTHER = enum.auto()  #: all the rest: the request may have been processed, or was wrong


class Verdict(enum.StrEnum):
    """What the engine makes of one attempt."""

    TRANSIENT = enum.auto()  #: a new attempt may succeed, and nothing was sent by this one
    FATAL = enum.auto()  #: a new attempt would be unsafe, or would end the same way


def classify(fault: Fault) -> Verdict:
    """Say whether a failed attempt may be followed by another.

    Only a connect failure may: no byte of the request has left, so sending it anew can never
    make the server act twice, whatever the method.
    """
    return Verdict.TRANSIENT if fault is Fault.CONNECT else Verdict.FATAL
