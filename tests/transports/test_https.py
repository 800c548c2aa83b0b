"""How the URL and the ``Host`` header of a request change on the switch to https."""

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
def test_the_location_only_differs_in_its_scheme(url: str, location: str) -> None:
    """Port 80 becomes the default port; user, password and fragment are left out."""
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
    """Port 80 becomes the default port; a custom ``Host`` is kept."""
    inner = httpx.MockTransport(lambda request: httpx.Response(200))
    transport = HSTSTransport(inner, known=("example.org", "müller.example"))
    headers = {"Host": host} if host else {}
    sync_request, async_request = (httpx.Request("GET", url, headers=headers) for _ in range(2))
    transport.handle_request(sync_request)
    await transport.handle_async_request(async_request)
    for sent in (sync_request, async_request):
        assert str(sent.url) == expected_url
        assert sent.headers.get_list("Host") == [expected_host]


def test_known_hosts_are_upgraded_and_others_are_refused() -> None:
    """The two transports can be stacked: hosts that aren't known must use https already."""
    inner = HTTPSOnlyTransport(httpx.MockTransport(lambda request: httpx.Response(200)))
    with httpx.Client(transport=HSTSTransport(inner, known=["example.org"])) as client:
        assert client.get("http://example.org/").url.scheme == "https"
        with pytest.raises(httpx.UnsupportedProtocol):
            client.get("http://example.net/")


async def test_wss_is_allowed_like_https() -> None:
    """A plaintext WebSocket is refused, as plaintext HTTP is."""
    inner = httpx.MockTransport(lambda request: httpx.Response(200))
    transport = HTTPSOnlyTransport(inner)
    secure, plaintext = (
        httpx.Request("GET", f"{scheme}://example.org/") for scheme in ("wss", "ws")
    )
    assert transport.handle_request(secure).status_code == 200
    assert (await transport.handle_async_request(secure)).status_code == 200
    with pytest.raises(httpx.UnsupportedProtocol, match="only https and wss are allowed"):
        transport.handle_request(plaintext)
    with pytest.raises(httpx.UnsupportedProtocol, match="only https and wss are allowed"):
        await transport.handle_async_request(plaintext)


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
def test_known_hosts_must_be_host_names(wrong: Any) -> None:
    """Anything else would never match a request, and protect nobody."""
    with pytest.raises(ValueError, match=re.escape(repr(wrong))):
        HSTSTransport(known=["example.org", wrong])


def test_a_single_string_is_not_accepted_as_a_collection_of_hosts() -> None:
    """Each of its characters would count as a host."""
    with pytest.raises(TypeError, match=r"example\.org"):
        HSTSTransport(known="example.org")


@pytest.mark.parametrize("wrong", [httpx.HTTPTransport, "https://example.org"])
@pytest.mark.parametrize("wrap", [HTTPSOnlyTransport, HSTSTransport])
def test_anything_but_a_transport_is_refused_on_construction(wrong: Any, wrap: Any) -> None:
    """The error is raised before the first request."""
    with pytest.raises(TypeError, match="expected an httpx transport"):
        wrap(wrong)
