"""What one attempt shows about the server, for circuits and adaptive limits.

Pure: it reads ``Facts``. Whether to retry is another question, which ``retry.py`` answers: a 404 is
final and shows a healthy server, a refused POST is final and doesn't.
"""

import enum
from typing import Final

from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent

__all__ = ["Health", "health_of"]

_THROTTLED: Final = 429
_OVERLOADED: Final = frozenset({503, 504, 529})  # 529 is what some APIs answer when overloaded
_SERVER_ERROR: Final = 500


class Health(enum.StrEnum):
    """What an attempt shows about the server."""

    OK = enum.auto()  #: it answered, perhaps with an error that is the client's
    THROTTLED = enum.auto()  #: it works, and asks this client to send less
    OVERLOADED = enum.auto()  #: it failed because of too much work, or took too long
    FAILING = enum.auto()  #: it failed, which says nothing about its load
    UNKNOWN = enum.auto()  #: nothing: the client's own trouble, a cancellation, an invalid request

    is_failure: bool  # set below, once, like the next
    """Whether a circuit counts it as a failure."""

    is_overload: bool
    """Whether an adaptive limit must shrink."""


for _kind in Health:
    _kind.is_failure = _kind in {Health.FAILING, Health.OVERLOADED}
    _kind.is_overload = _kind in {Health.THROTTLED, Health.OVERLOADED}


_OF_FAULTS: Final = {
    Fault.CONNECT: Health.FAILING,
    Fault.CONNECT_LATER: Health.UNKNOWN,  # the server answered, and led to another
    Fault.UNREACHABLE: Health.FAILING,
    Fault.TIMEOUT: Health.OVERLOADED,
    Fault.LOST: Health.FAILING,
    Fault.OTHER: Health.UNKNOWN,
}


_OK: Final = Health.OK  # looking a member up takes longer than the rest


def health_of(facts: Facts) -> Health:
    """Return what an attempt shows about the server.

    Local trouble (a full pool, a refusal by a policy, a cancellation, the request's own deadline)
    is never held against the server, nor is an HTTP/2 connection that it closes in good order.
    """
    if facts.local:
        return Health.UNKNOWN
    if facts.fault is not None:
        is_refused = facts.sent is Sent.UNPROCESSED
        return Health.UNKNOWN if is_refused else _OF_FAULTS[facts.fault]
    if facts.status is None or facts.status < _SERVER_ERROR:
        return Health.THROTTLED if facts.status == _THROTTLED else _OK
    return Health.OVERLOADED if facts.status in _OVERLOADED else Health.FAILING
