"""``cookie_jar=False``: the cookies of responses are neither kept nor sent."""

from http.cookiejar import CookieJar
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient


class Server:
    """Sets a cookie in each response, and notes the cookies of each request."""

    def __init__(self) -> None:
        self.cookies: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer, or redirect the path ``/first``."""
        self.cookies.append(request.headers.get("cookie"))
        headers = {"Set-Cookie": "seen=1; Path=/"}
        if request.url.path == "/first":
            return httpx.Response(302, headers={**headers, "Location": "/second"})
        return httpx.Response(200, headers=headers)

    def client(self, **options: Any) -> AsyncResilientClient:
        """Return a client of this server."""
        return AsyncResilientClient(transport=httpx.MockTransport(self), **options)


async def test_a_cookie_of_a_response_is_not_sent_by_the_next_request() -> None:
    """Nor is it kept; the response itself still tells it."""
    server = Server()
    async with server.client(cookie_jar=False) as client:
        for _ in range(2):
            response = await client.request("GET", "http://a.test/")
            assert response.cookies["seen"] == "1"
        assert not client._client.cookies
    assert server.cookies == [None, None]


async def test_by_default_it_is() -> None:
    """As in httpx."""
    server = Server()
    async with server.client() as client:
        for _ in range(2):
            await client.request("GET", "http://a.test/")
    assert server.cookies == [None, "seen=1"]


async def test_a_redirect_does_not_send_the_cookie_of_the_response_before_it() -> None:
    """The next hop is another request."""
    server = Server()
    async with server.client(cookie_jar=False, follow_redirects=True) as client:
        await client.request("GET", "http://a.test/first")
    assert server.cookies == [None, None]


@pytest.mark.filterwarnings("ignore:Setting per-request cookies:DeprecationWarning")
async def test_the_cookies_of_the_client_and_of_a_request_are_sent() -> None:
    """They stay what the caller has set, redirects included."""
    server = Server()
    async with server.client(
        cookie_jar=False, cookies={"mine": "a"}, follow_redirects=True
    ) as client:
        await client.request("GET", "http://a.test/first")
        await client.request("GET", "http://a.test/", cookies={"once": "b"})
        await client.request("GET", "http://a.test/")
        assert dict(client._client.cookies) == {"mine": "a"}
    assert server.cookies == ["mine=a", "mine=a", "mine=a; once=b", "mine=a"]


async def test_a_jar_of_the_caller_is_sent_and_not_changed() -> None:
    """It may be shared with other code."""
    jar, server = CookieJar(), Server()
    cookies = httpx.Cookies(jar)
    cookies.set("mine", "a", domain="a.test")
    async with server.client(cookie_jar=False, cookies=jar) as client:
        for _ in range(2):
            await client.request("GET", "http://a.test/")
    assert [cookie.name for cookie in jar] == ["mine"]
    assert server.cookies == ["mine=a", "mine=a"]


async def test_cookies_that_are_set_later_are_not_changed_either() -> None:
    """Through the attribute of the httpx client."""
    server = Server()
    async with server.client(cookie_jar=False) as client:
        client._client.cookies = {"mine": "a"}
        for _ in range(2):
            await client.request("GET", "http://a.test/")
        assert dict(client._client.cookies) == {"mine": "a"}


@pytest.mark.parametrize("value", [None, 0, "no"])
def test_something_else_than_a_bool_is_refused(value: Any) -> None:
    """A string would always count as true."""
    with pytest.raises(ValueError, match="cookie_jar must be True or False, got"):
        AsyncResilientClient(cookie_jar=value)


def test_an_external_client_keeps_its_own_cookies() -> None:
    """So the option is refused."""
    with pytest.raises(ValueError, match="cookie_jar is for the client that the resilient client"):
        AsyncResilientClient(http_client=httpx.AsyncClient(), cookie_jar=False)
