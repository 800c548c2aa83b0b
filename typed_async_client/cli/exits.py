"""What the end of a request means to whoever ran the command: an exit code and one line.

Pure: the response or the error goes in, a value comes out. The codes are those that HTTPie and
curl users know.
"""

import enum
import socket
import ssl
from http import HTTPStatus
from typing import TypeAlias

import httpx

from typed_async_client.cli.redact import one_line
from typed_async_client.facts import classify_error
from typed_async_client.policies.classify import Fault

__all__ = ["Ending", "Exit", "complaint", "describe", "exit_code"]

Ending: TypeAlias = httpx.Response | Exception
"""What a request ended with."""


class Exit(enum.IntEnum):
    """The exit codes of ``get``."""

    SUCCESS = 0
    UNEXPECTED = 1  #: any failure that has no code of its own
    USAGE = 2  #: the command line is wrong; nothing was sent
    REDIRECTED = 3  #: 3xx, with --check-status
    REFUSED = 4  #: 4xx, with --check-status
    BROKEN = 5  #: 5xx, with --check-status
    TOO_MANY_REDIRECTS = 6
    NOT_CONNECTED = 7  #: connect, DNS or TLS failure
    TIMEOUT = 28


_BY_CLASS = {3: Exit.REDIRECTED, 4: Exit.REFUSED, 5: Exit.BROKEN}

_BY_FAULT = {
    Fault.CONNECT: Exit.NOT_CONNECTED,
    Fault.UNREACHABLE: Exit.NOT_CONNECTED,
    Fault.TIMEOUT: Exit.TIMEOUT,
}

_ADVICE = {
    Exit.REDIRECTED: "it does not say where to go on",
    Exit.REFUSED: "check the URL and the headers",
    Exit.BROKEN: "the server is in trouble, try again later",
    Exit.TOO_MANY_REDIRECTS: "the redirects may run in a circle, look at them without -L",
    Exit.NOT_CONNECTED: "check the certificates and the proxy",
    Exit.TIMEOUT: "the server took too long; allow more seconds with --timeout",
    Exit.UNEXPECTED: "try again, or tell those who run the server",
}

_CONNECT_ADVICE = {
    Fault.CONNECT: "check that the server runs, or allow more retries with --retry",
    Fault.UNREACHABLE: "check the host name, the port and the certificate",
}

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "BAD_RECORD")
"""What OpenSSL, old and new, says when the answer to its hello is no TLS record."""


def exit_code(ending: Ending, *, check_status: bool) -> Exit:
    """Give the exit code of an ended request.

    Args:
        ending: the response or the error.
        check_status: whether a response of 300 and above counts as a failure.
    """
    if isinstance(ending, httpx.Response):
        kind = ending.status_code // 100
        return _BY_CLASS.get(kind, Exit.SUCCESS) if check_status else Exit.SUCCESS
    if isinstance(ending, httpx.TooManyRedirects):
        return Exit.TOO_MANY_REDIRECTS
    if isinstance(ending, httpx.ProxyError) or isinstance(ending.__cause__, ssl.SSLError):
        return Exit.NOT_CONNECTED
    return _BY_FAULT.get(classify_error(ending), Exit.UNEXPECTED)


def complaint(ending: Ending, code: Exit) -> str | None:
    """Say in one line what was wrong and what to do; None when nothing was.

    A redirect that was not followed is told whatever its code: its body is not what was wanted.
    """
    if isinstance(ending, httpx.Response) and ending.next_request is not None:
        there = one_line(str(ending.next_request.url))
        return f"{_status(ending)} to {there}: use -L to follow it"
    if code is Exit.SUCCESS:
        return None
    if isinstance(ending, httpx.Response):
        return f"the server answered {_status(ending)}: {_ADVICE[code]}"
    advice = _connect_advice(ending) or _ADVICE[code]
    notes = "".join(f", {note}" for note in getattr(ending, "__notes__", ()))
    return f"{describe(ending)}{notes}: {advice}"


def describe(error: BaseException) -> str:
    """Say which error it is and what it says, in one line without secrets."""
    name, text = type(error).__name__, one_line(str(error)).rstrip(".")
    return f"{name} ({text})" if text else name


def _connect_advice(error: Exception) -> str | None:
    origin = _origin(error)
    if isinstance(origin, socket.gaierror):
        if origin.errno == socket.EAI_AGAIN:
            return "check the network and its name service, or allow more retries"
        return "check the host name"
    if isinstance(origin, ssl.SSLError) and _says_no_tls(origin):
        return "this port speaks no TLS: try http://"
    return _CONNECT_ADVICE.get(classify_error(error))


def _says_no_tls(error: ssl.SSLError) -> bool:
    # Not its ``reason``: that is None when OpenSSL is newer than the names that Python knows.
    said = str(error).upper().replace(" ", "_")
    return any(words in said for words in _NO_TLS)


def _origin(error: BaseException) -> BaseException:
    """Give the error of the system behind one of httpx's; httpcore has it in ``args[0]``."""
    below = error.__cause__ or next(iter(error.args), None)
    return _origin(below) if isinstance(below, BaseException) else error


def _status(response: httpx.Response) -> str:
    # Not the server's own phrase: it may hold anything.
    code = response.status_code
    phrase = HTTPStatus(code).phrase if code in set(HTTPStatus) else ""
    return f"{code} {phrase}".strip()
