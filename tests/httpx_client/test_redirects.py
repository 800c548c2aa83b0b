"""A redirect to another origin carries no secret, whichever way the secret was given."""

import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redirecting import Web, secrets_in

from typed_async_client import InsecureRedirectError, RequestContext, ResultStatus
from typed_async_client.httpx_client.fast_path import FastPathClient
from typed_async_client.httpx_client.redirects import extensions_across
from typed_async_client.policies.redirect import OriginChange

GOOD, EVIL = "https://good.test/", "https://evil.test/"
HEADERS = {
    "Authorization": "Bearer canary-authorization",
    "Proxy-Authorization": "Basic canary-proxy",
    "X-Api-Key": "canary-key",
    "Cookie": "sid=canary-cookie",
    "Referer": "https://good.test/?token=canary-referer",
}
OTHER_ORIGINS = [
    EVIL,
    "//evil.test/",
    "https://good.test:8443/",
    "https://sub.good.test/",
    "https://good.test./",
    "http://good.test/",
    "http://evil.test/",
    "https://ann:pw@evil.test/",
    "https://good.test@evil.test/",
    "https://xn--good-9na.test/",
]
SAME_ORIGIN = ["/there", "there?a=b", "https://good.test/there", "https://GOOD.test:443/there"]
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "headers of the client": ({"headers": HEADERS}, {}),
    "headers of the request": ({}, {"headers": HEADERS}),
    "auth of the client": ({"auth": ("ann", "pw")}, {}),
    "auth of the request": ({}, {"auth": ("ann", "pw")}),
    "cookies of the client": ({"cookies": {"sid": "canary-cookies"}}, {}),
    "a list of cookies": ({"cookies": [("sid", "canary-cookies")]}, {}),
    "extensions": ({}, {"extensions": {"target": b"/?canary", "sni_hostname": "canary.test"}}),
}
"""The options of a client and of a request by which a secret can be given."""


def is_secret(request: httpx.Request) -> bool:
    """Whether a request carries any of the secrets in ``WAYS``."""
    return bool(secrets_in(request)) or "Authorization" in request.headers


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("location", OTHER_ORIGINS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_another_origin_receives_no_secret(way: str, location: str, status: int) -> None:
    """Not even at the second hop, which stays there."""
    for_client, for_request = WAYS[way]
    web = Web([(status, location), (status, "/again")])
    async with web.client(**for_client) as client:
        await (await client.get(GOOD, **for_request))
    assert is_secret(web.seen[0])
    assert len(web.seen) == 3
    assert not any(map(is_secret, web.seen[1:]))
    assert web.last.headers["Host"] == web.last.url.netloc.decode()
    assert web.last.headers["User-Agent"]


@pytest.mark.parametrize("way", [name for name in WAYS if "cookies" in name or "client" in name])
async def test_nothing_that_was_left_behind_comes_back(way: str) -> None:
    """Not even to the origin that it was meant for: others have chosen the URL and the method."""
    for_client, for_request = WAYS[way]
    web = Web([(302, EVIL), (302, GOOD), (302, "/again")])
    async with web.client(**for_client) as client:
        await (await client.get(GOOD, **for_request))
        assert [is_secret(request) for request in web.seen] == [True, False, False, False]
        await (await client.get(GOOD, **for_request))
    assert is_secret(web.last)


@pytest.mark.parametrize("location", ["http://xn--a.test/", "//xn--a.test/x", "https://xn--/"])
async def test_a_location_without_a_valid_host_is_an_error_of_the_server(location: str) -> None:
    """As any other invalid one is; httpx lets the error of another library pass."""
    async with Web([(302, location)]).client() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="location header: its host isn't"):
            await (await client.get(GOOD))


