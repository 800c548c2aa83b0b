"""The lean httpx client: it leaves work out, and nothing that a user could miss."""

import http.cookiejar

import httpx
import pytest

from typed_async_client import AsyncResilientClient
from typed_async_client.transports.clients.lean import LeanClient

URL = "http://service.test/"


def echo_cookies(request: httpx.Request) -> httpx.Response:
    """Set a cookie on the way in, and tell which ones came."""
    headers = {"Set-Cookie": "session=one; Path=/"} if request.url.path == "/login" else {}
    return httpx.Response(200, headers=headers, text=request.headers.get("Cookie", ""))


def make(**options: object) -> LeanClient:
    """Give a lean client on an application in this process."""
    return LeanClient(transport=httpx.MockTransport(echo_cookies), **options)


async def test_a_cookie_that_a_response_sets_goes_out_with_the_next_request() -> None:
    """The jar is looked at as soon as a response has something for it."""
    async with make() as client:
        assert (await client.get(URL)).text == ""
        await client.get(URL + "login")
        assert (await client.get(URL)).text == "session=one"
        assert dict(client.cookies) == {"session": "one"}


async def test_cookies_of_the_client_and_of_one_request_go_out_together() -> None:
    """Both ways of giving cookies stay httpx's."""
    async with make(cookies={"a": "1"}) as client:
        with pytest.deprecated_call():
            answer = await client.get(URL, cookies={"b": "2"})
        assert answer.text == "a=1; b=2"


async def test_cookies_can_be_put_in_place_of_the_old_ones() -> None:
    """Assigning to ``cookies`` is httpx's way to forget the others."""
    async with make(cookies={"a": "1"}) as client:
        client.cookies = {"b": "2"}
        assert (await client.get(URL)).text == "b=2"


async def test_a_jar_of_the_caller_sees_every_response() -> None:
    """It may read more of a response than the cookies in it."""

    class CuriousJar(http.cookiejar.CookieJar):
        seen = 0

        def extract_cookies(self, response: object, request: object) -> None:
            self.seen += 1

    jar = CuriousJar()
    async with make(cookies=jar) as client:
        await client.get(URL)
        assert client.cookies.jar is jar
        assert jar.seen == 1


async def test_a_jar_given_to_the_resilient_client_is_filled() -> None:
    """A ``CookieJar`` of the standard library stays the caller's own object."""
    jar = http.cookiejar.CookieJar()
    transport = httpx.MockTransport(echo_cookies)
    async with AsyncResilientClient(cookies=jar, transport=transport) as client:
        await (await client.get(URL + "login"))
    assert [cookie.value for cookie in jar] == ["one"]


@pytest.mark.parametrize("url", ["http://service.test/a?b=c#d", httpx.URL(URL), "/relative"])
def test_a_request_is_built_as_httpx_builds_it(url: httpx.URL | str) -> None:
    """Twice, for the second time the address is known."""
    plain = httpx.AsyncClient(base_url=URL, params={"q": "1"})
    lean = LeanClient(base_url=URL, params={"q": "1"})
    for _ in range(2):
        theirs, ours = plain.build_request("GET", url), lean.build_request("GET", url)
        assert (ours.url, ours.headers.raw) == (theirs.url, theirs.headers.raw)


def test_an_address_that_is_none_is_refused_each_time() -> None:
    """A failure to parse is not remembered as a success."""
    for _ in range(2):
        with pytest.raises(httpx.InvalidURL):
            LeanClient().build_request("GET", "http://service.test:port/")
