"""Why a request failed, in the words of the system and of the libraries below; no decision rests on them."""

import os
import re
import socket
import ssl
from collections.abc import Iterator

import httpcore
import httpx

from typed_async_client.libraries import is_fork_instance, is_from
from typed_async_client.wording import explanation_of

__all__ = [
    "CONNECT_ERRORS",
    "LOST_IN_HANDSHAKE",
    "TLS_CONNECTION_LOST",
    "causes_of",
    "explain_handshake",
    "failure_reason",
    "hide_header_value",
    "is_from_the_wire",
    "reason_of",
    "says_nothing",
]

CONNECT_ERRORS = (httpx.ConnectError, httpcore.ConnectError)

TLS_CONNECTION_LOST = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors caused by a lost connection; after any other, a new handshake would fail too."""

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
    for each in causes_of(error):
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
    causes = list(causes_of(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return text if "lookup" in text else f"name lookup failed: {text}"
    for cause in causes:
        if _errno_of(cause) or isinstance(cause, ssl.SSLError):
            text = reason_of(cause)  # the last one is the first that happened
    is_connect = isinstance(error, CONNECT_ERRORS) or is_fork_instance(error, "ConnectError")
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
        error, TLS_CONNECTION_LOST
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


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
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
