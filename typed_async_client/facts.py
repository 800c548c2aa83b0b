"""Reads the facts about an attempt off its response or its error, and the log of what it has sent.

No other module interprets the errors of httpx, httpcore and the libraries below them, or those of
the forks httpx2 and httpcore2. Whether an attempt is followed by another is decided in ``policies/``.
"""

import dataclasses
import functools
import operator
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import httpcore
import httpx

from typed_async_client.errors import AddressRefusedError, ConnectError
from typed_async_client.httpx_errors import as_httpx_error
from typed_async_client.httpx_types import HeaderTypes
from typed_async_client.libraries import is_fork_instance
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.policies.retry_headers import read_retry_headers
from typed_async_client.reasons import CONNECT_ERRORS, TLS_CONNECTION_LOST, causes_of
from typed_async_client.sent import SentLog
from typed_async_client.urls import origin_name

__all__ = [
    "body_size_of",
    "facts_of_broken_body",
    "facts_of_error",
    "facts_of_response",
    "fault_of",
    "is_closed",
    "is_kind",
    "is_timeout",
    "origin_after_redirects",
    "origin_of",
    "raw_headers",
    "request_of",
]

_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)

_ERRORS_FROM: Final = 400
"""Smaller statuses tell nothing about sending a request again."""

_MISDIRECTED: Final = 421
"""The server isn't responsible for the URL (RFC 9110 section 15.5.20)."""

_UNSENT: Final = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")
"""Errors raised before a byte of the request has left, by the name of their class."""


def facts_of_response(response: Any, log: SentLog, *, idempotent: bool) -> Facts:
    """Return the facts about an attempt that was answered.

    Args:
        response: the response, of httpx or httpx2.
        log: what the attempt has sent.
        idempotent: whether the request may be sent twice.
    """
    status = response.status_code
    idempotent = idempotent and not log.unrepeatable
    if status < _ERRORS_FROM:
        return _plain_facts(status, idempotent, not log.body_consumed)
    advice = read_retry_headers(response.headers.raw, status=status, wall=time.time())
    return Facts(
        fault=None,
        sent=Sent.UNPROCESSED if status == _MISDIRECTED else Sent.ANSWERED,
        status=status,
        retry_after=advice.retry_after,
        should_retry=advice.should_retry,
        idempotent=idempotent,
        replayable=not log.body_consumed,
        body=log.body_kind or None,
        follows_others=log.hops > 1 or bool(response.history),
    )


@functools.lru_cache(maxsize=256)
def _plain_facts(
    status: int,
    idempotent: bool,  # noqa: FBT001 - positional for the cache
    replayable: bool,  # noqa: FBT001 - positional for the cache
) -> Facts:
    """Return the facts about a success, which are the same for all successes of that status."""
    return Facts(
        fault=None,
        sent=Sent.ANSWERED,
        status=status,
        idempotent=idempotent,
        replayable=replayable,
    )


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
        body=log.body_kind or None,
        local=is_kind(error, "PoolTimeout"),
    )


def fault_of(error: Exception) -> Fault:
    """Classify an error of a request of which no log is at hand."""
    if isinstance(error, ConnectError):
        return Fault.UNREACHABLE if any(map(_is_permanent, causes_of(error))) else Fault.CONNECT
    return _fault_of(error, SentLog())


def is_timeout(error: Exception) -> bool:
    """Whether an error says that something took too long."""
    return isinstance(error, _TIMEOUTS) or is_fork_instance(error, "TimeoutException")


def facts_of_broken_body(facts: Facts, error: Exception) -> Facts:
    """Return the facts about an attempt whose response body has broken after it was handed over."""
    return dataclasses.replace(facts, fault=fault_of(as_httpx_error(error)))


def _fault_of(error: Exception, log: SentLog) -> Fault:
    if is_timeout(error):
        return Fault.TIMEOUT
    if isinstance(error, CONNECT_ERRORS) or is_fork_instance(error, "ConnectError"):
        if isinstance(error, ConnectError) or any(map(_is_permanent, causes_of(error))):
            return Fault.UNREACHABLE  # our own error: a transport below has already retried
        return Fault.CONNECT_LATER if log.may_have_been_processed else Fault.CONNECT
    is_lost = any(is_kind(error, name) for name in ("NetworkError", "RemoteProtocolError"))
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
    is_unsent = is_unsent or any(is_kind(error, name) for name in _UNSENT)
    return Sent.NOTHING if is_unsent else Sent.UNANSWERED


def _is_invalid_redirect(error: Exception) -> bool:
    """Whether a redirect led to an invalid URL, which httpx reports as a violation by the server."""
    return "location header" in str(error).lower()


def is_kind(error: Exception, name: str) -> bool:
    """Whether an error is an instance of the class of that name, of httpx, httpcore or a fork."""
    kinds = (getattr(httpx, name), getattr(httpcore, name, ()))
    return isinstance(error, kinds) or is_fork_instance(error, name)


is_closed: Callable[[Any], bool] = operator.attrgetter("is_closed")
"""Whether the body of a response has been read or closed; an attrgetter, as every request asks."""


def body_size_of(response: Any) -> int | None:
    """Return the bytes in the body of a response, as far as they are known; None if they aren't."""
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        return int(declared[:20])
    try:
        return len(response.content)
    except RuntimeError:  # it hasn't been read
        return None


def raw_headers(headers: HeaderTypes | None) -> list[tuple[bytes, bytes]]:
    """Return the raw names and values of headers, in whichever form they were passed."""
    return httpx.Headers(headers).raw


def request_of(value: object) -> httpx.Request | None:
    """Return the request that an error or a response of httpx belongs to; None if it has none."""
    try:
        request: httpx.Request | None = getattr(value, "request", None)
    except RuntimeError:  # httpx raises this if it was never set
        return None
    return request


def origin_of(request: Any) -> str:
    """Return scheme, host, and port if it isn't the default; empty without a request.

    It has the form of ``RequestRecord.origin``.
    """
    return "" if request is None else origin_name(request.url)


def origin_after_redirects(response: Any) -> str:
    """Return the origin that has answered, if redirects led there; empty without redirects."""
    return origin_of(response.request) if response.history else ""


def _is_permanent(error: BaseException) -> bool:
    """Whether connecting again would fail the same way."""
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, TLS_CONNECTION_LOST)
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return isinstance(error, OverflowError | UnicodeError | AddressRefusedError)
