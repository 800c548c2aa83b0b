"""The errors that this package defines; every other error a caller sees is httpx's own.

httpx.ConnectError, httpcore.ConnectError
  └── ConnectError             every allowed attempt to connect has failed; with an httpx2
                               client it is an ``httpx2.ConnectError`` too
httpx.TransportError
  ├── RejectedError            a policy refused the request, or its next attempt, before it was sent
  │     ├── CircuitOpenError         most recent requests to the host failed
  │     ├── BulkheadFullError        too many requests are running, or the wait would be too long
  │     └── RateLimitedLocallyError  its turn under the rate limit would come too late
  └── GaveUpError              the request was sent, and another attempt isn't allowed
        ├── DeadlineExceededError    its deadline has passed, or would before another attempt; an
        │                            ``httpx.TimeoutException`` too
        ├── BudgetExhaustedError     too many recent requests were retries
        └── RetryAfterTooLongError   the server asked for a longer wait than is allowed
httpx.HTTPStatusError
  └── StatusError              the status is 400 or above, and ``raise_on_status`` asks to raise that;
        │                      with an httpx2 client it is an ``httpx2.HTTPStatusError`` too
        ├── ClientStatusError        4xx
        │     ├── BadRequestError           400
        │     ├── UnauthorizedError         401
        │     ├── ForbiddenError            403
        │     ├── NotFoundError             404
        │     ├── ConflictError             409
        │     ├── GoneError                 410
        │     ├── UnprocessableEntityError  422
        │     └── RateLimitedError          429
        └── ServerStatusError        5xx
              ├── InternalServerError       500
              ├── BadGatewayError           502
              ├── ServiceUnavailableError   503
              └── GatewayTimeoutError       504
httpx.DecodingError
  ├── DecodeError              the body isn't what ``response_model`` asks for; with an httpx2 client it
  │                            is an ``httpx2.DecodingError`` too
  ├── LineTooLongError         a line of ``client.lines()`` is longer than its ``max_line_bytes``
  ├── EventTooLargeError       an event of ``client.sse()`` is larger than its ``max_event_bytes``
  └── NotEventStreamError      the response to ``client.sse()`` isn't an event stream
httpx.RemoteProtocolError
  └── EventStreamEndedError    the event stream has ended too often without an event
httpx.RequestError
  ├── InsecureRedirectError    a redirect from https to http asks for what must not be sent over http
  ├── DownloadError            the responses of a download can't be put together to one file
  └── ResponseTooLargeError    the body is larger than ``max_response_bytes``; with an httpx2 client
                               it is an ``httpx2.RequestError`` too
OSError
  └── AddressRefusedError      the client's address guard blocked the host's address
httpx.InvalidURL, ValueError
  └── InvalidURLError          the URL is invalid, or leaves the ``base_url``; with an httpx2 client it is
                               an ``httpx2.InvalidURL`` too
httpx.StreamConsumed
  └── RequestBodyConsumedError a redirect or a challenge asks for a body that can be sent only
                               once; with an httpx2 client it is an ``httpx2.StreamConsumed`` too
RuntimeError
  ├── ClientClosedError        the client was closed before the request was made
  ├── ClientBoundError         another event loop, thread or process owns the client
  ├── RequestCancelledError    ``RequestResult.unwrap()`` on a cancelled request
  └── ResponseEvictedError     ``RequestResult.unwrap()`` on a response that the client dropped
"""

from typing import TYPE_CHECKING, Any, Self

import httpcore
import httpx

from typed_async_client.body_errors import RequestBodyConsumedError, ResponseTooLargeError
from typed_async_client.decode_error import DecodeError
from typed_async_client.forks import class_for
from typed_async_client.pickling import let_pickle_restore
from typed_async_client.status_errors import (
    BadGatewayError,
    BadRequestError,
    ClientStatusError,
    ConflictError,
    ForbiddenError,
    GatewayTimeoutError,
    GoneError,
    InternalServerError,
    NotFoundError,
    RateLimitedError,
    ServerStatusError,
    ServiceUnavailableError,
    StatusError,
    UnauthorizedError,
    UnprocessableEntityError,
)
from typed_async_client.stream_errors import (
    EventStreamEndedError,
    EventTooLargeError,
    LineTooLongError,
    NotEventStreamError,
)
from typed_async_client.urls import InvalidURLError

if TYPE_CHECKING:
    from typed_async_client.attempts import AttemptRecord

