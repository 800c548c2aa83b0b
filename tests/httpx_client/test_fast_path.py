"""The lean httpx client: it leaves work out, and nothing that a user could miss."""

import functools
import gc
import http.cookiejar
import inspect
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient
from typed_async_client.httpx_client.fast_path import FastPathClient

URL = "http://service.test/"


def echo_cookies(request: httpx.Request) -> httpx.Response:
    """Set a cookie on the way in, and tell which ones came."""
    headers = {"Set-Cookie": "session=one; Path=/"} if request.url.path == "/login" else {}
    return httpx.Response(200, headers=headers, text=request.headers.get("Cookie", ""))


def make(**options: object) -> FastPathClient:
    """Give a lean client on an application in this process."""
    return FastPathClient(transport=httpx.MockTransport(echo_cookies), **options)


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
    lean = FastPathClient(base_url=URL, params={"q": "1"})
    for _ in range(2):
        theirs, ours = plain.build_request("GET", url), lean.build_request("GET", url)
        assert (ours.url, ours.headers.raw) == (theirs.url, theirs.headers.raw)


def test_an_address_that_is_none_is_refused_each_time() -> None:
    """A failure to parse is not remembered as a success."""
    for _ in range(2):
        with pytest.raises(httpx.InvalidURL):
            FastPathClient().build_request("GET", "http://service.test:port/")


@pytest.mark.parametrize(("length", "is_kept"), [(100, True), (60_000, False)])
async def test_a_very_long_address_is_not_kept(length: int, *, is_kept: bool) -> None:
    """A thousand of them would stay in memory for good, 120 MB, after the client was closed."""
    url = URL + "".join(["x"] * length)
    held = sys.getrefcount(url)
    async with make() as client:
        await client.request("GET", url)
        await client.get(url)
    assert (sys.getrefcount(url) > held) == is_kept


async def test_an_address_is_forgotten_behind_a_thousand_others() -> None:
    """What is remembered has a bound, however many addresses there are."""
    url = URL + "first"
    held = sys.getrefcount(url)
    client = make()
    client.build_request("GET", url)
    assert sys.getrefcount(url) > held
    for number in range(1024):
        client.build_request("GET", f"{URL}{number}")
    assert sys.getrefcount(url) == held


async def test_headers_are_forgotten_behind_a_thousand_others_and_with_their_client() -> None:
    """They may hold secrets; a bare request is told by its method here."""
    first, last = "first".upper(), "last".upper()
    held = sys.getrefcount(first)
    async with make() as client:
        await client.request(first, URL)
        assert sys.getrefcount(first) > held
        for number in range(1023):
            await client.request(f"M{number}", URL)
        await client.request(last, URL)
        assert sys.getrefcount(first) == held
        assert sys.getrefcount(last) > held
    del client
    gc.collect()
    assert sys.getrefcount(last) == held


# Nothing else differs

PLACES = {
    "bare": ("GET", "https://service.test/a?b=c", {}),
    "with a port": ("HEAD", "http://service.test:81/", {}),
    "with the port of another scheme": ("GET", "https://service.test:80/", {}),
    "of IPv6": ("GET", "http://[::1]:81/", {}),
    "with a password": ("GET", "http://user:pass@service.test/", {}),
    "below the base": ("GET", "/relative", {}),
    "without a body where one is expected": ("POST", URL, {}),
    "with a body": ("POST", URL, {"json": {"a": 1}}),
    "with headers": ("GET", URL, {"headers": {"Host": "other.test", "X-A": "1"}}),
    "with a query": ("GET", URL, {"params": {"q": "1"}}),
    "with a timeout": ("GET", URL, {"timeout": 3.0}),
    "with an extension": ("GET", URL, {"extensions": {"mine": 1}}),
    "with a parsed address": ("DELETE", httpx.URL(URL), {}),
    "with a word for a password": ("GET", URL, {"auth": ("user", "pass")}),
    "by a redirect": ("GET", URL + "moved", {"follow_redirects": True}),
    "to a redirect": ("GET", URL + "moved", {}),
}

SETTINGS = {
    "plain": {},
    "with headers": {"headers": [("X-B", "1"), ("X-B", "2"), ("Accept", "text/plain")]},
    "with a query": {"params": {"z": "9"}},
    "with cookies": {"cookies": {"a": "1"}},
    "with a timeout": {"timeout": None},
    "with a password": {"auth": ("client", "secret")},
    "with an encoding": {"default_encoding": "latin-1"},
}


