"""The frozen events that report the progress of a request.

An event is a value: it says what happened and knows nothing about its callbacks.
"""

import dataclasses
import enum
import time
from typing import Any, Generic, Self

from typed_async_client.attempts import AttemptRecord
from typed_async_client.context import RequestContext, copy_metadata
from typed_async_client.copies import copy_value
from typed_async_client.drafts import draft_class
from typed_async_client.policies.transitions import CircuitState, Transition
from typed_async_client.record import RequestRecord
from typed_async_client.redact import redacted_repr
from typed_async_client.typevars import DataT_co

__all__ = [
    "CIRCUIT_EVENTS",
    "AsyncEvent",
    "EventType",
    "HedgeDetails",
    "RetryDetails",
    "ThrottleDetails",
]


class EventType(enum.StrEnum):
    """What an event reports. Each request ends with exactly one event of a terminal type."""

    SUCCESS = enum.auto()  #: terminal: a response was received with its body, whatever its status
    RETRY = enum.auto()  #: an attempt failed; another follows after a delay
    ERROR = enum.auto()  #: terminal: the request failed and won't be retried
    TIMEOUT = enum.auto()  #: terminal: the same, because a timeout or the deadline expired
    CANCELLED = enum.auto()  #: terminal: the request's task was cancelled
    REJECTED = enum.auto()  #: terminal: a policy refused the request before its attempt was sent
    STARTED = enum.auto()  #: an attempt is sent; published only while somebody listens
    HEDGED = enum.auto()  #: the attempt is slow, and a copy of it is sent
    THROTTLED = enum.auto()  #: the request waits for its host, or for its turn under a rate limit
    CIRCUIT_OPENED = enum.auto()  #: most requests to a host failed; none is sent for a while
    CIRCUIT_HALF_OPEN = enum.auto()  #: probes are sent to find out whether a host has recovered
    CIRCUIT_CLOSED = enum.auto()  #: a host has recovered, and requests are sent to it again

    @classmethod
    def _missing_(cls, value: object) -> "EventType":
        found = cls.__members__.get(value.upper()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"there is no event type {value!r}: the types are {', '.join(cls)}")
        return found

    is_terminal: bool  # set below, once: it is read several times per request
    """Whether this is the last event of its request."""


for _kind in EventType:
    _kind.is_terminal = _kind in {
        EventType.SUCCESS,
        EventType.ERROR,
        EventType.TIMEOUT,
        EventType.CANCELLED,
        EventType.REJECTED,
    }


