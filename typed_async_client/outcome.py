"""What came of it: the outcome of one attempt, the result of a whole request."""

import dataclasses
import enum
import time
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from typed_async_client.errors import ConnectError, RequestCancelledError
from typed_async_client.events import AsyncEvent, EventType, RetryDetails
from typed_async_client.facts import as_httpx_error, classify_error
from typed_async_client.policies.classify import Fault
from typed_async_client.sent import current_log

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
    """An attempt that brought a response, whatever its status code."""

    response: "httpx.Response"


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that failed.

    Attributes:
        error: what the caller gets if no attempt follows.
        fault: what went wrong.
        has_idempotency_key: whether the request carries a key that makes it safe to repeat.
    """

    error: Exception
    fault: Fault
    has_idempotency_key: bool = False

    @classmethod
    def of(cls, raised: Exception) -> Self:
        """Read what an attempt raised, whoever's error it is."""
        error = as_httpx_error(raised)
        if isinstance(error, ConnectError):  # ours: somebody below has tried again already
            return cls(error, Fault.UNREACHABLE)
        fault = classify_error(error)
        is_late = fault is Fault.CONNECT_LATER  # no other fault depends on the key
        return cls(error, fault, is_late and current_log().has_idempotency_key)


Outcome = Succeeded | Failed


@dataclasses.dataclass(frozen=True, slots=True)
class AttemptHistory:
    """How a response came about, where there is no client to keep results.

    Attributes:
        request_id: the name in the request's context.
        attempts: attempts made, >= 1.
        retries: what was told of each retry, the first one first.
        elapsed: seconds from the begin of the request to the head of its response.
    """

    request_id: str
    attempts: int
    retries: tuple[RetryDetails, ...]
    elapsed: float

    @classmethod
    def of(cls, event: AsyncEvent, retries: tuple[RetryDetails, ...]) -> Self:
        """Read the record off the terminal event of a request."""
        return cls(event.context.request_id, event.attempts, retries, event.elapsed)


class ResultStatus(enum.StrEnum):
    """How a request ended."""

    SUCCESS = enum.auto()  #: with a response, whatever its status code
    ERROR = enum.auto()  #: with an error
    TIMEOUT = enum.auto()  #: with an error that tells of a time limit
    CANCELLED = enum.auto()  #: its task was cancelled


_STATUS = {kind: ResultStatus(kind.value) for kind in EventType if kind.is_terminal}


class Packed(Protocol):
    """What takes up less room than the response that it gives."""

    def unpack(self) -> "httpx.Response":
        """Give the response."""


class _MayBePacked:
    """Unpacks the response of a result when somebody asks for it, and keeps it from then on.

    Another one at each asking would lose what its holder changes, and change the result's hash.
    """

    __slots__ = ("_packed",)

    if not TYPE_CHECKING:  # where this stands, every name counts as one of a result

        def __getattr__(self, name: str) -> Any:
            if name == "response":
                response = self._packed.unpack()
                object.__setattr__(self, name, response)
                return response
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class RequestResult(_MayBePacked):
    """How one request ended.

    Attributes:
        request_id: the name in its context.
        status: success, error, timeout or cancelled.
        response: the very response that the task gave, or None. One that nobody holds any more when
            it is asked for is made anew: as it was when the request ended, without its
            ``network_stream``.
        error: the error that the task raised, or None.
        attempts: attempts made; 0 for a request cancelled before its first step.
        total_time: seconds from the task's begin to its end, waits included.
        created_at: wall-clock stamp of the end, seconds since the epoch.
    """

    request_id: str
    status: ResultStatus
    response: "httpx.Response | None"
    error: BaseException | None
    attempts: int
    total_time: float
    created_at: float = dataclasses.field(default_factory=time.time)
    _born: float = dataclasses.field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_born", time.monotonic() - (time.time() - self.created_at))

    @classmethod
    def of(cls, event: AsyncEvent, packed: Packed | None = None) -> Self:
        """Read the result off the terminal event of a request.

        Args:
            event: the terminal event.
            packed: gives the response in its place.
        """
        result = object.__new__(cls)
        put = object.__setattr__
        put(result, "request_id", event.context.request_id)
        put(result, "status", _STATUS[event.event_type])
        if packed is None:
            put(result, "response", event.data)
        else:
            put(result, "_packed", packed)
        put(result, "error", event.error)
        put(result, "attempts", event.attempts)
        put(result, "total_time", event.elapsed)
        put(result, "created_at", event.timestamp)
        put(result, "_born", time.monotonic() - event.age)
        return result

    @property
    def is_success(self) -> bool:
        """Whether a response arrived, whatever its status code."""
        return self.status is ResultStatus.SUCCESS

    @property
    def is_error(self) -> bool:
        """Whether anything but a response came of it: error, timeout or cancellation."""
        return not self.is_success

    @property
    def age(self) -> float:
        """Seconds since the request ended, on the monotonic clock."""
        return time.monotonic() - self._born

    def unwrap(self) -> "httpx.Response":
        """Give the response, or raise what the request ended with.

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
