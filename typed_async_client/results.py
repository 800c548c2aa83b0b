"""The result of a request: how it ended, kept after its events are gone."""

import dataclasses
import enum
import time
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Self, TypeAlias, TypeVar, cast

from typed_async_client.attempts import AttemptRecord
from typed_async_client.errors import RequestCancelledError, ResponseEvictedError
from typed_async_client.events import EventType
from typed_async_client.explanation import explain
from typed_async_client.failure_kinds import FailureKind, kind_of_error
from typed_async_client.lazy_fields import LazyFields
from typed_async_client.redact import redacted_repr
from typed_async_client.typevars import ValueT_co

if TYPE_CHECKING:
    import httpx

__all__ = [
    "STATUSES",
    "FailureResult",
    "RequestResult",
    "ResultBase",
    "ResultStatus",
    "SuccessResult",
    "ValueResult",
    "class_of",
]

DefaultT = TypeVar("DefaultT")


class ResultStatus(enum.StrEnum):
    """How a request ended."""

    SUCCESS = enum.auto()  #: with a response, whatever its status code
    ERROR = enum.auto()  #: with an error
    TIMEOUT = enum.auto()  #: with a timeout error
    CANCELLED = enum.auto()  #: its task was cancelled
    REJECTED = enum.auto()  #: a policy refused it before its attempt was sent


STATUSES = {kind: ResultStatus(kind.value) for kind in EventType if kind.is_terminal}


@dataclasses.dataclass(frozen=True, slots=True, repr=False, match_args=False)
class ResultBase(LazyFields):
    """How one request ended: what ``SuccessResult`` and ``FailureResult`` have in common.

    Attributes:
        request_id: the id in the request's context.
        status: success, error, timeout, cancelled or rejected.
        response: the response that the task returned, or None. Once nothing else references it, an
            equal one is created when this attribute is read: with the state it had when the request
            ended, but without its ``network_stream``, and without the body of its request.
        error: the error that the task raised, or None. Once nothing else references it, an equal
            one without traceback is created when this attribute is read.
        attempts: attempts made; 0 for a request cancelled before its task started.
        total_time: seconds from the start of the task to its end, including backoff.
        created_at: wall-clock timestamp of the end, seconds since the epoch.
        method: the request's method, in upper case.
        url: the absolute URL that was asked for, without secrets.
        origin: scheme, host, and port if it isn't the default, as in ``https://api.example.org``.
        resends: how often the pool has sent the request a second time, because its reused
            connection was lost before any answer.
        response_evicted: whether the client dropped the response because of its
            ``max_result_bytes``; ``response`` is None then.
        status_code: the status code of the response, which is kept without it too; None for a
            failure.
        history: one record per attempt, in order; ``explain()`` prints them.

    Raises:
        ValueError: ``status`` contradicts the class, as in ``SuccessResult`` with an error status.
    """

    request_id: str
    status: ResultStatus
    response: "httpx.Response | None"
    error: BaseException | None
    attempts: int
    total_time: float
    created_at: float = dataclasses.field(default_factory=time.time)
    method: str = ""
    url: str = ""
    origin: str = ""
    resends: int = 0
    response_evicted: bool = False
    status_code: int | None = None
    history: tuple[AttemptRecord, ...] = ()
    _created: float = dataclasses.field(default=0.0, init=False, repr=False, compare=False)

    def __new__(cls, *args: Any, **fields: Any) -> Self:
        """Create a success or a failure, as the status says, where the class leaves it open."""
        if cls is not ResultBase or not (args or fields):
            return object.__new__(cls)
        status = fields["status"] if "status" in fields else args[1]
        return cast("Self", object.__new__(class_of(ResultStatus(status))))

    def __post_init__(self) -> None:
        if class_of(self.status) not in type(self).__mro__:
            raise ValueError(f"a {type(self).__name__} can't have the status {self.status.value!r}")
        object.__setattr__(self, "_created", time.monotonic() - (time.time() - self.created_at))
        if self.status_code is None:
            object.__setattr__(self, "status_code", getattr(self.response, "status_code", None))

    if not TYPE_CHECKING:  # to a type checker, the name ``RequestResult`` is a generic union
        __class_getitem__ = classmethod(GenericAlias)

    @property
    def age(self) -> float:
        """Seconds since the request ended, on the monotonic clock."""
        return time.monotonic() - self._created

    def explain(self) -> str:
        """Return what happened, for a person: one line per attempt, and why the request ended.

        Example:
            >>> refused = SuccessResult("orders-17", ResultStatus.SUCCESS, None, None, 1, 0.5)
            >>> print(refused.explain().partition(":")[0])
            orders-17
        """
        return explain(self)

    def __repr__(self) -> str:
        outcome = redacted_repr(self.response if self.error is None else self.error)
        if self.response_evicted and self.error is None:
            outcome = f"response {self.status_code} evicted"
        return (
            f"<{class_of(self.status).__name__} {self.status.name} {self.method} {self.url} "
            f"request_id={self.request_id!r}, attempts={self.attempts}, "
            f"total_time={self.total_time:.3f}, {outcome}>"
        )


