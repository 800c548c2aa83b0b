"""URLs that can't be requested, and their error."""

import pickle

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import InvalidURLError
from typed_async_client.urls import as_url, check_server, parsed_url

INVALID = [
    "http://a.test/\r\nX: y",
    "http://a.test/\n",
    "http://a.test/\0",
    "http://a.test/\t",
    "http://a\r.test/",
    "http://a.test/?q=\r",
    "http://a.test:0/",
    "http://a.test:65536/",
    "http://a.test:99999/",
    "http://a.test:-1/",
    "http://a.test:x/",
    "http://[::1/",
    "http://ho st/",
    "http://ann:pw@ho%20st/",
    "http://xn--a.test/",
    "http://xn--/",
    "http://a.test/\ud800",
    "http://\ud800/",
    f"http://a.test/{'x' * 70_000}",
]


@pytest.mark.parametrize("url", INVALID)
def test_an_invalid_url_is_an_error_of_httpx_and_a_value_error(url: str) -> None:
    """Whoever catches either of them, catches it; there is no other error behind it."""
    with pytest.raises(InvalidURLError) as raised:
        parsed_url(url)
    assert isinstance(raised.value, httpx.InvalidURL)
    assert isinstance(raised.value, ValueError)
    assert str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:123456/x@a.test/",
        "http://ann:hun/ter2@a.test",
        "http://ann:0#x@a.test/",
        "http://ann@b.test:123456/x@a.test/",
        "http://ann@b.test:hun/ter2@a.test/",
        "http://xn--/hun@a.test/",
    ],
)
def test_a_piece_of_a_password_is_not_taken_for_a_port(url: str) -> None:
    """The message says what to do instead."""
    with pytest.raises(InvalidURLError, match="percent-encode the special") as raised:
        as_url(url)
    assert "123456" not in str(raised.value)
    assert "hun" not in str(raised.value)


def test_a_url_with_a_password_is_not_kept() -> None:
    """The cache outlives the client; an @ elsewhere is no password."""
    for url in ("http://ann:hunter2@a.test/", "//ann:hunter2@a.test/"):
        assert parsed_url(url) is not parsed_url(url)
    assert parsed_url("http://a.test/@ann") is parsed_url("http://a.test/@ann")


def test_the_invalid_port_of_a_url_with_a_password_is_told() -> None:
    """It can't be a piece of the password."""
    with pytest.raises(InvalidURLError, match="99999 isn't from 1 to 65535"):
        as_url("http://ann:pw@a.test:99999/")
    with pytest.raises(InvalidURLError, match="70000"):
        check_server(httpx.URL("http://a.test:70000/"))


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://ann:hunter2@a.test:port/", "port"),
        ("http://ann:hunter2@[::1/x", "port"),
        ("http://ann:hunter2@[1::2::3]/", "IPv6 address"),
        ("http://ann:hunter2@1.2.3.400/", "IPv4 address"),
        ("http://ann:hunter2@\u2260\u0338.test/", "IDNA hostname"),
    ],
)
def test_the_invalid_part_after_a_password_is_named(url: str, part: str) -> None:
    """The user name and the password aren't blamed for it, nor quoted."""
    words = f"^Invalid {part} in the URL, after its user name and password$"
    with pytest.raises(InvalidURLError, match=words):
        as_url(url)


@pytest.mark.parametrize("url", ["http://[fe80::1%20]/", "docker://my%20socket/"])
def test_a_host_with_a_blank_may_be_none_of_a_server(url: str) -> None:
    """The zone of an IPv6 address is a number here, and a transport may have a scheme of its own."""
    assert as_url(url).is_absolute_url


@pytest.mark.parametrize("port", [1, 80, 8080, 65_535])
def test_every_other_port_is_valid(port: int) -> None:
    """The default port of the scheme is left out of the URL."""
    assert as_url(f"http://a.test:{port}/").port == (None if port == 80 else port)


def test_the_error_is_restored_by_pickle() -> None:
    """For a client of httpx2 too, whose error it is then."""
    client = httpx2.AsyncClient()
    for error in (InvalidURLError("no"), InvalidURLError("no", client=client)):
        restored = pickle.loads(pickle.dumps(error))
        assert (type(restored), str(restored)) == (type(error), "no")
    assert isinstance(InvalidURLError("no", client=client), httpx2.InvalidURL)


@given(st.text(max_size=40) | st.text(alphabet="ht:/?#[]@%\\.0123\r\n\0 aé", max_size=40))
def test_parsing_raises_one_kind_of_error(text: str) -> None:
    """Whatever the text."""
    for url in (text, f"http://{text}", f"http://a.test/{text}"):
        try:
            parsed = parsed_url(url)
        except InvalidURLError:
            continue
        head = b"".join((parsed.url.raw_host, parsed.url.raw_path))
        assert not {0, 10, 13} & set(head)
