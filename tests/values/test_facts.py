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
    facts_of_broken_body,
    facts_of_error,
    facts_of_response,
    fault_of,
    origin_of,
)
from typed_async_client.httpx_errors import as_httpx_error, map_httpcore_error
from typed_async_client.policies.classify import Fault
from typed_async_client.policies.facts import Facts, Sent
from typed_async_client.record import RequestRecord
from typed_async_client.sent import SentLog


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
        (httpx.ReadError("cut"), Fault.LOST),
        (httpcore.WriteError("cut"), Fault.LOST),
        (httpx.RemoteProtocolError("malformed"), Fault.LOST),
        (httpx.RemoteProtocolError("Invalid URL in location header: x"), Fault.OTHER),
        (httpx.LocalProtocolError("malformed"), Fault.OTHER),
        (httpx.UnsupportedProtocol("ftp"), Fault.OTHER),
        (httpx.ProxyError("407"), Fault.OTHER),
        (ValueError("the user's own"), Fault.OTHER),
    ],
    ids=repr,
)
def test_each_error_is_classified_as_a_fault(error: Exception, fault: Fault) -> None:
    """Connect failures are divided by whether another attempt could succeed."""
    assert fault_of(error) is fault
    assert facts_of_error(error, SentLog(), idempotent=False).fault is fault


def test_a_connect_error_of_exhausted_retries_is_not_retried_again() -> None:
    """A resilient transport in a resilient client would make nine attempts instead of three."""
    given_up = ConnectError("given up")
    assert facts_of_error(given_up, SentLog(), idempotent=True).fault is Fault.UNREACHABLE
    assert fault_of(given_up) is Fault.CONNECT
    assert fault_of(caused(given_up, ssl.SSLCertVerificationError("no"))) is Fault.UNREACHABLE


def log_of(**fields: bool | int) -> SentLog:
    """Create the log of an attempt."""
    log = SentLog()
    for name, value in fields.items():
        setattr(log, name, value)
    return log


@pytest.mark.parametrize(
    ("error", "log", "fault", "sent"),
    [
        (httpx.ConnectError("no"), log_of(hops=1), Fault.CONNECT, Sent.NOTHING),
        (httpx.ConnectError("no"), log_of(hops=2), Fault.CONNECT_LATER, Sent.UNANSWERED),
        (httpx.ConnectTimeout("no"), log_of(hops=1), Fault.TIMEOUT, Sent.NOTHING),
        (httpx.PoolTimeout("no"), log_of(hops=1), Fault.TIMEOUT, Sent.NOTHING),
        (httpx.ReadTimeout("no"), log_of(hops=1), Fault.TIMEOUT, Sent.UNANSWERED),
        (httpx.ReadTimeout("no"), log_of(hops=1, in_body=True), Fault.TIMEOUT, Sent.ANSWERED),
        (httpx.ReadError("no"), log_of(hops=1, has_sent_nothing=True), Fault.LOST, Sent.NOTHING),
        (httpx.ReadError("no"), log_of(hops=1, is_refused=True), Fault.LOST, Sent.UNPROCESSED),
        (httpx.ReadError("no"), log_of(hops=2, is_refused=True), Fault.LOST, Sent.UNANSWERED),
        (httpx.WriteError("no"), log_of(hops=1, body_started=True), Fault.LOST, Sent.UNANSWERED),
    ],
    ids=lambda value: "log" if isinstance(value, SentLog) else repr(value),
)
def test_the_log_of_an_attempt_tells_how_far_it_got(
    error: Exception, log: SentLog, fault: Fault, sent: Sent
) -> None:
    """The error alone doesn't prove that nothing was sent."""
    facts = facts_of_error(error, log, idempotent=True)
    assert (facts.fault, facts.sent) == (fault, sent)
    assert facts.local is isinstance(error, httpx.PoolTimeout)


def test_the_log_tells_whether_the_request_may_be_sent_again() -> None:
    """A body that was consumed can't be; a POST that was redirected to a GET mustn't."""
    error = httpx.ReadError("no")
    facts = facts_of_error(error, log_of(body_consumed=True), idempotent=True)
    assert (facts.idempotent, facts.replayable) == (True, False)
    facts = facts_of_error(error, log_of(unrepeatable=True), idempotent=True)
    assert (facts.idempotent, facts.replayable) == (False, True)


def test_a_response_tells_its_status_and_what_the_server_asks_for() -> None:
    """A response that isn't an error can ask for nothing."""
    headers = {"Retry-After": "3", "x-should-retry": "false"}
    throttled = facts_of_response(httpx.Response(429, headers=headers), SentLog(), idempotent=True)
    assert throttled == Facts(
        fault=None,
        sent=Sent.ANSWERED,
        status=429,
        retry_after=3.0,
        should_retry=False,
        idempotent=True,
    )
    fine = facts_of_response(httpx.Response(200, headers=headers), SentLog(), idempotent=False)
    assert fine == Facts(fault=None, sent=Sent.ANSWERED, status=200)


def test_a_broken_body_is_a_fault_of_an_answered_attempt() -> None:
    """Its status stays known."""
    answered = facts_of_response(httpx.Response(200), SentLog(), idempotent=True)
    broken = facts_of_broken_body(answered, httpx.ReadTimeout("slow"))
    assert (broken.fault, broken.sent, broken.status) == (Fault.TIMEOUT, Sent.ANSWERED, 200)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://Ann:pw@A.Test:80/x?y", "http://a.test"),
        ("https://a.test:8443", "https://a.test:8443"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
    ],
)
def test_the_origin_of_a_request_is_that_of_its_record(url: str, origin: str) -> None:
    """Policies look their states up by the one, and compare it with the other."""
    assert origin_of(httpx.Request("GET", url)) == origin
    assert RequestRecord("GET", url).origin == origin
    assert origin_of(None) == ""


def test_a_cyclic_chain_of_causes_is_handled() -> None:
    """Two errors that are each other's cause don't lead to an infinite loop."""
    first, second = httpx.ConnectError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert fault_of(first) is Fault.CONNECT


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
    assert fault_of(as_httpx_error(group)) is Fault.UNREACHABLE


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
