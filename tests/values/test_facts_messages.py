"""Errors without a message get one; what is known about a failure is kept."""

import pickle
import socket
import ssl

import httpcore
import httpx
import httpx2
import pytest

from typed_async_client.described import with_message
from typed_async_client.httpx_errors import map_httpcore_error
from typed_async_client.reasons import reason_of
from typed_async_client.wording import explained

REQUEST = httpx.Request(
    "GET", "https://ann:pw@a.test/b?secret=1", extensions={"timeout": {"read": 2.5, "pool": None}}
)


class PickyError(httpx.ReadTimeout):
    """An error whose constructor needs more than a message."""

    def __init__(self, code: int, *, request: httpx.Request) -> None:
        super().__init__("", request=request)
        self.code = code


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ReadTimeout(""), "GET: no response from a.test:443 within 2.5 s (read timeout)"),
        (httpx2.ReadTimeout(""), "GET: no response from a.test:443 within 2.5 s (read timeout)"),
        (httpcore.ReadTimeout(), "GET: no response from a.test:443 within 2.5 s (read timeout)"),
        (
            httpx.ReadTimeout("timed out"),
            "GET: no response from a.test:443 within 2.5 s (read timeout)",
        ),
        (httpx.PoolTimeout(""), "GET: no free connection for a.test:443 (pool timeout)"),
        (httpx.ConnectTimeout(""), "GET: no connection to a.test:443 (connect timeout)"),
        (httpx.CloseError(""), "GET: the connection to a.test:443 could not be closed"),
        (httpx.LocalProtocolError(""), "GET: invalid request to a.test:443"),
        (
            httpx.ConnectError("[Errno -2] Name or service not known"),
            "GET: cannot connect to a.test:443: Name or service not known",
        ),
    ],
    ids=repr,
)
def test_a_message_that_says_nothing_is_replaced(error: Exception, message: str) -> None:
    """In an error of the same class, of whichever library."""
    described = with_message(error, REQUEST)
    assert (type(described), str(described)) == (type(error), message)
    assert str(pickle.loads(pickle.dumps(described))) == message


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("slow"), TimeoutError(), ValueError(), KeyError("")], ids=repr
)
def test_every_other_error_is_left_alone(error: Exception) -> None:
    """One with a message, and one of the caller's own code."""
    assert with_message(error, REQUEST) is error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown host"), "name lookup failed: unknown host"),
        (ConnectionRefusedError(111, "refused"), "Connection refused"),
        (
            ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] x"),
            "TLS handshake failed: [SSL: CERT",
        ),
    ],
    ids=repr,
)
def test_words_of_the_system_that_name_no_server_are_completed(cause: OSError, reason: str) -> None:
    """As httpx's own transports pass them on, for synchronous clients too."""
    error = httpx.ConnectError(str(cause))
    error.__cause__ = cause
    described = with_message(error, REQUEST)
    assert str(described).startswith(f"GET: cannot connect to a.test:443: {reason}")
    assert described.__cause__ is cause


def test_an_error_keeps_its_cause_its_request_its_notes_and_its_attributes() -> None:
    """Even if its class can't be called with a message."""
    original = PickyError(7, request=REQUEST)
    original.add_note("seen by a hook")
    try:
        raise original from OSError("why")
    except PickyError as raised:
        described = with_message(raised, None)
    assert type(described) is PickyError
    assert str(described) == "no response from the server (read timeout)"
    assert (described.code, described.request) == (7, REQUEST)
    assert described.__notes__ == ["seen by a hook"]
    assert (described.__cause__, described.__traceback__) == (
        original.__cause__,
        original.__traceback__,
    )
    assert str(original) == ""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('::1', 1)"), "Connection refused"),
        (ConnectionResetError(), "the peer closed the connection"),
        (OSError("all failed"), "all failed"),
        (OSError(-5, "no such unit"), "[Errno -5] no such unit"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "Name or service not known",
        ),
        (ssl.SSLError(1, "[SSL] wrong version"), "[SSL] wrong version"),
        (httpcore.ConnectError(ConnectionRefusedError(111, "no")), "Connection refused"),
        (httpcore.ReadError("gone"), "gone"),
        (explained(httpcore.ReadError("gone"), "explained"), "explained"),
        (ValueError(), "ValueError"),
    ],
    ids=repr,
)
def test_the_reason_of_an_error_is_in_the_systems_words(error: Exception, reason: str) -> None:
    """Name lookups and TLS count their errors differently; no reason is empty."""
    assert reason_of(error) == reason


def test_the_explanation_of_an_httpcore_error_becomes_httpxs_message() -> None:
    """A note that somebody else made doesn't."""
    error = httpcore.ReadError(ConnectionResetError(104, "reset"))
    error.add_note("seen by a hook")
    assert str(map_httpcore_error(error)) == "[Errno 104] reset"
    assert str(map_httpcore_error(explained(error, "connection lost"))) == "connection lost"
