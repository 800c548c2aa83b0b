"""The outcome of one attempt, and the attempts that led to a response."""

import dataclasses
from typing import TYPE_CHECKING, Self

from typed_async_client.errors import ConnectError
from typed_async_client.events import AsyncEvent, RetryDetails
from typed_async_client.facts import as_httpx_error, classify_error
from typed_async_client.policies.classify import Fault

if TYPE_CHECKING:
    import httpx

__all__ = ["AttemptHistory", "Failed", "Outcome", "Succeeded"]


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
        resends: how often the pool has sent the request a second time, because its reused
            connection was lost before any answer.
    """

    request_id: str
    attempts: int
    retries: tuple[RetryDetails, ...]
    elapsed: float
    resends: int = 0

    @classmethod
    def of(cls, event: AsyncEvent, retries: tuple[RetryDetails, ...]) -> Self:
        """Create the history from the terminal event of a request."""
        return cls(event.context.request_id, event.attempts, retries, event.elapsed, event.resends)
