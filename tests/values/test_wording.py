"""The words of error messages."""

import httpcore
import httpx
import httpx2
import pytest

from typed_async_client.wording import (
    describe_failure,
    describe_timeout,
    explained,
    explanation_of,
    format_seconds,
    format_server,
    name_server,
)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "text"),
    [
        ("http", "api.test", None, "api.test:80"),
        ("https", "api.test", None, "api.test:443"),
        ("ws", "api.test", None, "api.test:80"),
        ("wss", "api.test", None, "api.test:443"),
        ("https", "api.test", 8443, "api.test:8443"),
        ("http", "::1", 8080, "[::1]:8080"),
        ("https", "fe80::1%eth0", None, "[fe80::1%eth0]:443"),
        ("http", "[::1]", None, "[::1]:80"),
        ("ftp", "api.test", None, "api.test"),
    ],
)
def test_a_server_is_named_by_host_and_port(
    scheme: str, host: str, port: int | None, text: str
) -> None:
    """With the default port of each scheme, and an IPv6 address in brackets."""
    assert format_server(scheme, host, port) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5.0, "5 s"),
        (0.05, "0.05 s"),
        (2.5, "2.5 s"),
        (300, "300 s"),
        (1e6, "1000000 s"),
        (0, "0 s"),
    ],
)
def test_a_limit_has_no_superfluous_digits(seconds: float, text: str) -> None:
    """In seconds."""
    assert format_seconds(seconds) == text


@pytest.mark.parametrize("library", [httpx, httpcore, httpx2])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ConnectTimeout", "GET: no connection to a.test:80 within 5 s (connect timeout)"),
        ("ReadTimeout", "GET: no response from a.test:80 within 5 s (read timeout)"),
        (
            "WriteTimeout",
            "GET: a.test:80 accepted no more of the request within 5 s (write timeout)",
        ),
        ("PoolTimeout", "GET: no free connection for a.test:80 within 5 s (pool timeout)"),
        ("ConnectError", "GET: cannot connect to a.test:80"),
        ("ReadError", "GET: connection to a.test:80 lost while waiting for the response"),
        ("WriteError", "GET: connection to a.test:80 lost while sending the request"),
        ("NetworkError", "GET: connection to a.test:80 lost"),
        ("RemoteProtocolError", "GET: no valid response from a.test:80"),
        ("ProxyError", "GET: no connection to a.test:80"),
    ],
)
def test_an_error_of_any_of_the_libraries_is_described(
    library: object, name: str, text: str
) -> None:
    """By the name of its class, which they have in common."""
    kind = getattr(library, name)
    message = describe_failure(kind, method="GET", server="a.test:80", limit=5.0)
    assert message == text


@pytest.mark.parametrize(
    ("phase", "kind", "text"),
    [
        ("body", httpx.ReadTimeout, "no more of the response body from a.test:80 (read timeout)"),
        ("body", httpx.ReadError, "connection to a.test:80 lost while reading the response body"),
        ("body", httpx.RemoteProtocolError, "no complete response from a.test:80"),
        ("body", httpx.WriteError, "connection to a.test:80 lost while sending the request"),
        ("tunnel", httpx.ReadTimeout, "no tunnel to a.test:80 (read timeout)"),
        ("tunnel", httpx.ReadError, "connection lost while waiting for a tunnel to a.test:80"),
        ("tunnel", httpx.RemoteProtocolError, "no tunnel to a.test:80"),
        ("tunnel", httpx.ProxyError, "no tunnel to a.test:80"),
    ],
)
def test_the_message_names_the_phase(phase: str, kind: type[Exception], text: str) -> None:
    """And the reason, if there is one; a limit that is unknown isn't mentioned."""
    assert describe_failure(kind, server="a.test:80", phase=phase) == text
    assert describe_failure(kind, server="a.test:80", phase=phase, reason="why") == f"{text}: why"


def test_a_subclass_is_described_like_its_base() -> None:
    """A class that isn't an error of the network has no words."""

    class OwnTimeoutError(httpx.ReadTimeout):
        pass

    assert describe_failure(OwnTimeoutError) == "no response from the server (read timeout)"
    assert describe_failure(ValueError) == ""


def test_an_explanation_is_noted_on_one_copy_only() -> None:
    """It replaces an earlier one, and leaves other notes alone."""
    error = httpcore.ReadError("reset")
    error.add_note("a note of the caller")
    assert explanation_of(error) == ""
    explained(error, "first")
    notes = error.__notes__
    explained(error, "second")
    assert error.__notes__ == ["a note of the caller", "second"]
    assert notes == ["a note of the caller", "first"]
    assert explanation_of(error) == "second"


def test_a_stream_that_timed_out_says_after_how_long() -> None:
    """It doesn't know its server."""
    assert describe_timeout(0.25) == "timed out after 0.25 s"


def test_a_server_is_named_even_if_it_is_unknown() -> None:
    """The URL of an external client's request may be relative to one that nobody else knows."""
    assert name_server("https://api.test") == "https://api.test"
    assert name_server("") == "the server"