@pytest.mark.parametrize("status", [303, 307])
@pytest.mark.parametrize("location", SAME_ORIGIN)
async def test_the_same_origin_receives_what_it_does_with_httpx(location: str, status: int) -> None:
    """Httpx drops a cookie header given by hand, and so do we."""
    options: Any = {"headers": HEADERS, "cookies": {"sid": "canary-cookies"}}
    ours, theirs = Web([(status, location)]), Web([(status, location)])
    async with ours.client(**options) as client:
        await (await client.post(GOOD, json={"a": 1}))
    transport = httpx.MockTransport(theirs.answer)
    async with httpx.AsyncClient(transport=transport, follow_redirects=True, **options) as stock:
        await stock.post(GOOD, json={"a": 1})
    assert ours.last.headers.raw == theirs.last.headers.raw
    assert (ours.last.url, ours.last.content) == (theirs.last.url, theirs.last.content)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("http://good.test/", "https://good.test/"),
        ("http://good.test:80/", "https://good.test:443/"),
        ("http://bücher.test/", "https://xn--bcher-kva.test/"),
        ("http://good.test:8080/", "https://good.test:8080/"),
    ],
)
async def test_the_same_host_over_tls_receives_everything(url: str, location: str) -> None:
    """It is the usual upgrade."""
    web = Web([(308, location)])
    async with web.client(headers=HEADERS, cookies={"sid": "canary-cookies"}) as client:
        await (await client.post(url, content=b"canary-body"))
    assert secrets_in(web.last) == [
        "canary-authorization",
        "canary-body",
        "canary-cookies",
        "canary-key",
        "canary-proxy",
        "canary-referer",
    ]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("url", [GOOD, "http://good.test/"])
async def test_a_body_follows_to_another_https_origin(url: str, status: int) -> None:
    """As with curl, Go and browsers, with the headers that describe it."""
    web = Web([(status, EVIL)])
    async with web.client() as client:
        await (await client.put(url, json=[1], headers={"Content-Language": "fr"}))
    assert (web.last.method, web.last.content) == ("PUT", b"[1]")
    assert web.last.headers["Content-Type"] == "application/json"
    assert web.last.headers["Content-Language"] == "fr"
    assert web.last.headers["Content-Length"] == "3"


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_becomes_a_get_has_no_headers_of_a_body(status: int) -> None:
    """There is none that they could describe."""
    web = Web([(status, EVIL)])
    async with web.client() as client:
        await (await client.post(GOOD, json=[1], headers={"Expect": "100-continue"}))
    assert (web.last.method, web.last.content) == ("GET", b"")
    names = web.last.headers.keys() - {"accept", "accept-encoding", "connection", "user-agent"}
    assert names == {"host"}


async def test_a_request_without_a_body_has_a_length_if_its_method_asks_for_one() -> None:
    """An empty POST says so, also after a redirect."""
    web = Web([(307, "http://evil.test/")])
    async with web.client() as client:
        await (await client.post(GOOD))
    assert (web.last.method, web.last.headers["Content-Length"]) == ("POST", "0")


async def test_headers_that_are_named_follow() -> None:
    """In any case, also ``Authorization``, but to an unencrypted origin only if that is allowed."""
    named = ("x-API-key", "Authorization")
    for allowed, location in [(False, EVIL), (True, "http://evil.test/")]:
        web = Web([(307, location)])
        options: Any = {"redirect_headers": named, "allow_insecure_redirects": allowed}
        async with web.client(headers=HEADERS, **options) as client:
            await (await client.get(GOOD))
        assert secrets_in(web.last) == ["canary-authorization", "canary-key"]


async def body() -> AsyncIterator[bytes]:
    """Yield a body whose length isn't known."""
    yield b"canary-body"


@pytest.mark.parametrize("make", [lambda: b"canary-body", body])
async def test_a_body_is_not_sent_from_https_to_http(make: Any) -> None:
    """The request fails, and isn't retried; the error says which option allows it."""
    web = Web([(307, "http://ann:canary-pw@evil.test:8080/?token=canary-url")])
    async with web.client() as client:
        task = await client.post(GOOD, RequestContext(request_id="r"), content=make())
        with pytest.raises(InsecureRedirectError) as raised:
            await task
        result = client.get_result("r")
    assert len(web.seen) == 1
    assert result is not None
    assert (result.status, result.attempts) == (ResultStatus.ERROR, 1)
    assert str(raised.value) == (
        "the redirect from https://good.test to http://evil.test:8080 asks to send the body "
        "unencrypted; pass allow_insecure_redirects=True to the client to allow it"
    )
    assert isinstance(raised.value, httpx.HTTPError)
    assert raised.value.request.url.host == "evil.test"
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


async def test_a_named_header_is_not_sent_from_https_to_http() -> None:
    """Leaving it behind would hide the reason why the server refuses the request."""
    web = Web([(302, "http://evil.test/")])
    async with web.client(headers=HEADERS, redirect_headers=["X-Api-Key"]) as client:
        with pytest.raises(InsecureRedirectError, match="asks to send x-api-key unencrypted"):
            await (await client.get(GOOD))
    assert len(web.seen) == 1


