"""Creates the results that a client keeps, from the terminal events of its requests."""

import operator
from typing import Any, cast

from typed_async_client.drafts import draft_class
from typed_async_client.events import AsyncEvent
from typed_async_client.lazy_fields import Packed, PackedError
from typed_async_client.results import (
    STATUSES,
    FailureResult,
    RequestResult,
    ResultBase,
    SuccessResult,
    ValueResult,
    class_of,
)

__all__ = ["result_of", "result_with_value", "without_response"]

_DRAFTS: dict[type[ResultBase], Any] = {
    kind: draft_class(kind) for kind in (SuccessResult, FailureResult)
}

_CLASSES = {
    event: (status, class_of(status), _DRAFTS[class_of(status)])
    for event, status in STATUSES.items()
}


_FIGURES = (
    "request_id",
    "status",
    "attempts",
    "total_time",
    "created_at",
    "method",
    "resends",
    "_asked",
    "_created",
    "_attempts",
)
"""What a result keeps without its response; copying the result would unpack the response."""


_packed_of = operator.attrgetter("_packed")

_packed_error_of = operator.attrgetter("_packed_error")


def without_response(result: RequestResult) -> RequestResult:
    """Return a result, made by ``result_of``, that differs only in that its response was dropped.

    The response of a failure is the one that its error refers to.
    """
    kind = type(result)
    evicted: Any = object.__new__(_DRAFTS[kind])
    for name in _FIGURES:
        setattr(evicted, name, getattr(result, name))
    evicted.response = None
    evicted.response_evicted = True
    if kind is SuccessResult:
        evicted.error = None
        evicted.status_code = _packed_of(result).status_code
    else:
        evicted._packed_error = _packed_error_of(result).without_responses()
        evicted.status_code = None
    evicted.__class__ = kind
    return cast("RequestResult", evicted)


def result_of(
    event: AsyncEvent, packed: Packed | None = None, packed_error: PackedError | None = None
) -> RequestResult:
    """Create the result from the terminal event of a request.

    Args:
        event: the terminal event.
        packed: the packed response, to keep instead of the event's.
        packed_error: the packed error, likewise.
    """
    status, kind, draft = _CLASSES[event.event_type]
    result: Any = object.__new__(draft)
    result.request_id = event.context.request_id
    result.status = status
    if packed is None:
        result.response = event.data
    else:
        result._packed = packed
    if packed_error is None:
        result.error = event.error
    else:
        result._packed_error = packed_error
    result.attempts = event.attempts
    result.total_time = event.elapsed
    result.created_at = event.timestamp
    result.method = event.request.method
    result._asked = event.request.compact
    history = event.history
    result._attempts = history[0] if len(history) == 1 else history
    if event.resends:
        result.resends = event.resends
    result._created = event._created
    result.__class__ = kind
    finished: RequestResult = result
    return finished


_ValueDraft = draft_class(ValueResult)


def result_with_value(event: AsyncEvent, value: Any) -> RequestResult[Any]:
    """Create the result of a request whose body was decoded.

    Args:
        event: the terminal event, of a success.
        value: what the body was decoded as.
    """
    kept = result_of(event)
    result: Any = object.__new__(_ValueDraft)
    for name in (*_FIGURES, "response", "error"):
        setattr(result, name, getattr(kept, name))
    result.value = value
    result.__class__ = ValueResult
    valued: RequestResult[Any] = result
    return valued
