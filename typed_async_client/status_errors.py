"""The errors for a status of 400 or above: one class for each status that callers tell apart.

``errors.py`` shows them within the tree of all errors.
"""

import time
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from typed_async_client.forks import class_for
from typed_async_client.policies.retry_headers import read_retry_headers

if TYPE_CHECKING:
    from typed_async_client.attempts import AttemptRecord

__all__ = [
    "BadGatewayError",
    "BadRequestError",
    "ClientStatusError",
    "ConflictError",
    "ForbiddenError",
    "GatewayTimeoutError",
    "GoneError",
    "InternalServerError",
    "NotFoundError",
    "RateLimitedError",
    "ServerStatusError",
    "ServiceUnavailableError",
    "StatusError",
    "UnauthorizedError",
    "UnprocessableEntityError",
    "status_class",
]


class StatusError(httpx.HTTPStatusError):
    """The server has answered with a status of 400 or above, and the caller wants that raised.

    The message shows method, URL without secrets, status, and the beginning of a textual body.

    Args:
        message: what happened.
        request: the request that was answered, an httpx or an httpx2 request.
        response: its response.

    Attributes:
        response: the same; its body has been read. None if a client that keeps the error has dropped
            it, because of its ``max_result_bytes``.
        history: one record per attempt.
        status_code: the status code of the response.
        retry_after: seconds after which the server wants to be asked again; None if it didn't say.

    Example:
        >>> async def main() -> None:
        ...     async with AsyncResilientClient(raise_on_status=True) as client:
        ...         try:
        ...             await client.request("GET", "https://example.org/missing")
        ...         except NotFoundError as error:
        ...             print(error.status_code)
    """

    _fork_name = "HTTPStatusError"

    def __new__(cls, message: str = "", *, request: Any = None, response: Any = None) -> Self:  # noqa: ARG004 - see __init__
        """Create the error, which is httpx2's too if the request is an httpx2 request."""
        created: Self = super().__new__(class_for(cls, request), message)
        return created

    def __init__(self, message: str = "", *, request: Any = None, response: Any = None) -> None:
        Exception.__init__(self, message)  # the constructors of httpx and httpx2 don't cooperate
        self.request = request
        self.response = response
        self.history: tuple[AttemptRecord, ...] = ()
        self.status_code: int = 0
        self.retry_after: float | None = None
        if response is not None:
            self.status_code, raw = response.status_code, response.headers.raw
            advice = read_retry_headers(raw, status=self.status_code, wall=time.time())
            self.retry_after = advice.retry_after


class ClientStatusError(StatusError):
    """The server refused the request: a status from 400 to 499 (RFC 9110 section 15.5)."""


class ServerStatusError(StatusError):
    """The server failed: a status of 500 or above (RFC 9110 section 15.6)."""


class BadRequestError(ClientStatusError):
    """400: the server can't make sense of the request."""


class UnauthorizedError(ClientStatusError):
    """401: the request needs credentials, or others."""


class ForbiddenError(ClientStatusError):
    """403: the credentials don't suffice."""


class NotFoundError(ClientStatusError):
    """404: the server has no such resource, or doesn't admit it."""


class ConflictError(ClientStatusError):
    """409: the request doesn't fit the state that the resource is in."""


class GoneError(ClientStatusError):
    """410: the resource existed, and won't come back."""


class UnprocessableEntityError(ClientStatusError):
    """422: the content is well-formed, and yet invalid."""


class RateLimitedError(ClientStatusError):
    """429: too many requests; ``retry_after`` says how long to wait, if the server did."""


class InternalServerError(ServerStatusError):
    """500: the server failed in a way that it hadn't foreseen."""


class BadGatewayError(ServerStatusError):
    """502: the server behind the gateway gave an invalid answer."""


class ServiceUnavailableError(ServerStatusError):
    """503: the server is overloaded or down; ``retry_after`` may say for how long."""


class GatewayTimeoutError(ServerStatusError):
    """504: the server behind the gateway didn't answer in time."""


_SERVER_ERRORS: Final = 500

_CLASSES: Final[dict[int, type[StatusError]]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: UnprocessableEntityError,
    429: RateLimitedError,
    500: InternalServerError,
    502: BadGatewayError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
}


def status_class(status: int) -> type[StatusError]:
    """Return the class of the error for a status of 400 or above.

    Example:
        >>> status_class(404), status_class(418)
        (<class 'typed_async_client.status_errors.NotFoundError'>, <class 'typed_async_client.status_errors.ClientStatusError'>)
    """
    fallback = ClientStatusError if status < _SERVER_ERRORS else ServerStatusError
    return _CLASSES.get(status, fallback)
