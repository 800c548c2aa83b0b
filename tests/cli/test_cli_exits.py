"""The exit code and the message for each result of a request."""

import asyncio
import socket
import ssl

import httpx
import pytest

from typed_async_client import ConnectError
from typed_async_client.cli.exits import Exit, describe, exit_code, failure_message


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx.ConnectError("refused"), 7),
        (ConnectError("refused"), 7),
        (_caused(httpx.ConnectError("unknown"), socket.gaierror(-2, "unknown")), 7),
        (_caused(httpx.ConnectError("certificate"), ssl.SSLCertVerificationError()), 7),
        (_caused(httpx.ReadError("alert"), ssl.SSLError("certificate required")), 7),
        (httpx.ProxyError("407"), 7),
        (httpx.ConnectTimeout(""), 28),
        (httpx.ReadTimeout(""), 28),
        (TimeoutError(), 28),
        (httpx.TooManyRedirects("20"), 6),
        (httpx.ReadError(""), 1),
        (httpx.RemoteProtocolError("half"), 1),
        (httpx.DecodingError("gzip"), 1),
        (RuntimeError("?"), 1),
    ],
)
@pytest.mark.parametrize("check_status", [False, True])
def test_each_error_has_an_exit_code(
    error: Exception,
    code: int,
    check_status: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    """--check-status doesn't matter, as there is no status."""
    assert exit_code(error, check_status=check_status) == code
    assert failure_message(error, exit_code(error, check_status=check_status))


@pytest.mark.parametrize(
    ("status", "code"), [(200, 0), (204, 0), (302, 3), (304, 3), (404, 4), (500, 5), (599, 5)]
)
def test_a_status_only_affects_the_exit_code_when_it_is_checked(status: int, code: int) -> None:
    """Without --check-status, every response is a success."""
    response = httpx.Response(status)
    assert exit_code(response, check_status=True) == code
    assert exit_code(response, check_status=False) == 0


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (httpx.Response(200), None),
        (
            httpx.Response(302),
            "the server answered 302 Found: there is no redirect to follow",
        ),
        (httpx.Response(404), "the server answered 404 Not Found: check the URL and the headers"),
        (
            httpx.Response(599, extensions={"reason_phrase": b"\x1b[2J"}),
            "the server answered 599: try again later",
        ),
        (
            httpx.ReadTimeout(""),
            "ReadTimeout: the server took too long, allow more time with --timeout",
        ),
        (
            httpx.TooManyRedirects("Exceeded."),
            "TooManyRedirects (Exceeded): the redirects may form a loop, inspect them without -L",
        ),
        (
            httpx.RemoteProtocolError("half\r\n\x1b[2J"),
            "RemoteProtocolError (half ?[2J): try again, or contact the operator of the server",
        ),
        (
            _caused(httpx.ConnectError("Unknown name"), socket.gaierror(-2, "?")),
            "ConnectError (Unknown name): check the host name",
        ),
        (
            _caused(ConnectError("Later"), socket.gaierror(socket.EAI_AGAIN, "?")),
            "ConnectError (Later): check the network and the DNS server, or allow more retries",
        ),
        (
            _caused(httpx.ConnectError("Port 0"), OverflowError("port must be 0-65535")),
            "ConnectError (Port 0): check the host name, the port and the certificate",
        ),
        (
            _caused(httpx.ConnectError("TLS"), ssl.SSLError(1, "[SSL] record layer failure")),
            "ConnectError (TLS): the server doesn't speak TLS on this port, try http://",
        ),
        (
            _caused(httpx.ConnectError("TLS"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] w")),
            "ConnectError (TLS): the server doesn't speak TLS on this port, try http://",
        ),
    ],
)
def test_a_failure_is_reported_in_one_line(result: httpx.Response | Exception, line: str) -> None:
    """The line says what failed and what to do, and has no control characters of the server."""
    assert failure_message(result, exit_code(result, check_status=True)) == line


@pytest.mark.parametrize("check_status", [False, True])
def test_a_redirect_that_was_not_followed_is_reported_whatever_the_exit_code(
    check_status: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    """The line includes the target, without its secrets."""
    response = httpx.Response(301)
    response.next_request = httpx.Request("GET", "https://ann:hush@h/there?token=hush&page=2")
    code = exit_code(response, check_status=check_status)
    assert code == (Exit.REDIRECTED if check_status else Exit.SUCCESS)
    assert failure_message(response, code) == (
        "301 Moved Permanently to https://REDACTED:REDACTED@h/there?token=REDACTED&page=2: "
        "use -L to follow it"
    )


def test_the_notes_of_an_error_are_included() -> None:
    """The note of an exhausted request has its number of attempts."""
    error = ConnectError("refused")
    error.add_note("no connection after 3 attempts")
    assert failure_message(error, Exit.CONNECT_FAILED) == (
        "ConnectError (refused), no connection after 3 attempts: check that the server is running, or "
        "allow more retries with --retry"
    )


def test_an_error_without_a_message_is_described_by_its_type() -> None:
    """There are no empty parentheses."""
    assert describe(asyncio.CancelledError()) == "CancelledError"
