"""Characters that would begin another header, part or request are refused when a request is submitted.

There is no connection, no task and no result, and the error contains no value that may be a secret.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, answer

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.filterwarnings("ignore:Setting per-request cookies"),
]

SECRET = "s3cret"
BREAKS = {
    "CR": "\r",
    "LF": "\n",
    "CRLF": "\r\nX-Injected: 1",
    "obs-fold": "\r\n folded",
    "NUL": "\0",
    "another request": "\r\n\r\nGET /admin HTTP/1.1\r\n\r\n",
}
NOT_ASCII = {
    **BREAKS,
    "non-ASCII": "é",
    "what ends in the byte of LF": "\u010a",
    "a surrogate": "\ud800",
}
BASIC = {**BREAKS, "DEL": "\x7f", "a surrogate": "\ud800"}


def form(*part: Any, name: str = "f", **options: Any) -> dict[str, Any]:
    """Return the options of a request with a form of one part."""
    return {"method": "POST", "files": {name: part}, **options}


PLACES: dict[str, tuple[dict[str, str], Callable[[str], dict[str, Any]]]] = {
    "a method": (NOT_ASCII, lambda bad: {"method": f"GE{bad}T"}),
    "a host": (BREAKS, lambda bad: {"url": f"http://a{bad}.test/"}),
    "a path": (BREAKS, lambda bad: {"url": f"/a{bad}b"}),
    "a query": (BREAKS, lambda bad: {"url": f"/?a={bad}b"}),
    "a fragment": (BREAKS, lambda bad: {"url": f"/#{bad}"}),
    "a user name in a URL": (BREAKS, lambda bad: {"url": f"http://a{bad}n:pw@a.test/"}),
    "an encoded user name": (
        {"CR": "%0d", "LF": "%0A", "NUL": "%00"},
        lambda bad: {"url": f"http://ann:{SECRET}{bad}@a.test/"},
    ),
    "the target": (
        {**BREAKS, "non-ASCII": "é", "a blank": " "},
        lambda bad: {"extensions": {"target": f"/a{bad}".encode()}},
    ),
    "a header name": (NOT_ASCII, lambda bad: {"headers": {f"X-A{bad}": SECRET}}),
    "a header value": (NOT_ASCII, lambda bad: {"headers": {"X-A": SECRET + bad}}),
    "a header in a list": (NOT_ASCII, lambda bad: {"headers": [("X-A", "1"), ("X-A", bad)]}),
    "a header in an iterator": (BREAKS, lambda bad: {"headers": iter([("X-A", bad)])}),
    "a header in bytes": (BREAKS, lambda bad: {"headers": [(b"X-A", bad.encode())]}),
    "a header name in bytes": (BREAKS, lambda bad: {"headers": {f"X-A{bad}".encode(): b"1"}}),
    "httpx headers": (BREAKS, lambda bad: {"headers": httpx.Headers({"X-A": SECRET + bad})}),
    "httpx2 headers": (BREAKS, lambda bad: {"headers": httpx2.Headers({"X-A": SECRET + bad})}),
    "a cookie name": ({**NOT_ASCII, ";": ";", "=": "="}, lambda bad: {"cookies": {f"a{bad}": "1"}}),
    "a cookie value": ({**NOT_ASCII, ";": ";"}, lambda bad: {"cookies": {"a": SECRET + bad}}),
    "a cookie in a list": ({**BREAKS, ";": ";"}, lambda bad: {"cookies": [("a", SECRET + bad)]}),
    "httpx cookies": (
        {**BREAKS, ";": ";"},
        lambda bad: {"cookies": httpx.Cookies({"a": SECRET + bad})},
    ),
    "a user name": ({**BASIC, ":": ":"}, lambda bad: {"auth": (f"ann{bad}", SECRET)}),
    "a password": (BASIC, lambda bad: {"auth": ("ann", SECRET + bad)}),
    "an idempotency key": (NOT_ASCII, lambda bad: {"idempotency_key": f"k{bad}"}),
    "a multipart name": (BREAKS, lambda bad: form("a.txt", b"x", name=f"f{bad}")),
    "a name beside files": (BREAKS, lambda bad: form("a.txt", b"x", data={f"f{bad}": "v"})),
    "a file name": (BREAKS, lambda bad: form(f"a{bad}.txt", b"x")),
    "a content type": (NOT_ASCII, lambda bad: form("a.txt", b"x", f"text/plain{bad}")),
    "a part header name": (
        NOT_ASCII,
        lambda bad: form("a.txt", b"x", None, {f"X-A{bad}": "1"}),
    ),
    "a part header value": (
        NOT_ASCII,
        lambda bad: form("a.txt", b"x", None, {"X-A": SECRET + bad}),
    ),
    "a boundary": (
        {**NOT_ASCII, "nothing": "", "a quote": 'a"b', "71 characters": 71 * "a", "a blank": "a "},
        lambda bad: form(
            "a.txt",
            b"x",
            headers={"Content-Type": f'multipart/form-data; boundary="{bad}"'},
        ),
    ),
}


def test_there_are_enough_vectors() -> None:
    """A table that lost its rows would pass."""
    assert sum(len(bads) for bads, _ in PLACES.values()) > 180


@pytest.mark.parametrize("place", PLACES)
async def test_an_injection_is_refused_before_a_connection(place: str) -> None:
    """For our own client, and for one of httpx."""
    bads, make = PLACES[place]
    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(trust_env=False) as given,
        AsyncResilientClient(http_client=given) as external,
        AsyncResilientClient(trust_env=False) as own,
    ):
        for what, bad in bads.items():
            for client in (own, external):
                options = {"method": "GET", "url": "/", **_made(make, bad)}
                if options["url"].startswith("/"):
                    options["url"] = server.url + options["url"][1:]
                with pytest.raises(ValueError, match=r"\w") as raised:
                    await client.request_async(**options)
                assert SECRET not in f"{raised.value} {raised.value!r}", what
                assert raised.value.__cause__ is None, what
                assert await client.wait_for_all_requests() == {}, what
        assert server.connections == 0


def _made(make: Callable[[str], dict[str, Any]], bad: str) -> dict[str, Any]:
    """Return the options; httpx itself refuses some headers when they are created."""
    try:
        return make(bad)
    except UnicodeEncodeError:
        return {"headers": {"X-A": bad}}


@pytest.mark.parametrize("bad", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: {"headers": {"X-A": SECRET + bad}},
        lambda bad: {"cookies": {"a": SECRET + bad}},
        lambda bad: {"auth": ("ann", SECRET + bad)},
        lambda bad: {"base_url": f"http://a.test/{bad}"},
    ],
)
def test_an_option_of_the_client_is_refused_at_construction(
    make: Callable[[str], dict[str, Any]], bad: str
) -> None:
    """It would go with every request."""
    with pytest.raises(ValueError, match=r"\w") as raised:
        AsyncResilientClient(**make(bad))
    assert SECRET not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"X-A": 1}}, "the header X-A must be str or bytes, got int"),
        ({"headers": "abc"}, "headers must be a mapping, or a sequence of (name, value), got str"),
        ({"headers": [("a",)]}, "(name, value), got list of something else"),
        (
            {"cookies": ["ab"]},
            "cookies must be a mapping, or a sequence of (name, value), got list",
        ),
        ({"cookies": 1}, "cookies must be a mapping, or a sequence of (name, value), got int"),
        ({"files": "a=b"}, "files must be a mapping, or a sequence of (name, value), got str"),
        ({"headers": {1: "a"}}, "the name of a header must be str or bytes, got int"),
        ({"auth": ("ann", None)}, "the password of auth must be str or bytes, got NoneType"),
        ({"files": {"f": 1}}, "the form field 'f' must be str, bytes, a pathlib.Path"),
        ({"files": {1: b""}}, "the name of a form field must be str, got int"),
        ({"files": {"f": (1, b"")}}, "the file name of the form field 'f' must be str, got int"),
        ({"files": {"f": ("a", b"", 1)}}, "the content type of the form field 'f' must be str"),
        ({"files": {"f": ("a", b"", None, [])}}, "the headers of the form field 'f' must be a map"),
        ({"files": {"f": ("a", b"", None, {"X": 1})}}, "must be str, got str and int"),
        ({"files": {"f": io.StringIO()}}, "is a file in text mode: open it in binary mode"),
        ({"files": {"f": ("a", bytearray())}}, "or an open binary file, got bytearray"),
    ],
)
async def test_a_value_of_another_type_is_refused(options: dict[str, Any], message: str) -> None:
    """With its name."""
    async with AsyncResilientClient(trust_env=False) as client:
        with pytest.raises(TypeError) as raised:
            await client.post("http://a.test/", **options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"X-A": f" {SECRET}"}}, "the header X-A has blanks around its value"),
        ({"auth": (SECRET,)}, "must be (user name, password), got a tuple of 1"),
        ({"files": {"f": (b"",)}}, "got a tuple of 1"),
        ({"files": {"f": ("a", b"", None, {}, 1)}}, "got a tuple of 5"),
        ({"files": {"f": Path(__file__).parent}}, "isn't a regular file"),
        (
            {"files": {"f": b""}, "headers": {"Content-Type": "multipart/form-data"}},
            "needs a boundary",
        ),
    ],
)
async def test_other_values_that_can_not_be_sent_are_refused(
    options: dict[str, Any], message: str
) -> None:
    """With what to do instead."""
    async with AsyncResilientClient(trust_env=False) as client:
        with pytest.raises(ValueError, match=r"\w") as raised:
            await client.post("http://a.test/", **options)
    assert message in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_parameters_and_form_values_may_have_line_breaks() -> None:
    """They are percent-encoded, or in the body."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(trust_env=False) as client,
    ):
        url = server.url
        await client.request("GET", url, params={"q": "a\r\nb\0"})
        await client.request("GET", url, params="q=a\r\nX: y")
        await client.request("POST", url, data={"q": "a\r\nb"})
        await client.request("GET", url, extensions={"target": "/text"})
        await client.request("GET", url, cookies={"a": 'b, "c" d', "e": "f=g"})
        await client.request("GET", url, headers=[(b"X-A", "é".encode("latin-1"))])
    assert [request.target for request in server.requests[:2]] == [
        "/?q=a%0D%0Ab%00",
        "/?q=a%0D%0AX%3A+y",
    ]
    assert server.requests[2].body == b"q=a%0D%0Ab"
    assert server.requests[3].target == "/text"
    assert server.requests[4].headers["cookie"] == 'a=b, "c" d; e=f=g'
    assert server.requests[5].headers["x-a"] == "é"