async def test_a_body_is_sent_from_https_to_http_if_that_is_allowed() -> None:
    """And still no secret header."""
    web = Web([(307, "http://evil.test/")])
    async with web.client(headers=HEADERS, allow_insecure_redirects=True) as client:
        await (await client.post(GOOD, content=b"canary-body"))
    assert secrets_in(web.last) == ["canary-body"]


async def test_a_refused_redirect_that_is_not_followed_is_a_response() -> None:
    """Its ``next_request`` raises when it is sent, with whichever client."""
    web = Web([(307, "http://evil.test/")])
    async with web.client(follow_redirects=False) as client:
        response = await (await client.post(GOOD, content=b"canary-body"))
        assert response.status_code == 307
        assert response.next_request is not None
        with pytest.raises(InsecureRedirectError):
            await client._client.send(response.next_request)
        with pytest.raises(InsecureRedirectError):
            response.next_request.read()
        async with httpx.AsyncClient(transport=httpx.MockTransport(web.answer)) as stock:
            with pytest.raises(InsecureRedirectError):
                await stock.send(response.next_request)
    assert len(web.seen) == 1


@pytest.mark.parametrize("way", [name for name in WAYS if "client" in name or "cookies" in name])
async def test_a_redirect_followed_by_hand_carries_no_secret(way: str) -> None:
    """Passing ``next_request`` to ``send()`` adds no credentials of the client either."""
    for_client, _ = WAYS[way]
    web = Web([(302, EVIL), (302, "/again")])
    transport = httpx.MockTransport(web.answer)
    async with FastPathClient(transport=transport, **for_client) as client:
        response = await client.get(GOOD)
        while response.next_request is not None:
            response = await client.send(response.next_request)
    assert [is_secret(request) for request in web.seen] == [True, False, False]


async def test_credentials_given_for_a_redirect_followed_by_hand_are_used() -> None:
    """They are meant for it."""
    web = Web([(302, EVIL)])
    async with FastPathClient(transport=httpx.MockTransport(web.answer)) as client:
        response = await client.get(GOOD)
        assert response.next_request is not None
        await client.send(response.next_request, auth=("ann", "pw"))
    assert "Authorization" in web.last.headers


def test_an_insecure_redirect_is_remembered_at_later_hops() -> None:
    """Cookies of https stay behind, although the later hop goes from http to http."""
    insecure = extensions_across({}, OriginChange.INSECURE)
    assert extensions_across(insecure, OriginChange.OTHER) == insecure
    assert extensions_across({}, OriginChange.OTHER) != insecure


async def test_a_host_header_given_by_hand_is_replaced_where_httpx_does_it() -> None:
    """Over TLS from now on, the request is for the host in the URL."""
    ours, theirs = Web([(307, "https://good.test/")]), Web([(307, "https://good.test/")])
    headers = {"Host": "other.test"}
    async with ours.client() as client:
        await client.request("GET", "http://good.test/", headers=headers)
    transport = httpx.MockTransport(theirs.answer)
    async with httpx.AsyncClient(transport=transport, follow_redirects=True) as stock:
        await stock.get("http://good.test/", headers=headers)
    assert ours.last.headers["Host"] == theirs.last.headers["Host"] == "good.test"


async def test_requests_made_directly_to_several_hosts_are_as_with_httpx() -> None:
    """Headers, credentials and cookies of the client go to all of them."""
    web = Web([])
    async with web.client(headers={"X-Api-Key": "canary-key"}, cookies={"a": "canary-a"}) as client:
        for url in (GOOD, EVIL, "http://other.test/"):
            await (await client.get(url))
            assert secrets_in(web.last) == ["canary-a", "canary-key"]


async def test_what_a_hook_adds_is_sent() -> None:
    """It is called for each hop, and sees its URL."""

    async def sign(request: httpx.Request) -> None:
        request.headers["X-Signature"] = f"for {request.url.host}"

    web = Web([(302, EVIL)])
    async with web.client(event_hooks={"request": [sign]}) as client:
        await (await client.get(GOOD))
    assert web.last.headers["X-Signature"] == "for evil.test"
