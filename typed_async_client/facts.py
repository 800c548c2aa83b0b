"""Reads the facts about an attempt off its response or its error, and the log of what it has sent.

No other module interprets the errors of httpx, httpcore and the libraries below them, or those of
the forks httpx2 and httpcore2. Whether an attempt is followed by another is decided in ``policies/``.
"""

import dataclasses
import functools
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Final

import h11
import httpcore
import httpx

from typed_async_client.errors import AddressRefusedError, ConnectError
from typed_async_client.httpx_types import HeaderTypes
from typed_async_client.libraries import is_error_of_h2, is_fork_instance, is_from
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry_headers import read_retry_headers
from typed_async_client.sent import SentLog
from typed_async_client.wording import explanation_of

__all__ = [
    "LOST_IN_HANDSHAKE",
    "as_httpx_error",
    "explain_handshake",
    "facts_of_broken_body",
    "facts_of_error",
    "facts_of_response",
    "failure_reason",
    "fault_of",
    "hide_header_value",
    "is_from_the_wire",
    "map_httpcore_error",
    "origin_of",
    "raw_headers",
    "reason_of",
    "request_of",
    "says_nothing",
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

_ERRORS_FROM: Final = 400
"""Smaller statuses tell nothing about sending a request again."""

_UNSENT: Final = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")
"""Errors raised before a byte of the request has left, by the name of their class."""

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
"""Messages of errors that say no more than their class."""

_SAYING_NO_SERVER = ("[Errno ", "[SSL: ")
"""Starts of the system's words, which don't name the server either."""

LOST_IN_HANDSHAKE = "the connection was closed during the TLS handshake"

_LOST_STREAMS = ("EndOfStream", "BrokenResourceError")
"""What anyio raises when a connection is lost; httpcore makes connect errors of them only in TLS."""

_WIRE_LIBRARIES = ("httpcore", "httpcore2", "aiohttp", "pyreqwest", "h11", "h2", "socksio")

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_HEADER_VALUE = re.compile(r"(Illegal header value) b['\"].*", re.DOTALL)
"""What h11 says of a header value, which may be a secret."""

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
    if is_from(error, "socksio"):
        return httpx.ProxyError
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


def facts_of_response(response: Any, *, idempotent: bool) -> Facts:
    """Return the facts about an attempt that was answered.

    Args:
        response: the response, of httpx or httpx2.
        idempotent: whether the request may be sent twice.
    """
    status = response.status_code
    if status < _ERRORS_FROM:
        return _plain_facts(status, idempotent)
    advice = read_retry_headers(response.headers.raw, status=status, wall=time.time())
    return Facts(
        fault=None,
        sent=Sent.ANSWERED,
        status=status,
        retry_after=advice.retry_after,
        should_retry=advice.should_retry,
        idempotent=idempotent,
    )


@functools.lru_cache(maxsize=256)
def _plain_facts(status: int, idempotent: bool) -> Facts:  # noqa: FBT001 - positional for the cache
    """Return the facts about a success, which are the same for all successes of that status."""
    return Facts(fault=None, sent=Sent.ANSWERED, status=status, idempotent=idempotent)


def facts_of_error(error: Exception, log: SentLog, *, idempotent: bool) -> Facts:
    """Return the facts about an attempt that failed with an error of ``as_httpx_error``.

    Args:
        error: the error.
        log: what the attempt has sent.
        idempotent: whether the request may be sent twice.
    """
    fault = _fault_of(error, log)
    return Facts(
        fault=fault,
        sent=_sent_before(error, fault, log),
        idempotent=idempotent and not log.unrepeatable,
        replayable=not log.body_consumed,
        local=_is_kind(error, "PoolTimeout"),
    )


def fault_of(error: Exception) -> Fault:
    """Classify an error of a request of which no log is at hand."""
    if isinstance(error, ConnectError):
        return Fault.UNREACHABLE if any(map(_is_permanent, _causes(error))) else Fault.CONNECT
    return _fault_of(error, SentLog())


def facts_of_broken_body(facts: Facts, error: Exception) -> Facts:
    """Return the facts about an attempt whose response body has broken after it was handed over."""
    return dataclasses.replace(facts, fault=fault_of(as_httpx_error(error)))


def _fault_of(error: Exception, log: SentLog) -> Fault:
    if isinstance(error, _TIMEOUTS) or is_fork_instance(error, "TimeoutException"):
        return Fault.TIMEOUT
    if isinstance(error, _CONNECT_ERRORS) or is_fork_instance(error, "ConnectError"):
        if isinstance(error, ConnectError) or any(map(_is_permanent, _causes(error))):
            return Fault.UNREACHABLE  # our own error: a transport below has already retried
        return Fault.CONNECT_LATER if log.may_have_been_processed else Fault.CONNECT
    is_lost = any(_is_kind(error, name) for name in ("NetworkError", "RemoteProtocolError"))
    return Fault.LOST if is_lost and not _is_invalid_redirect(error) else Fault.OTHER


def _sent_before(error: Exception, fault: Fault, log: SentLog) -> Sent:
    """Return how far an attempt got before it failed."""
    if log.in_body:
        return Sent.ANSWERED
    if log.is_refused and log.hops <= 1:
        return Sent.UNPROCESSED
    if log.may_have_been_processed:
        return Sent.UNANSWERED
    is_unsent = log.has_sent_nothing or fault is Fault.CONNECT
    is_unsent = is_unsent or any(_is_kind(error, name) for name in _UNSENT)
    return Sent.NOTHING if is_unsent else Sent.UNANSWERED


def _is_invalid_redirect(error: Exception) -> bool:
    """Whether a redirect led to an invalid URL, which httpx reports as a violation by the server."""
    return "location header" in str(error).lower()


def _is_kind(error: Exception, name: str) -> bool:
    """Whether an error is an instance of the class of that name, of httpx, httpcore or a fork."""
    kinds = (getattr(httpx, name), getattr(httpcore, name, httpx.HTTPError))
    return isinstance(error, kinds) or is_fork_instance(error, name)


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


def origin_of(request: Any) -> str:
    """Return scheme, host, and port if it isn't the default; empty without a request.

    It has the form of ``RequestRecord.origin``.
    """
    if request is None:
        return ""
    url = request.url
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def says_nothing(error: BaseException) -> bool:
    """Whether the message of an error says no more than its class."""
    return str(error) in _SAYING_NOTHING


def is_from_the_wire(error: Exception) -> bool:
    """Whether an error has the words of the system, or of a library that does the network's work.

    Otherwise somebody else chose its words: a mock, a hook, another transport.
    """
    cause = error.__cause__
    if str(error).startswith(_SAYING_NO_SERVER):
        return True
    return is_from(cause, *_WIRE_LIBRARIES) or isinstance(cause, ssl.SSLError | UnicodeError)


def hide_header_value(error: BaseException) -> None:
    """Remove a header value, which may be a secret, from an error of h11 and what it led to."""
    for each in _causes(error):
        each.args = tuple(
            _HEADER_VALUE.sub(r"\1", value) if isinstance(value, str) else value
            for value in each.args
        )


def failure_reason(error: Exception, *, over_tls: bool) -> str:
    """Return why a request failed, for errors of httpx's own transports and the backends.

    Args:
        error: an error of httpx, with the error of the library below as its cause.
        over_tls: whether the request was for an https or wss URL.

    Returns:
        The reason, without anything of the URL and without header values; empty if unknown.
    """
    text = _ERRNO.sub("", _HEADER_VALUE.sub(r"\1", str(error)))
    if says_nothing(error) or "handshake operation timed out" in text:
        text = "timed out during the TLS handshake" if "handshake" in text else ""
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return text if "lookup" in text else f"name lookup failed: {text}"
    for cause in causes:
        if _errno_of(cause) or isinstance(cause, ssl.SSLError):
            text = reason_of(cause)  # the last one is the first that happened
    is_connect = isinstance(error, _CONNECT_ERRORS) or is_fork_instance(error, "ConnectError")
    return _in_handshake(causes, text) if is_connect and over_tls else text


def _in_handshake(causes: list[BaseException], text: str) -> str:
    """Say that a connection was lost or refused during its TLS handshake, if it was."""
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLError):
            return explain_handshake(cause)
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return f"{LOST_IN_HANDSHAKE}: {text}"
        if type(cause).__name__ in _LOST_STREAMS:
            return LOST_IN_HANDSHAKE
    return text


def explain_handshake(error: Exception) -> str:
    """Return why a TLS handshake failed."""
    if isinstance(error, ssl.SSLError | UnicodeError) and not isinstance(
        error, _TLS_CONNECTION_LOST
    ):
        return f"TLS handshake failed: {error}"
    return f"{LOST_IN_HANDSHAKE}: {reason_of(error)}" if error.args else LOST_IN_HANDSHAKE


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
