"""What httpx's errors tell, read off real exception objects; the wire is in ``tests/wire``."""

import socket
import ssl
from collections.abc import Callable

import h2.exceptions
import h11
import httpcore
import httpx
import pytest

from typed_async_client import ConnectError
from typed_async_client.facts import (
    as_httpx_error,
    classify_error,
    explain_connect_failure,
    map_httpcore_error,
)
from typed_async_client.outcome import Failed
from typed_async_client.policies.classify import Fault


def caused(error: Exception, cause: BaseException) -> Exception:
    """Give ``error`` with ``cause`` behind it, as ``raise ... from`` does."""
    error.__cause__ = cause
    return error


def connect_error(origin: Exception) -> Exception:
    """Build the chain that httpx raises: httpcore keeps the system's error in ``args[0]``."""
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
def test_each_error_tells_its_kind_of_fault(error: Exception, fault: Fault) -> None:
    """Connect failures apart by whether another attempt could end otherwise."""
    assert classify_error(error) is fault


def test_a_connect_failure_that_ended_all_retries_below_is_not_retried_above() -> None:
    """A resilient transport in a resilient client would send nine requests for three."""
    assert Failed.of(ConnectError("given up")).fault is Fault.UNREACHABLE
    assert Failed.of(httpx.ConnectError("no")).fault is Fault.CONNECT


def test_a_chain_that_loops_is_read_to_its_end() -> None:
    """Two errors that name each other as cause do not hang the reader."""
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
def test_a_foreign_error_becomes_httpxs_with_the_original_as_cause(
    raw: Exception, expected: type[Exception]
) -> None:
    """No raw error of ssl, of h11, and no group reaches the caller."""
    error = as_httpx_error(raw)
    assert type(error) is expected
    assert error.__cause__ is raw


def test_a_group_speaks_with_its_first_members_voice() -> None:
    """The words of an outer group help nobody."""
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
def test_httpcores_errors_have_twins_in_httpx(raised: Exception, expected: type[Exception]) -> None:
    """Of the same name, and with the same words."""
    twin = map_httpcore_error(raised)
    assert type(twin) is expected
    assert str(twin) == str(raised)


def test_an_error_of_nobodys_kind_has_no_twin() -> None:
    """A class of the user's own below httpcore's tree is given as it is."""

    class Odd(httpcore.NetworkError):
        """Neither read nor write nor connect."""

    assert type(map_httpcore_error(Odd("no"))) is httpx.NetworkError
    plain = ValueError("no")
    assert map_httpcore_error(plain) is plain


@pytest.mark.parametrize(
    ("error", "sent", "words"),
    [
        (connect_error(OSError(111, "Connect call failed")), None, "Connection refused"),
        (connect_error(OSError("all connection attempts failed")), None, "no"),
        (httpx.ConnectError(""), None, "no connection"),
        (
            httpx.ConnectError("x"),
            httpx.Request("GET", "https://a.test/b?secret=1"),
            "cannot connect to a.test:443: x",
        ),
    ],
    ids=repr,
)
def test_a_connect_failure_is_explained_in_the_systems_words(
    error: Exception, sent: httpx.Request | None, words: str
) -> None:
    """With host and port where they are known, and nothing else of the address."""
    assert explain_connect_failure(error, sent) == words


@pytest.mark.parametrize(
    "make",
    [lambda: httpx.ReadError("x"), lambda: httpcore.ReadError("x"), lambda: ValueError("x")],
)
def test_every_other_error_passes_as_it_is(make: Callable[[], Exception]) -> None:
    """httpx's, httpcore's and the user's own errors are not ours to change."""
    error = make()
    assert as_httpx_error(error) is error
