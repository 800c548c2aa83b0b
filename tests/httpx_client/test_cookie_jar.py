"""The cookie jar of a client has a bound, and the oldest cookies make room for new ones."""

import http.cookiejar
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient
from typed_async_client.httpx_client.cookie_jar import BoundedCookieJar
from typed_async_client.httpx_client.fast_path import FastPathClient

URL = "http://shop.test/"


def client_that_receives(*cookies: str, **options: Any) -> FastPathClient:
    """Create a client whose responses set these cookies; ``{n}`` is the path of the request."""

    def answer(request: httpx.Request) -> httpx.Response:
        n = request.url.path.strip("/")
        lines = [line.format(n=n).encode() for line in cookies]
        return httpx.Response(200, headers=[(b"Set-Cookie", line) for line in lines])

    return FastPathClient(transport=httpx.MockTransport(answer), **options)


def names(client: FastPathClient) -> list[str]:
    """Return the names of the cookies that a client keeps."""
    return [cookie.name for cookie in client.cookies.jar]


async def test_an_origin_has_fifty_cookies() -> None:
    """The oldest go, in whichever way the domain is written."""
    async with client_that_receives(
        "c{n}=1; Path=/", "d{n}=1; Path=/; Domain=a.shop.test"
    ) as client:
        for number in range(40):
            await client.get(f"http://a.shop.test/{number}")
        assert sorted(names(client)) == sorted(
            f"{kind}{number}" for kind in "cd" for number in range(15, 40)
        )


async def test_there_are_three_thousand_cookies() -> None:
    """The host that was used longest ago loses its own first."""
    async with client_that_receives("sid=1; Path=/") as client:
        for number in range(3000):
            await client.get(f"http://h{number}.test/")
        client.build_request("GET", "http://h0.test/")
        await client.get("http://late.test/")
        domains = [cookie.domain for cookie in client.cookies.jar]
    assert len(domains) == 3000
    assert {"h0.test", "late.test"} < set(domains)
    assert "h1.test" not in domains


async def test_a_flood_of_cookies_leaves_no_trace() -> None:
    """Cookies that expire at once, and many in one response."""
    flood = [f"c{number}=1; Path=/p{number}" for number in range(2000)]
    async with client_that_receives(*flood, "gone=1; Max-Age=0; Path=/gone") as client:
        for number in range(3):
            await client.get(f"http://h{number}.test/")
        assert len(client.cookies) == 150
        jar: Any = client.cookies.jar
        jar.clear_session_cookies()
        assert (len(jar), bool(jar), jar._cookies, jar._by_origin) == (0, False, {}, {})


def cookie(name: str, domain: str = "shop.test", **changes: Any) -> http.cookiejar.Cookie:
    """Create a cookie as a user may."""
    cookies = httpx.Cookies()
    cookies.set(name, "1", domain=domain)
    made = next(iter(cookies.jar))
    vars(made).update(changes)
    return made


def test_expired_cookies_go_first() -> None:
    """Of one origin, and of all."""
    jar = BoundedCookieJar()
    for number in range(50):
        jar.set_cookie(cookie(f"c{number}", expires=1 if number == 30 else None))
    jar.set_cookie(cookie("new"))
    kept = {kept.name for kept in jar}
    assert {"c0", "new"} < kept
    assert "c30" not in kept
    jar = BoundedCookieJar.holding(cookie("c", f"h{n}.test") for n in range(2999))
    jar.set_cookie(cookie("old", "old.test", expires=1))
    jar.set_cookie(cookie("new", "new.test", expires=4_000_000_000))
    assert len(jar) == 3000
    assert "old" not in {kept.name for kept in jar}
    jar.set_cookie(cookie("newer", "newer.test"))
    assert len(jar) == 3000


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        (f"n={'v' * 4095}", True),
        (f"n={'v' * 4096}", False),
        (f"n={'é' * 2047}", True),
        (f"n={'é' * 2048}", False),
        (f"n=v; Path=/{'p' * 3000}", True),
        (f"n=v; Path=/{'p' * 5000}", False),
        (f"n=v; Unknown={'u' * 5000}", False),
    ],
)
async def test_a_cookie_has_four_kibibytes(line: str, *, is_kept: bool) -> None:
    """Bytes of its name and value, and as many of its attributes."""
    async with client_that_receives(line) as client:
        await client.get(URL)
        assert bool(client.cookies) is is_kept


