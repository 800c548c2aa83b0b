"""Maps the result of a request to an exit code and a one-line message.

Pure: a response or an error goes in, a value comes out. The exit codes are those of HTTPie and
curl.
"""

import enum
import socket
import ssl
from http import HTTPStatus
from typing import TypeAlias

import httpx

from typed_async_client.facts import fault_of
from typed_async_client.policies.classify import Fault
from typed_async_client.redact import one_line

__all__ = ["Exit", "Result", "describe", "exit_code", "failure_message"]

Result: TypeAlias = httpx.Response | Exception
"""The response or the error that a request ended with."""


class Exit(enum.IntEnum):
    """The exit codes of ``get``."""

    SUCCESS = 0
    UNEXPECTED = 1  #: any failure without a specific code
    USAGE = 2  #: invalid command line; nothing was sent
    REDIRECTED = 3  #: 3xx, with --check-status
    CLIENT_ERROR = 4  #: 4xx, with --check-status
    SERVER_ERROR = 5  #: 5xx, with --check-status
    TOO_MANY_REDIRECTS = 6
    CONNECT_FAILED = 7  #: connect, DNS or TLS failure
    TIMEOUT = 28


_BY_CLASS = {3: Exit.REDIRECTED, 4: Exit.CLIENT_ERROR, 5: Exit.SERVER_ERROR}

_BY_FAULT = {
    Fault.CONNECT: Exit.CONNECT_FAILED,
    Fault.UNREACHABLE: Exit.CONNECT_FAILED,
    Fault.TIMEOUT: Exit.TIMEOUT,
}

_ADVICE = {
    Exit.REDIRECTED: "there is no redirect to follow",
    Exit.CLIENT_ERROR: "check the URL and the headers",
    Exit.SERVER_ERROR: "try again later",
    Exit.TOO_MANY_REDIRECTS: "the redirects may form a loop, inspect them without -L",
    Exit.CONNECT_FAILED: "check the certificates and the proxy",
    Exit.TIMEOUT: "the server took too long, allow more time with --timeout",
    Exit.UNEXPECTED: "try again, or contact the operator of the server",
}

_CONNECT_ADVICE = {
    Fault.CONNECT: "check that the server is running, or allow more retries with --retry",
    Fault.UNREACHABLE: "check the host name, the port and the certificate",
}

_TLS_MISMATCH = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "BAD_RECORD",
)
"""What old and new versions of OpenSSL report if the reply to their hello isn't a TLS record."""


def exit_code(result: Result, *, check_status: bool) -> Exit:
    """Return the exit code for the result of a request.

    Args:
        result: the response or the error of the request.
        check_status: whether a response of 300 and above counts as a failure.
    """
    if isinstance(result, httpx.Response):
        status_class = result.status_code // 100
        return _BY_CLASS.get(status_class, Exit.SUCCESS) if check_status else Exit.SUCCESS
    if isinstance(result, httpx.TooManyRedirects):
        return Exit.TOO_MANY_REDIRECTS
    if isinstance(result, httpx.ProxyError) or isinstance(result.__cause__, ssl.SSLError):
        return Exit.CONNECT_FAILED
    return _BY_FAULT.get(fault_of(result), Exit.UNEXPECTED)


def failure_message(result: Result, code: Exit) -> str | None:
    """Return one line with what failed and what to do, or None if nothing failed.

    A redirect that wasn't followed is reported even if the exit code is 0, because its body isn't
    what the user asked for.
    """
    if isinstance(result, httpx.Response) and result.next_request is not None:
        target = one_line(str(result.next_request.url))
        return f"{_status(result)} to {target}: use -L to follow it"
    if code is Exit.SUCCESS:
        return None
    if isinstance(result, httpx.Response):
        return f"the server answered {_status(result)}: {_ADVICE[code]}"
    advice = _connect_advice(result) or _ADVICE[code]
    notes = "".join(f", {note}" for note in getattr(result, "__notes__", ()))
    return f"{describe(result)}{notes}: {advice}"


def describe(error: BaseException) -> str:
    """Return the type and the message of an error, in one line without secrets."""
    name, text = type(error).__name__, one_line(str(error)).rstrip(".")
    return f"{name} ({text})" if text else name


def _connect_advice(error: Exception) -> str | None:
    origin = _origin(error)
    if isinstance(origin, socket.gaierror):
        if origin.errno == socket.EAI_AGAIN:
            return "check the network and the DNS server, or allow more retries"
        return "check the host name"
    if isinstance(origin, ssl.SSLError) and _is_tls_mismatch(origin):
        return "the server doesn't speak TLS on this port, try http://"
    return _CONNECT_ADVICE.get(fault_of(error))


def _is_tls_mismatch(error: ssl.SSLError) -> bool:
    # ``error.reason`` is None if OpenSSL is newer than the reasons that Python knows.
    text = str(error).upper().replace(" ", "_")
    return any(reason in text for reason in _TLS_MISMATCH)


def _origin(error: BaseException) -> BaseException:
    """Return the system error behind an error of httpx; httpcore stores it in ``args[0]``."""
    cause = error.__cause__ or next(iter(error.args), None)
    return _origin(cause) if isinstance(cause, BaseException) else error


def _status(response: httpx.Response) -> str:
    # Not the phrase sent by the server, which may contain anything.
    code = response.status_code
    phrase = HTTPStatus(code).phrase if code in set(HTTPStatus) else ""
    return f"{code} {phrase}".strip()
