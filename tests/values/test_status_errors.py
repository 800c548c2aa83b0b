"""The errors for a status of 400 or above, one class for each status that callers tell apart."""

import copy
import pickle

import httpx
import httpx2
import pytest

from typed_async_client import (
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
    RequestRecord,
    ServerStatusError,
    ServiceUnavailableError,
    StatusError,
    UnauthorizedError,
    UnprocessableEntityError,
)
from typed_async_client.bad_status import status_error

_BY_STATUS: dict[int, type[StatusError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    418: ClientStatusError,
    422: UnprocessableEntityError,
    429: RateLimitedError,
    499: ClientStatusError,
    500: InternalServerError,
    502: BadGatewayError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
    507: ServerStatusError,
    999: ServerStatusError,
}


def error_for(status: int, **headers: str) -> StatusError:
    """Return the error for a response with that status."""
    request = httpx.Request("GET", "https://api.test/items")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=named, text="why", request=request)
    return status_error(response, RequestRecord("GET", "https://api.test/items"))


@pytest.mark.parametrize(("status", "kind"), _BY_STATUS.items())
def test_each_status_has_its_class(status: int, kind: type[StatusError]) -> None:
    """A status without its own class has that of its hundred."""
    error = error_for(status)
    assert type(error) is kind
    assert isinstance(error, ClientStatusError if status < 500 else ServerStatusError)
    assert isinstance(error, httpx.HTTPStatusError)
    assert error.status_code == status


@pytest.mark.parametrize("kind", _BY_STATUS.values())
def test_the_errors_survive_pickle_and_copy(kind: type[StatusError]) -> None:
    """With their class, message and response."""
    error = error_for(next(status for status, each in _BY_STATUS.items() if each is kind))
    for restored in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error), copy.copy(error)):
        assert type(restored) is kind
        assert str(restored) == str(error)
        assert restored.response.text == "why"


def test_an_error_for_an_httpx2_request_is_caught_as_httpx2_s() -> None:
    """And as ours; it pickles as both."""
    request = httpx2.Request("GET", "https://api.test/items")
    response = httpx2.Response(404, text="why", request=request)
    error = status_error(response, RequestRecord("GET", "https://api.test/items"))
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(each, NotFoundError)
        assert isinstance(each, httpx2.HTTPStatusError)
        assert str(each) == str(error)


def test_retry_after_is_what_the_server_asked_for() -> None:
    """In seconds; None if it asked for nothing."""
    assert error_for(429, retry_after="7").retry_after == 7.0
    assert error_for(503).retry_after is None