def test_cookies_given_without_a_domain_are_not_limited() -> None:
    """No server can add one."""
    given = {f"c{number}": "v" * 300 for number in range(60)}
    client = FastPathClient(cookies=given)
    for number in range(4000):
        client.cookies.set("sid", "v" * 300, domain=f"h{number}.test")
    assert len(client.cookies) == 3060
    request = client.build_request("GET", "http://h3999.test/")
    assert request.headers["Cookie"].count("=") == 60


def test_cookies_can_be_dropped() -> None:
    """As with httpx: all, of a domain, of a path, or one."""
    given = [cookie(name, domain) for name in "ab" for domain in ("x.test", ".x.test", "y.test")]
    for arguments, left in [((), 0), (("x.test",), 4), ((".x.test", "/"), 4)]:
        cookies = FastPathClient(cookies=httpx.Cookies(BoundedCookieJar.holding(given))).cookies
        cookies.clear(*arguments)
        assert len(cookies) == left
    cookies = FastPathClient(cookies=httpx.Cookies(BoundedCookieJar.holding(given))).cookies
    cookies.delete("a", "y.test", "/")
    assert len(cookies) == 5
    with pytest.raises(KeyError):
        cookies.jar.clear("y.test", "/", "a")
    cookies.delete("b")
    assert {kept.domain for kept in cookies.jar} == {"x.test", ".x.test"}


async def test_a_jar_of_the_caller_has_no_bound() -> None:
    """It is the caller's, who may have filled it from a file."""
    jar = http.cookiejar.MozillaCookieJar()
    for number in range(60):
        jar.set_cookie(cookie(f"given{number}"))
    async with client_that_receives("c{n}=1; Path=/", cookies=jar) as client:
        await client.get(URL + "1")
        assert client.cookies.jar is jar
    assert len(jar) == 61


@pytest.mark.parametrize("wrap", [httpx.Cookies, lambda jar: {c.name: c.value for c in jar}])
async def test_cookies_that_are_copied_are_bounded(wrap: Callable[[Any], Any]) -> None:
    """Those of ``httpx.Cookies`` and of a ``dict``: what servers add goes into our own jar."""
    given = wrap(http.cookiejar.CookieJar())
    async with client_that_receives("c{n}=1; Path=/", cookies=given) as client:
        client.cookies = given
        for number in range(60):
            await client.get(f"{URL}{number}")
        assert len(client.cookies) == 50
    assert not given


def calls_of(function: Callable[[], object]) -> int:
    """Count the calls that a function makes, of Python and of C functions."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    function()  # fills the caches
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("given", [None, http.cookiejar.CookieJar()])
def test_a_request_costs_the_same_however_many_hosts_have_set_cookies(given: Any) -> None:
    """Requests with cookies, without, and redirected ones; the jar may be the caller's."""

    def costs(hosts: int) -> list[int]:
        client = FastPathClient(cookies=given)
        for number in range(hosts):
            client.cookies.set("sid", "1", domain=f"h{number}.test")
        request = client.build_request("GET", "http://h1.test/")
        response = httpx.Response(302, headers={"Location": "http://h2.test/"}, request=request)
        assert request.headers["Cookie"] == "sid=1"
        return [
            calls_of(lambda: client.build_request("GET", "http://h1.test/")),
            calls_of(lambda: client.build_request("GET", "http://none.test/")),
            calls_of(lambda: client._build_redirect_request(request, response)),
            calls_of(lambda: client._bare_url("http://none.test/")),
        ]

    assert costs(5) == costs(2000)


async def test_a_host_without_cookies_takes_the_short_way() -> None:
    """Its requests are built as if the jar was empty."""
    async with client_that_receives("sid=1; Path=/") as client:
        await client.get(URL)
        assert client._bare_url("http://other.test/") is not None
        assert client._bare_url(URL) is None
        assert client._bare_url("http://ann:pw@other.test/") is None


async def test_the_resilient_client_has_the_bounded_jar() -> None:
    """Without any option."""
    async with AsyncResilientClient() as client:
        assert isinstance(client._client.cookies.jar, BoundedCookieJar)
