"""Requests of a client with a base URL stay below it."""

from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, InvalidURLError
from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.middleware import Call, CallNext
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("no_leaks")

BELOW = {
    "": "/v1/",
    "items": "/v1/items",
    "/items": "/v1/items",
    "items/7?x=..": "/v1/items/7?x=..",
    "?page=2": "/v1/?page=2",
    "a/../b": "/v1/b",
    "./a": "/v1/a",
    "a..b/...": "/v1/a..b/...",
    "@evil.test/x": "/v1/@evil.test/x",
    " http://evil.test/": "/v1/%20http://evil.test/",
    "é": "/v1/%C3%A9",
    "items#//evil.test": "/v1/items",
    "a%2Fb": "/v1/a%2Fb",
    "///x": "/v1/x",
    "{origin}/v1/items": "/v1/items",
    "{origin}/v1": "/v1",
    "{origin}/v1?page=2": "/v1?page=2",
    "{origin}/v1/a/../b": "/v1/b",
    "{upper}/v1/items": "/v1/items",
}
ESCAPES = [
    "http://evil.test/",
    "https://evil.test/v1/",
    "HTTP://EVIL.TEST/v1/",
    "http://evil.test:80/v1/items",
    "https://127.0.0.1:{port}/v1/items",
    "ws://127.0.0.1:{port}/v1/items",
    "http://127.0.0.1:1/v1/items",
    "http://127.0.0.1.:{port}/v1/",
    "http://127.0.0.1:{port}@evil.test/v1/",
    "http://evil.test\\@127.0.0.1/v1/",
    "http://evil.test#@127.0.0.1:{port}/v1/",
    "http://evil.test?@127.0.0.1:{port}/v1/",
    "//evil.test/x",
    "//127.0.0.1:{port}/v1/x",
    "//ann:pw@evil.test/x",
    "//ann:pw@/x",
    "\\\\evil.test\\x",
    "/\\evil.test/x",
    "a\\b",
    "..\\admin",
    "..",
    "../",
    "../admin",
    "/../admin",
    "a/../../admin",
    "../v1x",
    "a//../../admin",
    "%2e%2e/admin",
    "%2E%2E/admin",
    ".%2e/admin",
    "a/%2e%2e/%2e%2e/admin",
    "..%2fadmin",
    "a%2f..%2f..%2fadmin",
    "..%5cadmin",
    "%252e%252e/admin",
    "..;/admin",
    "{origin}/admin",
    "{origin}/v1x",
    "{origin}/V1/items",
    "{origin}",
    "{origin}/v1/../admin",
    "{origin}/v1/%2e%2e/admin",
    "{origin}/v1/..%5cadmin",
    "{origin}/v1\\..\\admin",
    "{origin}/%76%31/items",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "http:///evil.test/x",
    "http:evil.test/x",
    "javascript:alert(1)",
    "data:text/plain,x",
    "gopher://evil.test/",
    "////evil.test",
]


def filled(url: str, server: FaultServer) -> str:
    """Return a URL with the origin or the port of a server in it."""
    origin = server.url.rstrip("/")
    return (
        url.replace("{origin}", origin)
        .replace("{upper}", origin.upper())
        .replace("{port}", str(server.port))
    )


@pytest.mark.parametrize(("url", "target"), BELOW.items())
@pytest.mark.parametrize("kind", [str, httpx.URL])
async def test_a_url_below_the_base_url_is_requested(kind: type, url: str, target: str) -> None:
    """Relative, or absolute and below it."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(base_url=server.url + "v1", trust_env=False) as client,
    ):
        await client.request("GET", kind(filled(url, server)))
    assert [request.target for request in server.requests] == [target]


@pytest.mark.parametrize("url", ESCAPES)
async def test_a_url_that_leaves_the_base_url_is_refused(url: str) -> None:
    """Before there is a connection, a task or a result; in middleware and in streams as well."""

    async def replace_url(call: Call, call_next: CallNext) -> httpx.Response:
        return await call_next(call.replace(url=filled(url, server)))

    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(base_url=server.url + "v1/", trust_env=False) as client,
    ):
        with pytest.raises(InvalidURLError) as raised:
            await client.get(filled(url, server))
        with pytest.raises(InvalidURLError):
            await client.get(filled(url, server), headers={"X-A": "1"})
        with pytest.raises(ValueError, match=r"\w"):
            async with client.stream("GET", filled(url, server)):
                pass
        assert await client.wait_for_all_requests() == {}
        changed = client.with_options(middleware=[replace_url])
        with pytest.raises(InvalidURLError):
            await changed.request("GET", "items")
    assert server.connections == 0
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("url", ["/v1/items", "items?q=1", "{origin}/v1/items"])
async def test_a_parsed_url_is_checked_too(url: str) -> None:
    """One that is fine for one client isn't for another."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(base_url="http://other.test/v2", trust_env=False) as client,
    ):
        if url.startswith("{"):
            with pytest.raises(InvalidURLError, match=r"its origin isn't http://other\.test;"):
                await client.get(httpx.URL(filled(url, server)))
        with pytest.raises(InvalidURLError, match="dot segments"):
            await client.get(httpx.URL("../" + url.lstrip("/")))
    assert server.connections == 0


