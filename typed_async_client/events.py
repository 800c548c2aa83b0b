"""The frozen events that report the progress of a request.

An event is a value: it says what happened and knows nothing about its callbacks.
"""

import dataclasses
import enum
import time
from typing import Any, Self

from typed_async_client.context import RequestContext, copy_metadata
from typed_async_client.copies import copy_value

__all__ = ["AsyncEvent", "EventType", "RetryDetails"]


class EventType(enum.StrEnum):
    """What an event reports. All but ``RETRY`` are terminal: each is the last of its request."""

    SUCCESS = enum.auto()  #: a response was received, whatever its status code
    RETRY = enum.auto()  #: an attempt failed; another follows after a delay
    ERROR = enum.auto()  #: the request failed and won't be retried
    TIMEOUT = enum.auto()  #: the same, because a timeout expired
    CANCELLED = enum.auto()  #: the request's task was cancelled

    @classmethod
    def _missing_(cls, value: object) -> "EventType | None":
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None

    @property
    def is_terminal(self) -> bool:
        """Whether this is the last event of its request."""
        return self is not EventType.RETRY


@dataclasses.dataclass(frozen=True, slots=True)
class RetryDetails:
    """The ``data`` of a ``RETRY`` event: what follows the failed attempt.

    Attributes:
        attempt: number of the attempt that failed, 1 for the first.
        delay: seconds until the next attempt.
        source: what determined the delay; ``"backoff"`` is the context's formula.
        cause: the error that made the attempt fail.
    """

    attempt: int
    delay: float
    source: str
    cause: Exception


@dataclasses.dataclass(frozen=True, slots=True)
class AsyncEvent:
    """Something that happened to a request.

    Each callback gets its own copy and can change what the event carries without affecting others.

    Args:
        event_type: what happened.
        context: the request's context at that moment; the event keeps a clone.
        timestamp: wall-clock stamp, seconds since the epoch.
        data: the response of a ``SUCCESS``, the ``RetryDetails`` of a ``RETRY``, else None.
        error: the error of the request or, for a ``RETRY``, of the failed attempt.
        metadata: any further data; deep-copied.
        seq: position among the events of its request: 0, 1, 2, ...
        attempts: attempts made so far, including a running one.
        elapsed: seconds since the request's task started, on the event loop's clock.

    Raises:
        ValueError: ``event_type`` isn't an ``EventType``.
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
    _created: float = dataclasses.field(
        default_factory=time.monotonic, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        if type(self.event_type) is not EventType:
            set_field(self, "event_type", EventType(self.event_type))
        set_field(self, "context", self.context.clone())
        set_field(self, "metadata", copy_metadata(self.metadata))

    @classmethod
    def adopt(  # noqa: PLR0917 - positional for speed: called for every request
        cls,
        event_type: EventType,
        context: RequestContext,
        data: Any,
        error: BaseException | None,
        seq: int,
        attempts: int,
        elapsed: float,
    ) -> Self:
        """Create an event that takes ownership of ``context``; internal to the engine.

        It validates and copies nothing, because it is called for every request.
        """
        event = object.__new__(cls)
        set_field = object.__setattr__
        set_field(event, "event_type", event_type)
        set_field(event, "context", context)
        set_field(event, "timestamp", time.time())
        set_field(event, "data", data)
        set_field(event, "error", error)
        set_field(event, "metadata", {})
        set_field(event, "seq", seq)
        set_field(event, "attempts", attempts)
        set_field(event, "elapsed", elapsed)
        set_field(event, "_created", time.monotonic())
        return event

    def clone(self) -> Self:
        """Return an equal event that shares no mutable state with this one.

        A response is copied with its headers and its request. An exception isn't copied: it is the
        one that the caller gets.
        """
        data = self.data if isinstance(self.data, RetryDetails) else copy_value(self.data)
        clone = dataclasses.replace(self, data=data)
        object.__setattr__(clone, "_created", self._created)
        return clone

    @property
    def age(self) -> float:
        """Seconds since the event was created, on the monotonic clock."""
        return time.monotonic() - self._created
