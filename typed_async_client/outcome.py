"""The outcome of one attempt, and the result of a whole request."""

import dataclasses
import enum
import time
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from typed_async_client.errors import ConnectError, RequestCancelledError
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.facts import as_httpx_error, classify_error
from typed_async_client.policies.classify import Fault

if TYPE_CHECKING:
    import httpx

__all__ = [
    "AttemptHistory",
    "Failed",
    "Outcome",
    "Packed",
    "RequestResult",
    "ResultStatus",
    "Succeeded",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Succeeded:
    """An attempt that received a response, whatever its status code."""

    response: "httpx.Response"


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that failed.

    Attributes:
        error: what the caller gets if no other attempt follows.
        fault: what went wrong.
    """

    error: Exception
    fault: Fault

    @classmethod
    def of(cls, raised: Exception) -> Self:
        """Classify the exception that an attempt raised, whichever library it comes from."""
        error = as_httpx_error(raised)
        if isinstance(error, ConnectError):  # a transport below has already retried
            return cls(error, Fault.UNREACHABLE)
        return cls(error, classify_error(error))


Outcome = Succeeded | Failed


@dataclasses.dataclass(frozen=True, slots=True)
class AttemptHistory:
    """The attempts that led to a response, for a transport, which keeps no results.

    Attributes:
        request_id: the id in the request's context.
        attempts: attempts made, >= 1.
        retries: the details of each retry, in order.
        elapsed: seconds from the start of the request to the head of its response.
    """

    request_id: str
    attempts: int
    retries: tuple[RetryDetails, ...]
    elapsed: float

    @classmethod
    def of(cls, event: AsyncEvent, retries: tuple[RetryDetails, ...]) -> Self:
        """Create the history from the terminal event of a request."""
        return cls(event.context.request_id, event.attempts, retries, event.elapsed)


class ResultStatus(enum.StrEnum):
    """How a request ended."""

    SUCCESS = enum.auto()  #: with a response, whatever its status code
    ERROR = enum.auto()  #: with an error
    TIMEOUT = enum.auto()  #: with a timeout error
    CANCELLED = enum.auto()  #: its task was cancelled


_STATUS = {kind: ResultStatus(kind.value) for kind in EventType if kind.is_terminal}


class Packed(Protocol):
    """A response in a form that takes less memory."""

    def unpack(self) -> "httpx.Response":
        """Return the response."""


class _LazyResponse:
    """Unpacks the response of a result on first access, and keeps it from then on.

    A new response at each access would lose the changes made to it, and change the result's hash.
    """

    __slots__ = ("_packed",)

    if not TYPE_CHECKING:  # a type checker would accept any attribute of a result

        def __getattr__(self, name: str) -> Any:
            if name == "response":
                response = self._packed.unpack()
                object.__setattr__(self, name, response)
                return response
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class RequestResult(_LazyResponse):
    """How one request ended.

    Attributes:
        request_id: the id in the request's context.
        status: success, error, timeout or cancelled.
        response: the response that the task returned, or None. Once nothing else references it, an
            equal one is created when this attribute is read: with the state it had when the request
            ended, but without its ``network_stream``.
        error: the error that the task raised, or None.
        attempts: attempts made; 0 for a request cancelled before its task started.
        total_time: seconds from the start of the task to its end, including backoff.
        created_at: wall-clock timestamp of the end, seconds since the epoch.
    """

    request_id: str
    status: ResultStatus
    response: "httpx.Response | None"
    error: BaseException | None
    attempts: int
    total_time: float
    created_at: float = dataclasses.field(default_factory=time.time)
    _created: float = dataclasses.field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_created", time.monotonic() - (time.time() - self.created_at))

    @classmethod
    def of(cls, event: AsyncEvent, packed: Packed | None = None) -> Self:
        """Create the result from the terminal event of a request.

        Args:
            event: the terminal event.
            packed: the packed response, to keep instead of the event's.
        """
        result = object.__new__(cls)
        set_field = object.__setattr__
        set_field(result, "request_id", event.context.request_id)
        set_field(result, "status", _STATUS[event.event_type])
        if packed is None:
            set_field(result, "response", event.data)
        else:
            set_field(result, "_packed", packed)
        set_field(result, "error", event.error)
        set_field(result, "attempts", event.attempts)
        set_field(result, "total_time", event.elapsed)
        set_field(result, "created_at", event.timestamp)
        set_field(result, "_created", time.monotonic() - event.age)
        return result

    @property
    def is_success(self) -> bool:
        """Whether a response was received, whatever its status code."""
        return self.status is ResultStatus.SUCCESS

    @property
    def is_error(self) -> bool:
        """Whether the request ended without a response: error, timeout or cancellation."""
        return not self.is_success

    @property
    def age(self) -> float:
        """Seconds since the request ended, on the monotonic clock."""
        return time.monotonic() - self._created

    def unwrap(self) -> "httpx.Response":
        """Return the response, or raise the request's error.

        Raises:
            RequestCancelledError: the request was cancelled.
            Exception: the request's own error.
        """
        if self.status is ResultStatus.CANCELLED:
            raise RequestCancelledError(
                f"request {self.request_id!r} was cancelled"
            ) from self.error
        if self.error is not None:
            raise self.error
        return cast("httpx.Response", self.response)
