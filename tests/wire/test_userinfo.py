"""A user name and a password in a URL are sent as basic auth, and are in no log, event, result or error."""

import base64
import logging
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    ConnectError,
    EventType,
    InvalidURLError,
    Resilience,
    RetryPolicy,
)
from typed_async_client.middleware import Call, CallNext
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

pytestmark = pytest.mark.usefixtures("no_leaks")

USERINFO = "ann:p%40ss%20w%C3%B6rd@"
SENT = "Basic " + base64.b64encode("ann:p@ss wörd".encode()).decode()
SECRETS = ("ann:", "p%40ss", "p@ss", SENT.removeprefix("Basic "))


def with_userinfo(server: FaultServer, path: str = "", userinfo: str = USERINFO) -> str:
    """Return a URL of a server."""
    return server.url.replace("//", f"//{userinfo}") + path


def auths(server: FaultServer) -> list[str | None]:
    """Return the Authorization of each request that a server has read."""
    return [request.headers.get("authorization") for request in server.requests]


@pytest.mark.parametrize(
    ("library", "make"),
    [
        (None, str),
        (None, httpx.URL),
        (httpx, str),
        (httpx, httpx.URL),
        (httpx2, str),
        (httpx2, httpx2.URL),
    ],
)
async def test_a_password_in_a_url_is_sent_and_nowhere_else(
    library: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With every kind of client, and for each type of URL that it takes."""
    caplog.set_level(logging.DEBUG)
    events: list[AsyncEvent] = []
    options: dict[str, Any] = {"trust_env": False}
    if library is not None:
        given = library.AsyncClient(trust_env=False)
        options = {"http_client": given}
    async with FaultServer(answer()) as server, AsyncResilientClient(**options) as client:
        for kind in EventType:
            client.add_event_callback(kind, events.append)
        response = await client.request("GET", make(with_userinfo(server, "a?b=c")))
        (result,) = (await client.wait_for_all_requests()).values()
        if library is not None:
            await given.aclose()
    assert auths(server) == [SENT]
    assert str(response.url) == str(response.request.url) == server.url + "a?b=c"
    assert {event.url for event in events} == {result.url} == {server.url + "a?b=c"}
    logged = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    seen = f"{events} {result!r} {response!r} {response.request!r} {logged}"
    assert not any(secret in seen for secret in SECRETS)


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_the_default_of_a_library_is_no_auth_of_the_request(library: Any) -> None:
    """Each library has its own object that says so."""
    async with (
        FaultServer(answer()) as server,
        library.AsyncClient(trust_env=False) as given,
        AsyncResilientClient(http_client=given) as client,
    ):
        await client.request("GET", with_userinfo(server), auth=library.USE_CLIENT_DEFAULT)
    assert auths(server) == [SENT]


async def test_httpx_decides_which_credentials_come_first() -> None:
    """Those of the request, then those of the client, then those of the URL."""
    async with FaultServer(answer()) as server:
        url = with_userinfo(server)
        async with AsyncResilientClient(trust_env=False) as client:
            await client.request("GET", url, auth=("bob", "1"))
            await client.request("GET", url, auth=None)
            await client.request("GET", url, auth=httpx.USE_CLIENT_DEFAULT)
            await client.request("GET", with_userinfo(server, userinfo=":@"))
            await client.request("GET", with_userinfo(server, userinfo="@"))
        async with AsyncResilientClient(trust_env=False, auth=("bob", "1")) as client:
            await client.request("GET", url)
            await client.request("GET", url, auth=None)
    bob = "Basic " + base64.b64encode(b"bob:1").decode()
    assert auths(server) == [bob, SENT, SENT, None, None, bob, SENT]
    assert all("@" not in request.target for request in server.requests)


async def test_each_attempt_and_each_stream_sends_it() -> None:
    """And no middleware sees it in the URL."""
    urls: list[str] = []

    async def look(call: Call, call_next: CallNext) -> httpx.Response:
        urls.append(str(call.url))
        return await call_next(call)

    async def fail_once(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(503 if len(server.requests) == 1 else 200)

    retry = RetryPolicy(base_delay=0.001, max_delay=0.001)
    async with (
        FaultServer(each_request(fail_once)) as server,
        AsyncResilientClient(
            trust_env=False, resilience=Resilience(retry=retry), middleware=[look]
        ) as client,
    ):
        await client.request("GET", with_userinfo(server))
        async with client.stream("GET", with_userinfo(server)) as response:
            await response.aread()
    assert auths(server) == [SENT] * 3
    assert urls == [server.url] * 2


async def test_the_base_url_may_have_it() -> None:
    """It is sent with the requests below it, and shown nowhere."""
    async with FaultServer(answer()) as server:
        base = with_userinfo(server, "v1")
        async with AsyncResilientClient(base_url=base, trust_env=False) as client:
            response = await client.request("GET", "a")
            await client.request("GET", server.url + "v1/b")
            await client.request("GET", "a", auth=("bob", "1"))
            (result, *_) = (await client.wait_for_all_requests()).values()
        async with AsyncResilientClient(
            base_url=httpx.URL(base), allow_absolute_urls=True, trust_env=False
        ) as client:
            await client.request("GET", server.url + "elsewhere")
    first, second, third, fourth = auths(server)
    assert first == second == SENT
    assert third not in {SENT, None}
    assert fourth is None
    assert str(response.url) == result.url == server.url + "v1/a"


async def test_that_of_a_redirect_is_dropped() -> None:
    """A server can't choose what the client logs in with, nor what is logged."""

    async def redirect(request: SeenRequest, wire: Wire) -> None:
        if request.target == "/":
            location = with_userinfo(server, "there", "eve:pw@")
            await wire.answer(302, b"", f"Location: {location}")
        else:
            await wire.answer()

    async with (
        FaultServer(each_request(redirect)) as server,
        AsyncResilientClient(trust_env=False, follow_redirects=True) as client,
    ):
        response = await client.request("GET", server.url)
        unfollowed = await client.request("GET", server.url, follow_redirects=False)
        with_auth = await client.request("GET", with_userinfo(server))
    assert str(response.url) == str(with_auth.url) == server.url + "there"
    assert unfollowed.next_request is not None
    assert str(unfollowed.next_request.url) == server.url + "there"
    assert auths(server) == [None, None, None, SENT, SENT]


async def test_it_does_not_follow_a_redirect_to_another_origin() -> None:
    """As no other authentication does."""
    async with FaultServer(answer()) as elsewhere:
        location = f"Location: {elsewhere.url}"
        async with (
            FaultServer(answer(302, b"", location)) as server,
            AsyncResilientClient(trust_env=False, follow_redirects=True) as client,
        ):
            await client.request("GET", with_userinfo(server))
    assert auths(server) == [SENT]
    assert auths(elsewhere) == [None]


async def test_one_that_is_too_long_is_refused() -> None:
    """A URL that httpx can parse, but not without it, since it takes more room when it is encoded."""
    userinfo = "a@" * 30_000
    location = f"Location: http://{userinfo}127.0.0.1/"
    async with (
        FaultServer(answer(302, b"", location)) as server,
        AsyncResilientClient(trust_env=False, follow_redirects=True) as client,
    ):
        with pytest.raises(InvalidURLError, match="too long"):
            await client.get(with_userinfo(server, userinfo=userinfo))
        with pytest.raises(httpx.RemoteProtocolError, match="has a user name or password"):
            await client.request("GET", server.url)


async def test_an_error_does_not_quote_it() -> None:
    """Nor its cause, nor its request."""
    async with (
        FaultServer(answer(), refusing=True) as server,
        AsyncResilientClient(trust_env=False, max_retries=0) as client,
    ):
        with pytest.raises(ConnectError) as raised:
            await client.request("GET", with_userinfo(server))
    seen = f"{raised.value!r} {raised.value.__cause__!r} {raised.value.request.url!r}"
    assert not any(secret in seen for secret in SECRETS)
    assert str(raised.value.request.url) == server.url


@pytest.mark.parametrize("url", [None, b"http://a.test/", 1, httpx2.URL("http://a.test/")])
async def test_what_is_no_url_is_refused(url: Any) -> None:
    """Before there is a request."""
    async with AsyncResilientClient(trust_env=False) as client:
        with pytest.raises(TypeError, match=r"url must be a str or an httpx\.URL, got \w+"):
            await client.get(url)


class OtherClient:
    """A client of another library, which has URLs of its own."""

    def __init__(self) -> None:
        self.requested: list[Any] = []

    async def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
        """Respond at once."""
        self.requested.append((method, url, options))
        return httpx.Response(200, request=httpx.Request(method, str(url)))


async def test_a_client_of_another_library_gets_its_own_urls_as_they_are() -> None:
    """Passwords are taken out of a ``str`` for it, too."""
    other = OtherClient()
    url = Path("/a")
    async with AsyncResilientClient(http_client=other) as client:
        own: Any = url
        await client.request("GET", own)
        await client.request("GET", "http://ann:pw@a.test/")
    assert other.requested == [
        ("GET", url, {}),
        ("GET", "http://a.test/", {"auth": ("ann", "pw")}),
    ]
