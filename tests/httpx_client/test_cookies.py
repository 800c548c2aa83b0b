"""A request is sent with the cookies that ``http.cookiejar`` chooses, up to a size."""

from collections.abc import Callable, Iterator
from http.cookiejar import Cookie, CookieJar
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redirecting import Web

from typed_async_client import AsyncResilientClient
from typed_async_client.httpx_client.cookies import _domains_of
from typed_async_client.httpx_client.fast_path import FastPathClient

labels = st.sampled_from(["", "a", "b", "test", "local", "127", "0", "1", "[::1]"])
hosts = st.lists(labels.filter(bool), min_size=1, max_size=4).map(".".join)
domains = st.lists(labels, max_size=4).map(".".join)
cookies = st.lists(
    st.tuples(st.sampled_from("xyz"), domains, st.sampled_from(["/", "/p", "/p/", "/pp"])),
    max_size=12,
)


def fill(target: httpx.Cookies, cookies: list[tuple[str, str, str]]) -> None:
    """Set cookies whose values differ."""
    for number, (name, domain, path) in enumerate(cookies):
        target.set(name, str(number), domain=domain, path=path)


def header_parts(request: httpx.Request) -> list[str]:
    """Return the cookies of a request, sorted."""
    return sorted(filter(None, request.headers.get("Cookie", "").split("; ")))


@given(
    cookies=cookies,
    of_request=cookies,
    host=hosts,
    port=st.sampled_from(["", ":8000"]),
    path=st.sampled_from(["/", "/p", "/p/q", "/pp"]),
)
@example([("x", "test", "/")], [], "ann:pw@a.test", "", "/")
@example([("x", ".local", "/")], [], "localhost", "", "/")
@example([("x", ".", "/"), ("y", "a.test.", "/")], [], "a.test.", "", "/")
@example([("x", "[::1].local", "/")], [], "[::1]", ":8000", "/")
def test_the_same_cookies_are_sent_as_with_httpx(
    cookies: list[Any], of_request: list[Any], host: str, port: str, path: str
) -> None:
    """Those of the client and of the request, of a host, its domains, and none."""
    try:
        url = httpx.URL(f"http://{host}{port}{path}")
    except httpx.InvalidURL:
        return
    given = httpx.Cookies()
    fill(given, of_request)
    sent = []
    transport = httpx.MockTransport(lambda _: httpx.Response(200))  # loads no certificates
    for kind in (FastPathClient, httpx.AsyncClient):
        client = kind(transport=transport)
        fill(client.cookies, cookies)
        sent.append(header_parts(client.build_request("GET", url, cookies=given)))
    assert sent[0] == sent[1]


def test_a_jar_with_a_storage_of_its_own_is_used() -> None:
    """It is searched by iterating over it."""

    class ListJar(CookieJar):
        cookies: tuple[Cookie, ...] = ()

        def __iter__(self) -> Iterator[Cookie]:
            return iter(self.cookies)

        def __len__(self) -> int:
            return len(self.cookies)

    kept = httpx.Cookies()
    fill(kept, [("x", "a.test", "/"), ("y", "b.test", "/")])
    jar = ListJar()
    jar.cookies = tuple(kept.jar)
    client = FastPathClient(cookies=jar)
    assert client.build_request("GET", "http://a.test/").headers["Cookie"] == "x=0"


def test_a_host_with_thousands_of_labels_is_looked_up_in_no_time() -> None:
    """It can't be resolved, but a redirect may lead to it."""
    client = FastPathClient()
    client.cookies.set("x", "1", domain="a.test")
    url = httpx.URL(f"http://{'a.' * 30_000}test/")
    assert client.build_request("GET", url).headers["Cookie"] == "x=1"
    assert len(_domains_of(["a." * 30_000 + "test"])) < 300


def test_a_cookie_header_given_by_hand_wins() -> None:
    """As with httpx."""
    client = FastPathClient(cookies={"a": "1"})
    request = client.build_request("GET", "http://a.test/", headers={"Cookie": "b=2"})
    assert request.headers["Cookie"] == "b=2"


