"""Reads httpx's and httpcore's errors and responses, and turns them into facts.

The only room that knows how those libraries, and their fork httpx2, say what happened. It decides
nothing: what a fact means for the next attempt is said in ``policies/``.
"""

import os
import socket
import ssl
from collections.abc import Iterator

import h11
import httpcore
import httpx

from typed_async_client.errors import AddressRefusedError
from typed_async_client.libraries import is_fork_instance, is_from
from typed_async_client.policies.classify import Fault
from typed_async_client.sent import current_log

__all__ = [
    "as_httpx_error",
    "as_raised_by_httpx",
    "classify_error",
    "explain_connect_failure",
    "request_of",
]

_HTTPCORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)

_CONNECT_ERRORS = (httpx.ConnectError, httpcore.ConnectError)
_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)

_FOREIGN: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (ssl.SSLError, httpx.ReadError),
    (h11.LocalProtocolError, httpx.LocalProtocolError),
    (h11.RemoteProtocolError, httpx.RemoteProtocolError),
)
"""Errors that httpx 0.28 lets out although they are not its own, and what they amount to."""

_TLS_CUT_SHORT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors that tell of a lost connection, not of a peer that will refuse again."""


def as_raised_by_httpx(error: Exception) -> Exception:
    """Give httpx's error of the same name for one of httpcore's; any other is itself."""
    if not isinstance(error, _HTTPCORE_ERRORS):
        return error
    for kind in type(error).__mro__:
        twin = getattr(httpx, kind.__name__, None)
        if isinstance(twin, type) and issubclass(twin, httpx.TransportError):
            raised: Exception = twin(str(error))
            return raised
    return error


def as_httpx_error(error: Exception) -> Exception:
    """Give the error that the caller sees for what an attempt raised.

    An error that is httpx's, httpcore's or the caller's own passes as it is. A raw error of the
    ssl module, of h11, or a group of connect failures becomes the httpx error of the same
    meaning, with the original as its cause.
    """
    kind = _httpx_kind(error)
    if kind is None:
        return error
    first = next(_leaves(error))
    twin = kind(str(first) or type(first).__name__)
    twin.__cause__ = error
    return twin


def _httpx_kind(error: Exception) -> type[httpx.TransportError] | None:
    """Give the httpx error that a foreign one amounts to, None when it is not foreign."""
    for foreign, ours in _FOREIGN:
        if isinstance(error, foreign):
            return ours
    if is_from(error, "h2"):
        return httpx.RemoteProtocolError
    if isinstance(error, ExceptionGroup):
        failed_to_connect = all(
            isinstance(leaf, OSError | OverflowError) for leaf in _leaves(error)
        )
        return httpx.ConnectError if failed_to_connect else None
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Give the errors of a group, and of the groups in it; an error alone is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error


def classify_error(error: Exception) -> Fault:
    """Classify an error returned by ``as_httpx_error``."""
    if isinstance(error, _TIMEOUTS) or is_fork_instance(error, "TimeoutException"):
        return Fault.TIMEOUT
    if not isinstance(error, _CONNECT_ERRORS) and not is_fork_instance(error, "ConnectError"):
        return Fault.OTHER
    if _can_never_connect(error):
        return Fault.UNREACHABLE
    log = current_log()
    if log.body_consumed:  # the next attempt would send an empty body
        return Fault.OTHER
    return Fault.CONNECT_LATER if log.may_have_been_processed else Fault.CONNECT


def request_of(error: Exception) -> httpx.Request | None:
    """Return the request that an httpx error belongs to; None if it has none."""
    try:
        request: httpx.Request | None = getattr(error, "request", None)
    except RuntimeError:  # httpx's way of saying that it was never set
        return None
    return request


def explain_connect_failure(error: Exception, request: httpx.Request | None) -> str:
    """Say in the system's own words why no connection came about, and where to if it is known."""
    reason = str(error) or "no connection"
    for origin in _origins(error):
        if isinstance(origin, OSError) and origin.errno and not isinstance(origin, socket.gaierror):
            reason = os.strerror(origin.errno) if origin.errno > 0 else str(origin)
    if request is None:
        return reason
    port = request.url.port or {"http": 80, "https": 443}.get(request.url.scheme)
    return f"cannot connect to {request.url.host}:{port}: {reason}"


def _can_never_connect(error: BaseException) -> bool:
    return any(_is_permanent(origin) for origin in _origins(error))


def _is_permanent(error: BaseException) -> bool:
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, _TLS_CUT_SHORT)
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return isinstance(error, OverflowError | UnicodeError | AddressRefusedError)


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to the ones behind it.

    httpcore raises ``from None``, so the error of the operating system is no longer a cause: it
    stands in ``args[0]`` of httpcore's error.
    """
    seen: set[int] = set()
    pending = [error]
    while pending:
        origin = pending.pop()
        if not isinstance(origin, BaseException) or id(origin) in seen:
            continue
        seen.add(id(origin))
        yield origin
        pending += [origin.__cause__, *origin.args[:1]]
        if isinstance(origin, BaseExceptionGroup):
            pending += origin.exceptions
