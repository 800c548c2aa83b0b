"""The classification of errors, with constructed exceptions; ``tests/wire`` uses real ones."""

import socket
import ssl
from collections.abc import Callable

import h2.exceptions
import h11
import httpcore
import httpx
import pytest

from typed_async_client import ConnectError
from typed_async_client.described import explain_connect_failure
from typed_async_client.facts import (
    as_httpx_error,
    classify_error,
    map_httpcore_error,
)
from typed_async_client.outcome import Failed
from typed_async_client.policies.classify import Fault


def caused(error: Exception, cause: BaseException) -> Exception:
    """Return ``error`` with ``cause`` as its cause, as after ``raise ... from``."""
    error.__cause__ = cause
    return error


def connect_error(origin: Exception) -> Exception:
    """Create the chain that httpx raises: httpcore keeps the OS error in ``args[0]``."""
    return caused(httpx.ConnectError("no"), httpcore.ConnectError(origin))


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (httpx.ConnectError("no"), Fault.CONNECT),
        (httpcore.ConnectError("no"), Fault.CONNECT),
        (connect_error(caused(OSError("all failed"), ConnectionRefusedError())), Fault.CONNECT),
        (connect_error(socket.gaierror(socket.EAI_AGAIN, "later")), Fault.CONNECT),
        (connect_error(ssl.SSLEOFError("cut short")), Fault.CONNECT),
        (connect_error(socket.gaierror(socket.EAI_NONAME, "unknown")), Fault.UNREACHABLE),
        (connect_error(ssl.SSLCertVerificationError("expired")), Fault.UNREACHABLE),
        (connect_error(ssl.SSLError("wrong version number")), Fault.UNREACHABLE),
        (connect_error(UnicodeError("label too long")), Fault.UNREACHABLE),
        (httpx.ConnectTimeout("slow"), Fault.TIMEOUT),
        (httpx.PoolTimeout("full"), Fault.TIMEOUT),
        (httpcore.ReadTimeout("slow"), Fault.TIMEOUT),
        (TimeoutError("slow"), Fault.TIMEOUT),
        (httpx.ReadError("cut"), Fault.OTHER),
        (httpx.UnsupportedProtocol("ftp"), Fault.OTHER),
        (httpx.ProxyError("407"), Fault.OTHER),
        (ValueError("the user's own"), Fault.OTHER),
    ],
    ids=repr,
)
def test_each_error_is_classified_as_a_fault(error: Exception, fault: Fault) -> None:
    """Connect failures are divided by whether another attempt could succeed."""
    assert classify_error(error) is fault


def test_a_connect_error_of_exhausted_retries_is_not_retried_again() -> None:
    """A resilient transport in a resilient client would make nine attempts instead of three."""
    assert Failed.of(ConnectError("given up")).fault is Fault.UNREACHABLE
    assert Failed.of(httpx.ConnectError("no")).fault is Fault.CONNECT


def test_a_cyclic_chain_of_causes_is_handled() -> None:
    """Two errors that are each other's cause don't lead to an infinite loop."""
    first, second = httpx.ConnectError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert classify_error(first) is Fault.CONNECT


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ssl.SSLError("bad record"), httpx.ReadError),
        (h11.LocalProtocolError("too much data"), httpx.LocalProtocolError),
        (h11.RemoteProtocolError("nonsense"), httpx.RemoteProtocolError),
        (ExceptionGroup("connecting", [OverflowError("port")]), httpx.ConnectError),
        (h2.exceptions.NoSuchStreamError(3), httpx.RemoteProtocolError),
    ],
    ids=repr,
)
def test_a_raw_error_becomes_an_httpx_error_with_the_original_as_cause(
    raw: Exception, expected: type[Exception]
) -> None:
    """No raw error of ssl, h11 or h2 and no group of connect failures reaches the caller."""
    error = as_httpx_error(raw)
    assert type(error) is expected
    assert error.__cause__ is raw


def test_the_message_of_a_group_is_that_of_its_first_error() -> None:
    """The message of the group itself isn't helpful."""
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [OverflowError("port 0-65535")])])
    assert str(as_httpx_error(group)) == "port 0-65535"
    assert classify_error(as_httpx_error(group)) is Fault.UNREACHABLE


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpcore.ReadTimeout("slow"), httpx.ReadTimeout),
        (httpcore.PoolTimeout("full"), httpx.PoolTimeout),
        (httpcore.ConnectError("no"), httpx.ConnectError),
        (httpcore.RemoteProtocolError("odd"), httpx.RemoteProtocolError),
        (httpcore.ProxyError("407"), httpx.ProxyError),
        (httpcore.UnsupportedProtocol("ftp"), httpx.UnsupportedProtocol),
    ],
    ids=repr,
)
def test_httpcore_errors_map_to_httpx_errors(raised: Exception, expected: type[Exception]) -> None:
    """With the same name and message."""
    mapped = map_httpcore_error(raised)
    assert type(mapped) is expected
    assert str(mapped) == str(raised)


def test_other_errors_map_to_the_class_of_a_base_or_are_returned_unchanged() -> None:
    """A custom subclass maps to the equivalent of its base; other errors are unchanged."""

    class Custom(httpcore.NetworkError):
        """Not a read, write or connect error."""

    assert type(map_httpcore_error(Custom("no"))) is httpx.NetworkError
    unrelated = ValueError("no")
    assert map_httpcore_error(unrelated) is unrelated


@pytest.mark.parametrize(
    ("error", "sent_request", "message"),
    [
        (connect_error(OSError(111, "Connect call failed")), None, "Connection refused"),
        (connect_error(OSError("all connection attempts failed")), None, "no"),
        (httpx.ConnectError(""), None, "no connection"),
        (
            httpx.ConnectError("x"),
            httpx.Request("GET", "https://a.test/b?secret=1"),
            "GET: cannot connect to a.test:443: x",
        ),
        (
            connect_error(OSError(111, "Connect call failed")),
            httpx.Request("GET", "ws://[::1]/b?secret=1"),
            "GET: cannot connect to [::1]:80: Connection refused",
        ),
        (
            httpx.ConnectError("GET: cannot connect to a.test:80 through the proxy p.test:1: x"),
            httpx.Request("GET", "http://a.test/b?secret=1"),
            "GET: cannot connect to a.test:80 through the proxy p.test:1: x",
        ),
        (
            connect_error(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")),
            None,
            "EOF occurred in violation of protocol",
        ),
    ],
    ids=repr,
)
def test_a_connect_failure_is_described_with_the_message_of_the_system(
    error: Exception, sent_request: httpx.Request | None, message: str
) -> None:
    """With host and port if they are known, and no other part of the URL."""
    assert explain_connect_failure(error, sent_request) == message


@pytest.mark.parametrize(
    "make",
    [lambda: httpx.ReadError("x"), lambda: httpcore.ReadError("x"), lambda: ValueError("x")],
)
def test_every_other_error_is_returned_unchanged(make: Callable[[], Exception]) -> None:
    """Errors of httpx, of httpcore and of the user's code."""
    error = make()
    assert as_httpx_error(error) is error


def test_an_error_that_a_user_derives_from_one_of_h2_is_left_alone() -> None:
    """h2 didn't raise it."""

    class AuditError(h2.exceptions.ProtocolError):
        pass

    error = AuditError("audit failed")
    assert as_httpx_error(error) is error
    assert isinstance(as_httpx_error(h2.exceptions.ProtocolError()), httpx.RemoteProtocolError)
