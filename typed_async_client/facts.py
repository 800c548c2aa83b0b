"""Classifies the errors of httpx, httpcore and the libraries below them.

No other module interprets these errors, or those of the forks httpx2 and httpcore2. Whether a
failed attempt is retried is decided in ``policies/``.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, TypeVar

import h11
import httpcore
import httpx

from typed_async_client.errors import AddressRefusedError
from typed_async_client.httpx_types import INVALID_USERINFO, HeaderTypes
from typed_async_client.libraries import is_error_of_h2, is_fork_instance
from typed_async_client.policies.classify import Fault
from typed_async_client.sent import current_log
from typed_async_client.wording import (
    describe_failure,
    explanation_of,
    format_server,
)

__all__ = [
    "as_httpx_error",
    "classify_error",
    "explain_connect_failure",
    "map_httpcore_error",
    "raw_headers",
    "reason_of",
    "request_of",
    "with_message",
    "without_userinfo",
]

_E = TypeVar("_E", bound=Exception)

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

_UNNAMED: dict[type[BaseException], str] = {
    ConnectionResetError: "the peer closed the connection",
    ConnectionAbortedError: "the connection was aborted",
    BrokenPipeError: "the connection is closed",
    TimeoutError: "timed out",
}
"""The meaning of errors that asyncio raises without a message."""

_SAYING_NOTHING = ("", "timed out", "The read operation timed out", "The write operation timed out")

_SAYING_NO_SERVER = ("[Errno ", "[SSL: ")

_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
"""What ``str()`` of an ``OSError`` starts with."""

_LIMITS = ("connect", "read", "write", "pool")
"""The timeouts of a request. The error of each has a class named after it."""

_TLS_CONNECTION_LOST = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors caused by a lost connection; after any other, a new handshake would fail too."""


def map_httpcore_error(error: Exception) -> Exception:
    """Return httpx's equivalent of an httpcore error; any other error is returned unchanged."""
    if not isinstance(error, _HTTPCORE_ERRORS):
        return error
    for kind in type(error).__mro__:
        equivalent = getattr(httpx, kind.__name__, None)
        if isinstance(equivalent, type) and issubclass(equivalent, httpx.TransportError):
            mapped: Exception = equivalent(explanation_of(error) or str(error))
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
    translated = kind(explanation_of(first) or str(first) or type(first).__name__)
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
    server = "" if request is None else _server_of(request)
    if server and f"cannot connect to {server}" in str(error):  # our pool has described it
        return str(error)
    reason = _words_of_system(error) or "no connection"
    if request is None:
        return reason
    return describe_failure(httpx.ConnectError, method=request.method, server=server, reason=reason)


def with_message(error: _E, request: httpx.Request | None) -> _E:
    """Return a network error whose message says something; any other error as it is.

    httpx's own transports raise many errors without a message, with just "timed out", or with the
    system's words alone, which don't tell the server. The error returned instead has the same class,
    cause and request. The original isn't changed: a mock may raise it many times.

    Args:
        error: the error that an attempt ended with.
        request: the request of that attempt; None if unknown.
    """
    reason = ""
    if str(error).startswith(_SAYING_NO_SERVER):
        reason = _words_of_system(error)
    elif str(error) not in _SAYING_NOTHING:
        return error
    details = {} if request is None else _details_of(error, request)
    message = describe_failure(type(error), reason=reason, **details)
    if not message:
        return error
    clone: _E = Exception.__new__(type(error), message)
    vars(clone).update(vars(error))
    clone.__cause__, clone.__context__ = error.__cause__, error.__context__
    clone.__suppress_context__ = error.__suppress_context__
    return clone.with_traceback(error.__traceback__)


def without_userinfo(error: Exception, url: str) -> Exception:
    """Return the error of an invalid URL without a quote from it; any other error as it is.

    An external client raises httpx's own error, which may quote a piece of a password.

    Args:
        error: the error that an attempt ended with.
        url: the URL of the request, redacted; an ``@`` tells that it has a user name.
    """
    is_invalid = isinstance(error, httpx.InvalidURL) or is_fork_instance(error, "InvalidURL")
    return type(error)(INVALID_USERINFO) if is_invalid and "@" in url else error


def reason_of(error: BaseException) -> str:
    """Return why an operation failed, in the operating system's words; never empty."""
    explanation = explanation_of(error)
    cause = error.args[0] if error.args else None
    if explanation or not isinstance(cause, BaseException):
        return explanation or _system_reason(error)
    return reason_of(cause)


def _system_reason(error: BaseException) -> str:
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    number = _errno_of(error)
    if number:
        return os.strerror(number) if number > 0 else str(error)
    return str(error) or _UNNAMED.get(type(error), type(error).__name__)


def _errno_of(error: BaseException) -> int | None:
    """Return the system's error number; name lookups and TLS have numbers of their own."""
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError):
        return error.errno
    return None


def _server_of(request: httpx.Request) -> str:
    url = request.url
    return format_server(url.scheme, url.raw_host.decode("ascii", "replace"), url.port)


def _words_of_system(error: Exception) -> str:
    """Return what the operating system said, if an error was its doing, else the error's message."""
    reason = _ERROR_NUMBER.sub("", str(error))
    for cause in _causes(error):
        if _errno_of(cause):
            reason = reason_of(cause)
    return reason


def _details_of(error: Exception, request: httpx.Request) -> dict[str, Any]:
    """Return what a message says about a request."""
    phase = next((name for name in _LIMITS if name in type(error).__name__.lower()), "")
    limit = request.extensions.get("timeout", {}).get(phase)
    return {"method": request.method, "server": _server_of(request), "limit": limit}


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