def echo(request: httpx.Request) -> httpx.Response:
    """Tell what was sent, in the answer, whose body comes later."""
    if request.url.path == "/moved":
        return httpx.Response(302, headers={"Location": "/elsewhere"}, content=in_parts(b""))
    told = {"extensions": request.extensions, "content": request.content.decode()}
    return httpx.Response(200, headers=request.headers.raw, content=in_parts(repr(told).encode()))


async def in_parts(body: bytes) -> AsyncIterator[bytes]:
    """Give a body on the way."""
    yield body


async def seen(client: httpx.AsyncClient, method: str, url: Any, options: Any) -> dict[str, Any]:
    """Send one request, and tell all that can be seen of it and of its answer."""
    response = await client.request(method, url, **options)
    return {
        "sent": [(one.method, one.url, one.headers.raw) for one in sent_by(response)],
        "answer": (response.status_code, response.headers.raw, response.text),
        "encoding": response.default_encoding,
        "has next": response.next_request is not None,
        "elapsed": response.elapsed.total_seconds() >= 0,
        "content": (response.request.content, response.is_closed, repr(response)),
    }


def sent_by(response: httpx.Response) -> list[httpx.Request]:
    """Give the requests that led to a response."""
    return [earlier.request for earlier in response.history] + [response.request]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(("method", "url", "options"), PLACES.values(), ids=PLACES)
async def test_a_request_and_its_response_are_those_of_httpx(
    method: str, url: Any, options: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Twice each, for the second time much is known; with the line that httpx logs."""
    caplog.set_level("INFO", "httpx")
    told: list[Any] = []
    for kind in (httpx.AsyncClient, FastPathClient):
        transport = httpx.MockTransport(echo)
        async with kind(transport=transport, base_url=URL, **settings) as client:
            answers = [await seen(client, method, url, options) for _ in range(2)]
        told.append((answers, [record.getMessage() for record in caplog.records]))
        caplog.clear()
    assert told[0] == told[1]


async def test_headers_of_the_client_that_change_change_the_next_request() -> None:
    """Those of bare requests are remembered, and these are others."""
    async with make(headers={"X-A": "1"}) as client:
        first = (await client.get(URL)).request
        first.headers["X-Mine"] = "changed"
        client.headers["X-A"] = "2"
        second = (await client.get(URL)).request
        assert (second.headers["X-A"], "X-Mine" in second.headers) == ("2", False)


async def test_an_error_knows_its_request() -> None:
    """Whatever the transport raises of httpx's; what is not httpx's passes."""
    for error in (httpx.ReadError("lost"), ValueError("no error of httpx's")):

        def fail(_: httpx.Request, error: Exception = error) -> httpx.Response:
            raise error

        async with FastPathClient(transport=httpx.MockTransport(fail)) as client:
            with pytest.raises(type(error)) as raised:
                await client.get(URL)
            if isinstance(raised.value, httpx.HTTPError):
                assert raised.value.request.url == URL


async def test_a_body_that_only_a_plain_client_can_send_is_refused() -> None:
    """In httpx's words."""
    async with make() as client:
        with pytest.raises(RuntimeError, match="sync request with an AsyncClient"):
            await client.post(URL, content=iter([b"a"]))


async def test_a_body_that_only_a_plain_client_can_read_is_refused() -> None:
    """What a transport for plain clients gives is told for what it is."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=iter([b"a"])))
    async with FastPathClient(transport=transport) as client:
        with pytest.raises(TypeError, match="only a plain client reads"):
            await client.get(URL)


@pytest.mark.parametrize(
    "name", ["request", "build_request", "send", "_send_handling_auth", "_send_single_request"]
)
async def test_what_somebody_puts_in_the_place_of_a_method_of_httpx_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorders, tracers and tests do so; unheard, they would let requests out to the network."""
    theirs, called = getattr(httpx.AsyncClient, name), []

    @functools.wraps(theirs)
    def heard(*given: Any, **options: Any) -> Any:
        called.append(name)
        return theirs(*given, **options)

    monkeypatch.setattr(httpx.AsyncClient, name, heard)
    async with make() as client:
        assert (await client.request("GET", URL)).status_code == 200
    assert called == [name]


async def test_a_closed_client_refuses() -> None:
    """As httpx does."""
    client = make()
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get(URL)


def test_the_names_of_httpx_that_are_overridden_are_there() -> None:
    """One that goes would leave ours unused, and the client slower than it says."""
    for name in ("request", "build_request", "_send_handling_auth", "_send_single_request"):
        theirs = inspect.signature(getattr(httpx.AsyncClient, name))
        assert name in vars(FastPathClient)
        if name.startswith("_"):
            ours = inspect.signature(vars(FastPathClient)[name])
            assert list(ours.parameters) == list(theirs.parameters)