def test_a_cookie_header_has_eight_kilobytes() -> None:
    """The most specific and newest cookies go first; what doesn't fit is left out."""
    client = FastPathClient(cookies={"own": "1"})
    for number in range(10):
        client.cookies.set(f"c{number}", "v" * 1000, domain="a.test")
    client.cookies.set("path", "v" * 1000, domain="a.test", path="/p")
    header = client.build_request("GET", "http://a.test/p").headers["Cookie"]
    assert len("Cookie: " + header) < 8190
    names = [part.partition("=")[0] for part in header.split("; ")]
    assert names == ["path", "own", "c3", "c4", "c5", "c6", "c7", "c8", "c9"]


@pytest.mark.parametrize(("size", "is_sent"), [(8180, True), (8181, False)])
def test_the_size_includes_the_name_of_the_header(size: int, *, is_sent: bool) -> None:
    """So the whole line has 8,190 bytes at most."""
    client = FastPathClient()
    client.cookies.set("n", "v" * size, domain="a.test")
    request = client.build_request("GET", "http://a.test/")
    assert ("Cookie" in request.headers) is is_sent


@pytest.mark.parametrize("make_jar", [lambda: None, CookieJar], ids=["bounded", "of the caller"])
@pytest.mark.parametrize("line", ["a=é", "é=1", 'a="\xff"', "a=b\x01", "a=b\x7f"])
async def test_a_cookie_that_no_header_can_carry_is_not_sent(
    line: str, make_jar: Callable[[], CookieJar | None]
) -> None:
    """A server that sets one doesn't make all later requests to it fail."""
    web = Web([(200, "", line.encode(), "b=2")])
    async with web.client(cookies=make_jar()) as client:
        await (await client.get("https://a.test/"))
        await (await client.get("https://a.test/"))
    assert header_parts(web.last) == ["b=2"]


def test_a_cookie_of_the_caller_that_no_header_can_carry_is_refused() -> None:
    """It isn't left out in silence; the error doesn't have its value."""
    cookies = httpx.Cookies({"a": "é"})
    with pytest.raises(ValueError, match=r"the cookie 'a' has .*non-ASCII in its value"):
        AsyncResilientClient(cookies=cookies)


def test_cookies_given_without_a_domain_are_all_sent() -> None:
    """The user has asked for it; those of servers take the room that is left."""
    client = FastPathClient(cookies={f"c{number}": "v" * 1000 for number in range(10)})
    client.cookies.set("other", "1", domain="a.test")
    header = client.build_request("GET", "http://a.test/").headers["Cookie"]
    assert header.count("=") == 10


async def test_after_a_redirect_cookies_are_sent_by_their_domain() -> None:
    """Those without a domain stay; one without ``Domain`` goes to the host that set it only."""
    set_by_a = ("host=1", "parent=1; Domain=a.test", "secure=1; Secure", "other=1; Domain=b.test")
    web = Web([(302, "https://sub.a.test/", *set_by_a), (302, "https://a.test:8443/")])
    async with web.client(cookies={"own": "1"}) as client:
        client._client.cookies.set("given", "1", domain="a.test")
        await (await client.get("https://a.test/"))
    assert [header_parts(request) for request in web.seen] == [
        ["given=1", "own=1"],
        ["given=1", "parent=1"],
        ["given=1", "host=1", "parent=1", "secure=1"],
    ]


async def test_after_a_redirect_to_http_only_cookies_received_over_http_are_sent() -> None:
    """Whichever host they are for, and at later hops too; back on https, all of them are."""
    web = Web(
        [
            (302, "/", "old=1"),
            (302, "http://a.test/", "new=1"),
            (302, "/again", "plain=1"),
            (302, "https://a.test/"),
        ]
    )
    async with web.client() as client:
        client._client.cookies.set("given", "1", domain="a.test")
        await (await client.get("http://a.test/", follow_redirects=False))
        await (await client.get("https://a.test/"))
    assert [header_parts(request) for request in web.seen[1:]] == [
        ["given=1", "old=1"],
        ["old=1"],
        ["old=1", "plain=1"],
        ["given=1", "new=1", "old=1", "plain=1"],
    ]