__all__ = [
    "AddressRefusedError",
    "BadGatewayError",
    "BadRequestError",
    "BudgetExhaustedError",
    "BulkheadFullError",
    "CircuitOpenError",
    "ClientBoundError",
    "ClientClosedError",
    "ClientStatusError",
    "ConflictError",
    "ConnectError",
    "DeadlineExceededError",
    "DecodeError",
    "EventStreamEndedError",
    "EventTooLargeError",
    "ForbiddenError",
    "GatewayTimeoutError",
    "GaveUpError",
    "GoneError",
    "InsecureRedirectError",
    "InternalServerError",
    "InvalidURLError",
    "LineTooLongError",
    "NotEventStreamError",
    "NotFoundError",
    "RateLimitedError",
    "RateLimitedLocallyError",
    "RejectedError",
    "RequestBodyConsumedError",
    "RequestCancelledError",
    "ResponseEvictedError",
    "ResponseTooLargeError",
    "RetryAfterTooLongError",
    "ServerStatusError",
    "ServiceUnavailableError",
    "StatusError",
    "UnauthorizedError",
    "UnprocessableEntityError",
]


class ConnectError(httpx.ConnectError, httpcore.ConnectError):
    """Every allowed attempt to connect has failed.

    No part of the request that couldn't connect was sent. If a redirect or an authentication
    challenge led to it, the requests before it were.

    It is caught by ``except httpx.ConnectError`` and by ``except httpcore.ConnectError``, and with
    an httpx2 client by ``except httpx2.ConnectError`` as well. Its cause is the error of the last
    attempt, and a note says how many attempts were made.

    Args:
        message: what happened.
        request: the request of the last attempt, an httpx or an httpx2 request.
    """

    _fork_name = "ConnectError"

    def __new__(cls, message: str = "", *, request: Any = None) -> Self:
        """Create the error, which is httpx2's too if the request is an httpx2 request."""
        created: Self = super().__new__(class_for(cls, request), message)
        return created

    history: "tuple[AttemptRecord, ...]" = ()
    """One record per attempt."""


class AddressRefusedError(OSError):
    """The host resolves to an address that the client's address guard blocks.

    It is the reason behind the ``ConnectError`` that the caller sees; such a request isn't
    retried.
    """


class ClientClosedError(RuntimeError):
    """The client is closed. Create a new one: a closed client can't be reopened."""


class ClientBoundError(RuntimeError):
    """The client belongs to another event loop, thread or process; the message names both."""


class _OfPolicies(httpx.TransportError):
    """What the errors of the policies have in common; their cause is the last error, if there is one.

    Args:
        message: what happened.
        request: the request of the last attempt, an httpx or an httpx2 request; None if unknown.
        retry_after: seconds after which it may be worth trying again; None if unknown.
        response: the last response, whose body may have been discarded; None without one.
        client: the client of httpx or httpx2 whose request it was, if ``request`` is unknown.

    Attributes:
        retry_after: the same.
        response: the same.
        history: one record per attempt.
    """

    _fork_name = "TransportError"

    def __new__(
        cls, message: str = "", *, request: Any = None, client: Any = None, **_: Any
    ) -> Self:
        """Create the error, which is httpx2's too if the request, or the client, is of httpx2."""
        source = client if request is None else request
        created: Self = super().__new__(class_for(cls, source), message)
        return created

    def __init__(
        self,
        message: str,
        *,
        request: Any = None,
        retry_after: float | None = None,
        response: Any = None,
        client: Any = None,  # noqa: ARG002 - see __new__
    ) -> None:
        super().__init__(message, request=request)
        self.retry_after: float | None = retry_after
        self.response: Any = response
        self.history: tuple[AttemptRecord, ...] = ()


class RejectedError(_OfPolicies):
    """A policy refused the request, or its next attempt, before it was sent."""


class CircuitOpenError(RejectedError):
    """Most recent requests to the host failed, so nothing is sent to it for ``retry_after`` seconds."""


class BulkheadFullError(RejectedError):
    """Too many requests are running and waiting, or its turn would come too late."""


class RateLimitedLocallyError(RejectedError):
    """The rate limit of the client allows the request only after its deadline or ``max_wait``."""


class GaveUpError(_OfPolicies):
    """The request was sent and failed, and a policy doesn't allow another attempt."""


class DeadlineExceededError(GaveUpError, httpx.TimeoutException):
    """The deadline of the request has passed, or would before another attempt could be made."""

    _fork_name = "TimeoutException"


class BudgetExhaustedError(GaveUpError):
    """The attempt failed, and so many recent requests were retries that no other may follow."""


class RetryAfterTooLongError(GaveUpError):
    """The server asked for a longer wait than the policy, or the deadline, allows.

    ``retry_after`` is what it asked for, in seconds.
    """


class InsecureRedirectError(httpx.RequestError):
    """A redirect from https to http asks for a body, or a header, that isn't sent unencrypted.

    Nothing was sent over http. ``allow_insecure_redirects=True`` allows it.
    """


class RequestCancelledError(RuntimeError):
    """The request was cancelled, so it has no response to return.

    ``unwrap()`` raises this instead of ``asyncio.CancelledError``, which would cancel the task that
    only inspects the result.
    """


class ResponseEvictedError(RuntimeError):
    """The client dropped the response of a result, because it keeps ``max_result_bytes`` of them."""


let_pickle_restore(httpx)
