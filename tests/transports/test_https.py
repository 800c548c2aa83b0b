"""What becomes of the URL and the ``Host`` of a request on its way to https."""

import re
from typing import Any

import httpx
import pytest

from typed_async_client import HSTSTransport, HTTPSOnlyTransport, HTTPSRedirectTransport


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("http://example.org", "https://example.org"),
        ("http://example.org:80/a", "https://example.org/a"),
        ("http://example.org:443/a", "https://example.org/a"),
        ("http://example.org:8080/a", "https://example.org:8080/a"),
        ("http://example.org/a?b=c%26d&e", "https://example.org/a?b=c%26d&e"),
        ("http://example.org/a?", "https://example.org/a?"),
        ("http://example.org//a", "https://example.org//a"),
        ("http://[::1]:8080/", "https://[::1]:8080/"),
        ("http://müller.example/", "https://xn--mller-kva.example/"),
        (
            "http://ann:pass@localhost/a%20b?token=secret#part",
            "https://localhost/a%20b?token=secret",
        ),
    ],
)
def test_a_location_differs_in_its_scheme_alone(url: str, location: str) -> None:
    """Port 80 becomes the default one; user, password and fragment stay with the client."""
    response = HTTPSRedirectTransport().handle_request(httpx.Request("GET", url))
    assert response.headers.get_list("Location") == [location]


@pytest.mark.parametrize(
    ("url", "host", "expected_url", "expected_host"),
    [
        ("http://example.org/a?b", None, "https://example.org/a?b", "example.org"),
        ("http://example.org:80/", None, "https://example.org/", "example.org"),
        ("http://example.org:443/", None, "https://example.org/", "example.org"),
        ("http://example.org:8080/", None, "https://example.org:8080/", "example.org:8080"),
        ("http://example.org/", "Example.org:80", "https://example.org/", "example.org"),
        ("http://example.org/", "inner.example", "https://example.org/", "inner.example"),
        ("http://a.example.org./", None, "https://a.example.org./", "a.example.org."),
        ("http://müller.example/", None, "https://xn--mller-kva.example/", "xn--mller-kva.example"),
        ("http://example.net/", None, "http://example.net/", "example.net"),
        ("ws://example.org/", None, "wss://example.org/", "example.org"),
        ("ws://example.org:80/", None, "wss://example.org/", "example.org"),
        ("ws://example.org:8080/", None, "wss://example.org:8080/", "example.org:8080"),
        ("ws://example.net/", None, "ws://example.net/", "example.net"),
    ],
)
async def test_url_and_host_change_together(
    url: str, host: str | None, expected_url: str, expected_host: str
) -> None:
    """Port 80 becomes the default one; a ``Host`` of the user's own stays."""
    answering = httpx.MockTransport(lambda request: httpx.Response(200))
    transport = HSTSTransport(answering, known=("example.org", "müller.example"))
    headers = {"Host": host} if host else {}
    plain, asynchronous = (httpx.Request("GET", url, headers=headers) for _ in range(2))
    transport.handle_request(plain)
    await transport.handle_async_request(asynchronous)
    for sent in (plain, asynchronous):
        assert str(sent.url) == expected_url
        assert sent.headers.get_list("Host") == [expected_host]


def test_known_hosts_are_upgraded_and_the_rest_is_refused() -> None:
    """The two transports stack: what is not known by then is https already, or refused."""
    inner = HTTPSOnlyTransport(httpx.MockTransport(lambda request: httpx.Response(200)))
    with httpx.Client(transport=HSTSTransport(inner, known=["example.org"])) as client:
        assert client.get("http://example.org/").url.scheme == "https"
        with pytest.raises(httpx.UnsupportedProtocol):
            client.get("http://example.net/")


async def test_wss_is_as_good_as_https() -> None:
    """A plain WebSocket is refused, as plain http is."""
    answering = httpx.MockTransport(lambda request: httpx.Response(200))
    transport = HTTPSOnlyTransport(answering)
    secure, plain = (httpx.Request("GET", f"{scheme}://example.org/") for scheme in ("wss", "ws"))
    assert transport.handle_request(secure).status_code == 200
    assert (await transport.handle_async_request(secure)).status_code == 200
    with pytest.raises(httpx.UnsupportedProtocol, match="only https and wss are allowed"):
        transport.handle_request(plain)
    with pytest.raises(httpx.UnsupportedProtocol, match="only https and wss are allowed"):
        await transport.handle_async_request(plain)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        b"a.test",
        "",
        "*.a.test",
        "http://a.test",
        "a.test:80",
        "a.test/path",
        "user@a.test",
        "a..test",
        "-a.test",
        "127.1",
        "::1",
    ],
)
def test_what_is_no_name_of_a_host_cannot_be_known(wrong: Any) -> None:
    """It would be kept, and protect nobody."""
    with pytest.raises(ValueError, match=re.escape(repr(wrong))):
        HSTSTransport(known=["example.org", wrong])


def test_a_single_string_is_no_collection_of_hosts() -> None:
    """It would be a host for each of its letters."""
    with pytest.raises(TypeError, match=r"example\.org"):
        HSTSTransport(known="example.org")


@pytest.mark.parametrize("wrong", [httpx.HTTPTransport, "https://example.org"])
@pytest.mark.parametrize("wrap", [HTTPSOnlyTransport, HSTSTransport])
def test_what_is_no_transport_is_refused_when_it_is_given(wrong: Any, wrap: Any) -> None:
    """Before the first request."""
    with pytest.raises(TypeError, match="expected a transport of httpx"):
        wrap(wrong)
