"""The frozen events that tell the life of a request.

An event is a value: it knows what happened, not who listens.
"""

import dataclasses
import enum
import time
from typing import Any, Self

from typed_async_client.context import RequestContext, copy_metadata
from typed_async_client.copies import copy_value

__all__ = ["AsyncEvent", "EventType", "RetryDetails"]


class EventType(enum.StrEnum):
    """What an event tells. All but ``RETRY`` are terminal: nothing follows them."""

    SUCCESS = enum.auto()  #: a response arrived, whatever its status code
    RETRY = enum.auto()  #: an attempt failed; another follows after a delay
    ERROR = enum.auto()  #: the request failed for good
    TIMEOUT = enum.auto()  #: the request failed for good: a time limit passed
    CANCELLED = enum.auto()  #: the request's task was cancelled

    @classmethod
    def _missing_(cls, value: object) -> "EventType | None":
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None

    @property
    def is_terminal(self) -> bool:
        """Whether it is the last event of its request."""
        return self is not EventType.RETRY


@dataclasses.dataclass(frozen=True, slots=True)
class RetryDetails:
    """The ``data`` of a ``RETRY`` event: what follows the failed attempt.

    Attributes:
        attempt: number of the attempt that failed, 1 for the first.
        delay: seconds until the next attempt.
        source: who chose the delay; ``"backoff"`` is the context's own formula.
        cause: the error that the attempt failed with.
    """

    attempt: int
    delay: float
    source: str
    cause: Exception


@dataclasses.dataclass(frozen=True, slots=True)
class AsyncEvent:
    """One step in the life of a request. Its holder may change what it carries, unseen by others.

    Args:
        event_type: what happened.
        context: the request's context at that moment; the event keeps a clone.
        timestamp: wall-clock stamp, seconds since the epoch.
        data: the response of a ``SUCCESS``, the ``RetryDetails`` of a ``RETRY``, else None.
        error: what the request, or this attempt of it, failed with.
        metadata: anything more, copied deeply.
        seq: position among the events of its request: 0, 1, 2, ...
        attempts: attempts made so far, the running one included.
        elapsed: seconds since the request's task began, on the event loop's clock.

    Raises:
        ValueError: ``event_type`` is none of ``EventType``.
    """

    event_type: EventType
    context: RequestContext
    timestamp: float = dataclasses.field(default_factory=time.time)
    data: Any = dataclasses.field(default=None, hash=False)
    error: BaseException | None = None
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    seq: int = 0
    attempts: int = 0
    elapsed: float = 0.0
    _born: float = dataclasses.field(
        default_factory=time.monotonic, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        put = object.__setattr__
        if type(self.event_type) is not EventType:
            put(self, "event_type", EventType(self.event_type))
        put(self, "context", self.context.clone())
        put(self, "metadata", copy_metadata(self.metadata))

    @classmethod
    def adopt(  # noqa: PLR0917 - made for one caller, on the path of each request
        cls,
        event_type: EventType,
        context: RequestContext,
        data: Any,
        error: BaseException | None,
        seq: int,
        attempts: int,
        elapsed: float,
    ) -> Self:
        """Make an event that takes over ``context`` from a maker who shares it with nobody.

        The engine's own way, on the path of each request: it checks and copies nothing.
        """
        event = object.__new__(cls)
        put = object.__setattr__
        put(event, "event_type", event_type)
        put(event, "context", context)
        put(event, "timestamp", time.time())
        put(event, "data", data)
        put(event, "error", error)
        put(event, "metadata", {})
        put(event, "seq", seq)
        put(event, "attempts", attempts)
        put(event, "elapsed", elapsed)
        put(event, "_born", time.monotonic())
        return event

    def clone(self) -> Self:
        """Give an equal event that shares nothing mutable with this one.

        A response is copied with its headers and its request. An exception is shared: it is the
        one that the caller gets.
        """
        data = self.data if isinstance(self.data, RetryDetails) else copy_value(self.data)
        twin = dataclasses.replace(self, data=data)
        object.__setattr__(twin, "_born", self._born)
        return twin

    @property
    def age(self) -> float:
        """Seconds since the event was made, on the monotonic clock."""
        return time.monotonic() - self._born
