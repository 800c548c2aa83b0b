"""Reads httpx's and httpcore's errors and responses, and turns them into facts.

The only room that knows how those libraries say what happened. It decides nothing: what a fact
means for the next attempt is said in ``policies/``.
"""

import copy
import socket
import ssl
from collections.abc import Iterator
from typing import Any, TypeVar

import h11
import httpcore
import httpx

from typed_async_client.policies.classify import Fault

__all__ = ["as_httpx_error", "copy_value", "count_hop", "read_fault"]

_T = TypeVar("_T")

_HOPS = "typed_async_client.hops"

_CONNECT_ERRORS = (httpx.ConnectError, httpcore.ConnectError)
_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)

_FOREIGN: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (ssl.SSLError, httpx.ReadError),
    (h11.LocalProtocolError, httpx.LocalProtocolError),
    (h11.RemoteProtocolError, httpx.RemoteProtocolError),
    (ExceptionGroup, httpx.ConnectError),
)
"""Errors that httpx 0.28 lets out although they are not its own, and what they amount to."""

_TLS_CUT_SHORT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors that tell of a lost connection, not of a peer that will refuse again."""


def as_httpx_error(error: Exception) -> Exception:
    """Give the error that the caller sees for what an attempt raised.

    An error that is httpx's, httpcore's or the caller's own passes as it is. A raw error of the
    ssl module, of h11, or a group of connect failures becomes the httpx error of the same
    meaning, with the original as its cause.
    """
    for foreign, ours in _FOREIGN:
        if isinstance(error, foreign):
            twin = ours(_message(error))
            twin.__cause__ = error
            return twin
    return error


def _message(error: BaseException) -> str:
    """Say what an error says; of a group, what its first member says."""
    if isinstance(error, BaseExceptionGroup):
        return _message(error.exceptions[0])
    return str(error) or type(error).__name__


def read_fault(error: Exception) -> Fault:
    """Say what kind of failure an error of ``as_httpx_error`` tells of."""
    if isinstance(error, _TIMEOUTS):
        return Fault.TIMEOUT
    if not isinstance(error, _CONNECT_ERRORS):
        return Fault.OTHER
    if _can_never_connect(error):
        return Fault.UNREACHABLE
    return Fault.CONNECT_LATER if _hops(error) > 1 else Fault.CONNECT


def count_hop(request: httpx.Request) -> None:
    """Note on a request that httpx is about to send it.

    One attempt sends more than one request when it follows a redirect or answers a challenge.
    httpx copies the extensions of each into the next, so the last one bears the number of all.
    """
    request.extensions[_HOPS] = request.extensions.get(_HOPS, 0) + 1


def _hops(error: Exception) -> int:
    """Count the requests that one attempt sent or tried to send, as far as its error tells."""
    request = getattr(error, "_request", None)
    return 0 if request is None else request.extensions.get(_HOPS, 0)


def _can_never_connect(error: BaseException) -> bool:
    return any(_is_permanent(origin) for origin in _origins(error))


def _is_permanent(error: BaseException) -> bool:
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, _TLS_CUT_SHORT)
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return isinstance(error, OverflowError | UnicodeError)


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to the ones behind it.

    httpcore raises ``from None``, so the error of the operating system is no longer a cause: it
    stands in ``args[0]`` of httpcore's error.
    """
    seen: list[BaseException] = []
    pending = [error]
    while pending:
        origin = pending.pop()
        if not isinstance(origin, BaseException) or origin in seen:
            continue
        seen.append(origin)
        yield origin
        pending += [origin.__cause__, *origin.args[:1]]
        if isinstance(origin, BaseExceptionGroup):
            pending += origin.exceptions


def copy_value(value: _T) -> _T:
    """Copy what an event or a request carries, so that its holder may change it unseen.

    What cannot be copied is shared.
    """
    if value is None:
        return value
    try:
        if isinstance(value, httpx.Response):
            twin: _T = _copy_response(value)
            return twin
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - whatever refuses to be copied is shared instead
        return value


def _copy_response(response: Any) -> Any:
    """Copy a response with all of it that can be changed: headers, request, history.

    ``copy.copy`` keeps the body, which is immutable, and drops stream and extensions.
    """
    twin = copy.copy(response)
    twin.headers = httpx.Headers(response.headers)
    twin.extensions = dict(response.extensions)
    twin.history = [_copy_response(earlier) for earlier in response.history]
    vars(twin).pop("_cookies", None)  # a cache that httpx fills again from the headers
    if getattr(response, "_request", None) is not None:
        twin.request = _copy_request(response.request)
    return twin


def _copy_request(request: httpx.Request) -> httpx.Request:
    twin = copy.copy(request)
    twin.headers = httpx.Headers(request.headers)
    twin.extensions = dict(request.extensions)
    return twin