class SuccessResult(ResultBase, Generic[ValueT_co]):
    """The result of a request that got a response, whatever its status code.

    ``SuccessResult[User]`` is what ``client.fetch(..., response_model=User)`` returns. Plain
    ``SuccessResult`` has the response as its value, as have the results that the client keeps.

    Example:
        >>> def status_of(result: RequestResult) -> int | None:
        ...     return result.status_code if result.is_success else None
    """

    __slots__ = ()
    __match_args__ = ("value",)

    if TYPE_CHECKING:
        status: Literal[ResultStatus.SUCCESS]
        response: httpx.Response
        error: None
        status_code: int

    @property
    def is_success(self) -> Literal[True]:
        """True: a response was received, whatever its status code."""
        return True

    @property
    def is_error(self) -> Literal[False]:
        """False."""
        return False

    @property
    def value(self) -> ValueT_co:
        """What the body was decoded as; the response itself without a ``response_model``.

        Raises:
            ResponseEvictedError: the client dropped it, because of ``max_result_bytes``.
        """
        if self.response_evicted:
            raise ResponseEvictedError(
                f"the response of request {self.request_id!r} was dropped: the client keeps "
                "max_result_bytes of them; await the task, or raise that limit"
            )
        return cast("ValueT_co", self.response)

    def unwrap(self) -> ValueT_co:
        """Return the value.

        Raises:
            ResponseEvictedError: the client dropped it, because of ``max_result_bytes``.
        """
        return self.value

    def unwrap_or(self, default: DefaultT) -> ValueT_co | DefaultT:
        """Return the value, or a default if the client dropped the response."""
        return default if self.response_evicted else self.value


@dataclasses.dataclass(frozen=True, slots=True, repr=False, match_args=False)
class ValueResult(SuccessResult[ValueT_co]):
    """A success with the value that its body was decoded as; the client doesn't keep it.

    Attributes:
        value: the value.
    """

    value: ValueT_co = dataclasses.field(default=cast("Any", None), hash=False)


class FailureResult(ResultBase):
    """The result of a request that failed: with an error, a timeout, a refusal, or a cancellation.

    Example:
        >>> def name_of(result: RequestResult[User]) -> str:
        ...     match result:
        ...         case SuccessResult(value=user):
        ...             return user.name
        ...         case FailureResult(error=NotFoundError()):
        ...             return "nobody"
        ...         case FailureResult(kind=FailureKind.TIMEOUT | FailureKind.DEADLINE):
        ...             return "unknown, for now"
        ...         case FailureResult(error=error):
        ...             raise error
    """

    __slots__ = ()
    __match_args__ = ("error", "kind")

    if TYPE_CHECKING:
        status: Literal[
            ResultStatus.ERROR,
            ResultStatus.TIMEOUT,
            ResultStatus.CANCELLED,
            ResultStatus.REJECTED,
        ]
        response: None
        error: BaseException
        status_code: None

    @property
    def is_success(self) -> Literal[False]:
        """False."""
        return False

    @property
    def is_error(self) -> Literal[True]:
        """True: there is no response."""
        return True

    @property
    def kind(self) -> FailureKind:
        """Why the request failed: by its status, a timeout, an open circuit, ..."""
        if self.status is ResultStatus.CANCELLED:
            return FailureKind.CANCELLED
        return kind_of_error(self.error)

    def unwrap_or(self, default: DefaultT) -> DefaultT:
        """Return the default: there is no value."""
        return default

    def unwrap(self) -> NoReturn:
        """Raise the request's error.

        Raises:
            RequestCancelledError: the request was cancelled.
            Exception: the request's own error.
        """
        if self.status is ResultStatus.CANCELLED:
            raise RequestCancelledError(
                f"request {self.request_id!r} was cancelled"
            ) from self.error
        raise self.error


if TYPE_CHECKING:
    RequestResult: TypeAlias = SuccessResult[ValueT_co] | FailureResult
else:  # a union can't be called, and results have always been created by this name
    RequestResult = ResultBase


def class_of(status: ResultStatus) -> type[ResultBase]:
    """Return the class of a result with that status."""
    return SuccessResult if status is ResultStatus.SUCCESS else FailureResult
