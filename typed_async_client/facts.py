"""Classifies the errors of httpx, httpcore and the libraries below them.

No other module interprets these errors, or those of the forks httpx2 and httpcore2. Whether a
failed attempt is retried is decided in ``policies/``.
"""

import os
import socket
import ssl
from collections.abc import Iterator

import h11
import httpcore
import httpx

from typed_async_client.errors import AddressRefusedError
from typed_async_client.httpx_types import HeaderTypes
from typed_async_client.libraries import is_error_of_h2, is_fork_instance
from typed_async_client.policies.classify import Fault
from typed_async_client.sent import current_log

__all__ = [
    "as_httpx_error",
    "classify_error",
    "explain_connect_failure",
    "map_httpcore_error",
    "raw_headers",
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

_UNTRANSLATED: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (ssl.SSLError, httpx.ReadError),
    (h11.LocalProtocolError, httpx.LocalProtocolError),
    (h11.RemoteProtocolError, httpx.RemoteProtocolError),
)
"""Errors of other libraries that httpx 0.28 doesn't translate, and the httpx errors they become."""

_TLS_CONNECTION_LOST = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors caused by a lost connection; after any other, a new handshake would fail too."""


def map_httpcore_error(error: Exception) -> Exception:
    """Return httpx's equivalent of an httpcore error; any other error is returned unchanged."""
    if not isinstance(error, _HTTPCORE_ERRORS):
        return error
    for kind in type(error).__mro__:
        equivalent = getattr(httpx, kind.__name__, None)
        if isinstance(equivalent, type) and issubclass(equivalent, httpx.TransportError):
            mapped: Exception = equivalent(str(error))
            return mapped
    return error


def as_httpx_error(error: Exception) -> Exception:
    """Return the error that the caller sees for an exception raised by an attempt.

    An error of httpx, of httpcore or of the caller's code is returned unchanged. A raw error of
    ssl, h11 or h2, or a group of connect failures, becomes the corresponding httpx error, with the
    original as its cause.
    """
    kind = _httpx_class(error)
    if kind is None:
        return error
    first = next(_leaves(error))
    translated = kind(str(first) or type(first).__name__)
    translated.__cause__ = error
    return translated


def _httpx_class(error: Exception) -> type[httpx.TransportError] | None:
    """Return the httpx error class to translate ``error`` to; None to leave it unchanged."""
    for raw, translated in _UNTRANSLATED:
        if isinstance(error, raw):
            return translated
    if is_error_of_h2(error):
        return httpx.RemoteProtocolError
    if isinstance(error, ExceptionGroup):
        failed_to_connect = all(
            isinstance(leaf, OSError | OverflowError) for leaf in _leaves(error)
        )
        return httpx.ConnectError if failed_to_connect else None
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group and its nested groups, or just ``error`` if it isn't a group."""
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
    if any(_is_permanent(cause) for cause in _causes(error)):
        return Fault.UNREACHABLE
    log = current_log()
    if log.body_consumed or log.unrepeatable:  # else an empty body, or a request without its key
        return Fault.OTHER
    return Fault.CONNECT_LATER if log.may_have_been_processed else Fault.CONNECT


def raw_headers(headers: HeaderTypes | None) -> list[tuple[bytes, bytes]]:
    """Return the raw names and values of headers, in whichever form they were passed."""
    return httpx.Headers(headers).raw


def request_of(error: Exception) -> httpx.Request | None:
    """Return the request that an httpx error belongs to; None if it has none."""
    try:
        request: httpx.Request | None = getattr(error, "request", None)
    except RuntimeError:  # httpx raises this if it was never set
        return None
    return request


def explain_connect_failure(error: Exception, request: httpx.Request | None) -> str:
    """Describe why the connection couldn't be established, in the operating system's words.

    The message names the host and port if the request is known, and no other part of the URL.
    """
    reason = str(error) or "no connection"
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, socket.gaierror):
            reason = os.strerror(cause.errno) if cause.errno > 0 else str(cause)
    if request is None:
        return reason
    port = request.url.port or {"http": 80, "https": 443}.get(request.url.scheme)
    return f"cannot connect to {request.url.host}:{port}: {reason}"


def _is_permanent(error: BaseException) -> bool:
    """Whether connecting again would fail the same way."""
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, _TLS_CONNECTION_LOST)
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return isinstance(error, OverflowError | UnicodeError | AddressRefusedError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and every error that led to it.

    httpcore raises ``from None``, so the operating system's error isn't the ``__cause__`` of
    httpcore's error; it is its ``args[0]``.
    """
    seen: set[int] = set()
    pending = [error]
    while pending:
        cause = pending.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [cause.__cause__, *cause.args[:1]]
        if isinstance(cause, BaseExceptionGroup):
            pending += cause.exceptions