async def test_the_message_has_no_secret() -> None:
    """Neither of the URL, nor of the base URL."""
    base = "http://ann:base-pw@a.test/v1"
    async with AsyncResilientClient(base_url=base, trust_env=False) as client:
        for url in ("http://bob:url-pw@b.test/?token=s3cret", "../x?token=s3cret", "..:url-pw@x"):
            with pytest.raises(InvalidURLError) as raised:
                await client.get("../" + url if url.startswith("..:") else url)
            assert "pw" not in str(raised.value)
            assert "s3cret" not in str(raised.value)


async def test_absolute_urls_can_be_allowed() -> None:
    """Anything else that leaves the base URL is a mistake all the same."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(
            base_url="http://other.test/v1", allow_absolute_urls=True, trust_env=False
        ) as client,
    ):
        response = await client.request("GET", server.url + "admin")
        assert response.url == server.url + "admin"
        (result,) = (await client.wait_for_all_requests()).values()
        assert result.url == server.url + "admin"
        for url in ("../x", "//evil.test/x", "a\\b", "file:///etc/passwd"):
            with pytest.raises(InvalidURLError):
                await client.get(url)
    assert [request.target for request in server.requests] == ["/admin"]


@pytest.mark.filterwarnings("ignore:Setting per-request cookies")
async def test_another_origin_gets_nothing_that_was_meant_for_the_base_url() -> None:
    """What a redirect there would carry, and what the request was given itself."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(
            base_url="http://ann:pw@other.test/v1",
            allow_absolute_urls=True,
            headers={"X-Api-Key": "k", "Accept": "a/b", "X-Tenant": "t"},
            redirect_headers=["X-Tenant"],
            cookies={"session": "1"},
            params={"key": "k"},
            trust_env=False,
        ) as client,
    ):
        await client.request("GET", server.url)
        await client.request(
            "POST",
            server.url + "?a=b",
            headers={"X-Api-Key": "mine"},
            cookies={"mine": "2"},
            params={"c": "d"},
            auth=("bob", "pw"),
            json={},
            timeout=3.0,
        )
    bare, given = server.requests
    assert bare.target == "/"
    assert {"accept": "a/b", "x-tenant": "t"}.items() <= bare.headers.items()
    assert not {"x-api-key", "cookie", "authorization"} & bare.headers.keys()
    assert given.target == "/?c=d"
    assert (given.headers["x-api-key"], given.headers["cookie"]) == ("mine", "mine=2")
    assert given.headers["authorization"].startswith("Basic ")
    assert given.body == b"{}"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 5.0),
        ({"timeout": 3.0}, 3.0),
        ({"extensions": {"timeout": {"read": 2.0}}, "timeout": 3.0}, 2.0),
    ],
)
async def test_a_request_to_another_origin_has_its_own_timeout(
    options: dict[str, Any], seconds: float
) -> None:
    """As below the base URL, an extension comes first, then the option, then that of the client."""
    async with FastPathClient(
        base_url="http://a.test/", allow_absolute_urls=True, timeout=5.0
    ) as client:
        for url in ("http://b.test/", "items"):
            request = client.build_request("GET", url, **options)
            assert request.extensions["timeout"]["read"] == seconds


async def test_what_the_client_says_about_bodies_stays_below_the_base_url() -> None:
    """A request to another origin describes its own body, if it has one."""
    async with FastPathClient(
        base_url="http://a.test/", allow_absolute_urls=True, headers={"Content-Type": "a/b"}
    ) as client:
        assert "Content-Type" not in client.build_request("GET", "http://b.test/").headers
        request = client.build_request("POST", "http://b.test/", json={})
        assert request.headers["Content-Type"] == "application/json"


async def test_the_auth_of_the_client_stays_below_the_base_url_too() -> None:
    """It isn't sent to another origin; below the base URL, it is."""
    async with (
        FaultServer(answer()) as elsewhere,
        FaultServer(answer()) as server,
        AsyncResilientClient(
            base_url=server.url, allow_absolute_urls=True, auth=("ann", "pw"), trust_env=False
        ) as client,
    ):
        for url in ("items", server.url + "items", elsewhere.url):
            await client.request("GET", url)
    assert ["authorization" in request.headers for request in server.requests] == [True, True]
    assert ["authorization" in request.headers for request in elsewhere.requests] == [False]


def test_the_option_must_be_a_bool() -> None:
    """And it can't apply to a client of the user's own."""
    with pytest.raises(ValueError, match="allow_absolute_urls must be True or False, got 'no'"):
        AsyncResilientClient(allow_absolute_urls="no")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match="in its own way: allow_absolute_urls"):
        AsyncResilientClient(http_client=httpx.AsyncClient(), allow_absolute_urls=True)


async def test_a_client_of_the_user_keeps_the_rule_of_httpx() -> None:
    """There, an absolute URL replaces the base URL."""
    async with (
        FaultServer(answer()) as server,
        httpx.AsyncClient(base_url="http://other.test/v1", trust_env=False) as given,
        AsyncResilientClient(http_client=given) as client,
    ):
        await client.request("GET", server.url + "x")
        given.base_url = httpx.URL(server.url + "v1")
        await client.request("GET", "../y")
    assert [request.target for request in server.requests] == ["/x", "/y"]
