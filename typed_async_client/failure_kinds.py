"""What kind of failure an error is, for callers who branch on it instead of on classes of errors."""

import enum
from typing import Final

from typed_async_client.errors import (
    BudgetExhaustedError,
    CircuitOpenError,
    DeadlineExceededError,
    RejectedError,
    RetryAfterTooLongError,
)
from typed_async_client.facts import fault_of, is_kind
from typed_async_client.policies.classify import Fault

__all__ = ["FailureKind", "kind_of_error"]


class FailureKind(enum.StrEnum):
    """Why a request failed. Later kinds are added, none is renamed."""

    STATUS = enum.auto()  #: a status of 400 or above, where that is an error
    TIMEOUT = enum.auto()  #: a connection, a write or a read took too long, or the attempt did
    CONNECT = enum.auto()  #: no connection could be established
    CIRCUIT_OPEN = enum.auto()  #: refused: most recent requests to the host failed
    REJECTED = enum.auto()  #: refused by another policy: a bulkhead, a rate limit
    BUDGET = enum.auto()  #: the attempt failed, and the retry budget is exhausted
    RETRY_AFTER = enum.auto()  #: the server asked for a longer wait than is allowed
    DEADLINE = enum.auto()  #: the deadline of the request has passed
    DECODE = enum.auto()  #: the body can't be decoded, as text or as ``response_model``
    CANCELLED = enum.auto()  #: the request was cancelled, as when its client is closed
    OTHER = enum.auto()  #: anything else, such as a connection that was lost


_BY_CLASS: Final[tuple[tuple[type[Exception], FailureKind], ...]] = (
    (CircuitOpenError, FailureKind.CIRCUIT_OPEN),
    (RejectedError, FailureKind.REJECTED),
    (BudgetExhaustedError, FailureKind.BUDGET),
    (RetryAfterTooLongError, FailureKind.RETRY_AFTER),
    (DeadlineExceededError, FailureKind.DEADLINE),
)

_BY_NAME: Final = {
    "HTTPStatusError": FailureKind.STATUS,
    "DecodingError": FailureKind.DECODE,
}

_BY_FAULT: Final = {
    Fault.CONNECT: FailureKind.CONNECT,
    Fault.TIMEOUT: FailureKind.TIMEOUT,
    Fault.UNREACHABLE: FailureKind.CONNECT,
}


def kind_of_error(error: BaseException) -> FailureKind:
    """Return what kind of failure an error is.

    Example:
        >>> kind_of_error(httpx.ReadTimeout("no response within 5 s"))
        <FailureKind.TIMEOUT: 'timeout'>
    """
    if not isinstance(error, Exception):
        return FailureKind.CANCELLED
    for kind, meaning in _BY_CLASS:
        if isinstance(error, kind):
            return meaning
    for name, meaning in _BY_NAME.items():
        if is_kind(error, name):
            return meaning
    return _BY_FAULT.get(fault_of(error), FailureKind.OTHER)