CIRCUIT_EVENTS = {
    CircuitState.OPEN: EventType.CIRCUIT_OPENED,
    CircuitState.HALF_OPEN: EventType.CIRCUIT_HALF_OPEN,
    CircuitState.CLOSED: EventType.CIRCUIT_CLOSED,
    CircuitState.ISOLATED: EventType.CIRCUIT_OPENED,
}
"""What the event of a circuit that has changed its state is called, by its new state."""


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class RetryDetails:
    """The ``data`` of a ``RETRY`` event: what follows the failed attempt.

    Attributes:
        attempt: number of the attempt that failed, 1 for the first.
        delay: seconds until the next attempt.
        source: what determined the delay: ``"backoff"`` is the formula of the context or the retry
            policy, ``"server"`` what the server asked for, ``"custom"`` the caller's own function.
        cause: the error that made the attempt fail; None if it was answered.
        status: the status of its response; None if it failed without one.
    """

    attempt: int
    delay: float
    source: str
    cause: Exception | None = None
    status: int | None = None

    def __repr__(self) -> str:
        cause = "" if self.cause is None else f", cause={redacted_repr(self.cause)}"
        status = "" if self.status is None else f", status={self.status}"
        return (
            f"RetryDetails(attempt={self.attempt}, delay={self.delay:.3g}, "
            f"source={self.source!r}{cause}{status})"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ThrottleDetails:
    """The ``data`` of a ``THROTTLED`` event: why the request waits, and how long.

    Attributes:
        delay: seconds that the wait will take, as far as is known.
        reason: ``"pushback"`` if the host has asked its clients to wait, ``"rate_limit"``.
    """

    delay: float
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class HedgeDetails:
    """The ``data`` of a ``HEDGED`` event: the copy that is sent beside a slow attempt.

    Attributes:
        attempt: number of the attempt that is slow.
        copy: number of the copy, 1 for the first.
        delay: seconds after which it is sent.
    """

    attempt: int
    copy: int
    delay: float


_FROZEN = (RetryDetails, ThrottleDetails, HedgeDetails, Transition)
"""The kinds of ``data`` that nobody can change."""


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class AsyncEvent(Generic[DataT_co]):
    """Something that happened to a request.

    Each callback gets its own copy and can change what the event carries without affecting others.
    To a type checker, ``AsyncEvent[RetryDetails]`` is the event of a retry, and
    ``AsyncEvent[httpx.Response]`` that of a success; plain ``AsyncEvent`` is any.

    Args:
        event_type: what happened.
        context: the request's context at that moment; the event keeps a clone.
        timestamp: wall-clock stamp, seconds since the epoch.
        data: the response of a ``SUCCESS``, the ``RetryDetails`` of a ``RETRY``, the
            ``ThrottleDetails``, ``HedgeDetails`` or ``Transition`` of the types that are named after
            it, else None.
        error: the error of the request or, for a ``RETRY``, of the failed attempt.
        metadata: any further data; deep-copied.
        seq: position among the events of its request: 0, 1, 2, ...
        attempts: attempts made so far, including a running one.
        elapsed: seconds since the request's task started, on the event loop's clock.
        request: the request's method, URL and origin.
        resends: how often the pool has sent the request a second time so far, because its reused
            connection was lost before any answer.
        history: the attempts that have ended so far, in order.

    Raises:
        ValueError: ``event_type`` isn't an ``EventType``.
    """

    event_type: EventType
    context: RequestContext
    timestamp: float = dataclasses.field(default_factory=time.time)
    data: DataT_co = dataclasses.field(default=None, hash=False)  # type: ignore[assignment]  # as for every failure
    error: BaseException | None = None
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    seq: int = 0
    attempts: int = 0
    elapsed: float = 0.0
    request: RequestRecord = dataclasses.field(default_factory=lambda: RequestRecord("", ""))
    resends: int = 0
    history: tuple[AttemptRecord, ...] = ()
    _created: float = dataclasses.field(
        default_factory=time.monotonic, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        if type(self.event_type) is not EventType:
            set_field(self, "event_type", EventType(self.event_type))
        set_field(self, "context", self.context.clone())
        set_field(self, "metadata", copy_metadata(self.metadata))

    @staticmethod
    def adopt(  # noqa: PLR0917 - positional for speed: called for every request
        event_type: EventType,
        context: RequestContext,
        data: Any,
        error: BaseException | None,
        seq: int,
        attempts: int,
        elapsed: float,
        request: RequestRecord,
        history: tuple[AttemptRecord, ...],
    ) -> "AsyncEvent":
        """Create an event that takes ownership of ``context``; internal to the engine.

        It validates and copies nothing, because it is called for every request.
        """
        event: Any = object.__new__(_EventDraft)
        event.event_type = event_type
        event.context = context
        event.timestamp = time.time()
        event.data = data
        event.error = error
        event.metadata = {}
        event.seq = seq
        event.attempts = attempts
        event.elapsed = elapsed
        event.request = request
        event.resends = request.resends
        event.history = history
        event._created = time.monotonic()
        event.__class__ = AsyncEvent
        adopted: AsyncEvent = event
        return adopted

    def clone(self) -> Self:
        """Return an equal event that shares no mutable state with this one.

        A response is copied with its headers and its request. An exception isn't copied: it is the
        one that the caller gets.
        """
        data = self.data if isinstance(self.data, _FROZEN) else copy_value(self.data)
        clone = dataclasses.replace(self, data=data, request=self.request.clone())
        object.__setattr__(clone, "_created", self._created)
        return clone

    @property
    def method(self) -> str:
        """The request's method, in upper case."""
        return self.request.method

    @property
    def url(self) -> str:
        """The absolute URL that was asked for, without secrets."""
        return self.request.url

    @property
    def origin(self) -> str:
        """Scheme, host, and port if it isn't the default, as in ``https://api.example.org``."""
        return self.request.origin

    @property
    def is_terminal(self) -> bool:
        """Whether this is the last event of its request."""
        return self.event_type.is_terminal

    @property
    def age(self) -> float:
        """Seconds since the event was created, on the monotonic clock."""
        return time.monotonic() - self._created

    def __repr__(self) -> str:
        data = "" if self.data is None else f", data={redacted_repr(self.data)}"
        error = "" if self.error is None else f", error={redacted_repr(self.error)}"
        return (
            f"<AsyncEvent {self.event_type.name} {self.method} {self.url} "
            f"request_id={self.context.request_id!r}, seq={self.seq}, attempts={self.attempts}, "
            f"elapsed={self.elapsed:.3f}{data}{error}>"
        )


_EventDraft = draft_class(AsyncEvent)
