"""The fast-path client does less work than httpx's, with no visible difference."""

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
from typed_async_client.redact import redact

URL = "http://service.test/"


def echo_cookies(request: httpx.Request) -> httpx.Response:
    """Set a cookie on login, and answer with the cookies of the request."""
    headers = {"Set-Cookie": "session=one; Path=/"} if request.url.path == "/login" else {}
    return httpx.Response(200, headers=headers, text=request.headers.get("Cookie", ""))


def make(**options: Any) -> FastPathClient:
    """Make a fast-path client on a mock transport."""
    return FastPathClient(transport=httpx.MockTransport(echo_cookies), **options)


async def test_a_cookie_set_by_a_response_is_sent_with_the_next_request() -> None:
    """Responses that set cookies are still passed to the jar."""
    async with make() as client:
        assert (await client.get(URL)).text == ""
        await client.get(URL + "login")
        assert (await client.get(URL)).text == "session=one"
        assert dict(client.cookies) == {"session": "one"}


async def test_cookies_of_the_client_and_of_the_request_are_sent_together() -> None:
    """Both ways to set cookies work as in httpx."""
    async with make(cookies={"a": "1"}) as client:
        with pytest.deprecated_call():
            response = await client.get(URL, cookies={"b": "2"})
        assert response.text == "a=1; b=2"


async def test_cookies_can_be_replaced() -> None:
    """Assigning to ``cookies`` drops the previous ones, as in httpx."""
    async with make(cookies={"a": "1"}) as client:
        client.cookies = {"b": "2"}
        assert (await client.get(URL)).text == "b=2"


async def test_a_custom_jar_sees_every_response() -> None:
    """It may read more than the cookies of a response."""

    class CountingJar(http.cookiejar.CookieJar):
        seen = 0

        def extract_cookies(self, response: object, request: object) -> None:
            self.seen += 1

    jar = CountingJar()
    async with make(cookies=jar) as client:
        await client.get(URL)
        assert client.cookies.jar is jar
        assert jar.seen == 1


async def test_a_jar_passed_to_the_resilient_client_is_filled() -> None:
    """The client uses the caller's own ``CookieJar`` object."""
    jar = http.cookiejar.CookieJar()
    transport = httpx.MockTransport(echo_cookies)
    async with AsyncResilientClient(cookies=jar, transport=transport) as client:
        await (await client.get(URL + "login"))
    assert [cookie.value for cookie in jar] == ["one"]


@pytest.mark.parametrize("url", ["http://service.test/a?b=c#d", httpx.URL(URL), "/relative"])
def test_requests_are_built_as_by_httpx(url: httpx.URL | str) -> None:
    """Each is built twice, because the second time the URL comes from the cache."""
    stock = httpx.AsyncClient(base_url=URL, params={"q": "1"})
    fast = FastPathClient(base_url=URL, params={"q": "1"})
    for _ in range(2):
        theirs, ours = stock.build_request("GET", url), fast.build_request("GET", url)
        assert (ours.url, ours.headers.raw) == (theirs.url, theirs.headers.raw)


def test_an_invalid_url_is_refused_every_time() -> None:
    """A failure to parse isn't cached as a success."""
    for _ in range(2):
        with pytest.raises(httpx.InvalidURL):
            FastPathClient().build_request("GET", "http://service.test:port/")


async def test_the_log_line_of_a_response_has_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """No user name, password or signature, and everything else of the URL."""
    caplog.set_level("INFO", "httpx")
    async with make() as client:
        await client.get("https://ann:hunter2@bucket.test/file?page=2&X-Amz-Signature=deadbeef")
    url = "https://REDACTED:REDACTED@bucket.test/file?page=2&X-Amz-Signature=REDACTED"
    assert caplog.messages == [f'HTTP Request: GET {url} "HTTP/1.1 200 OK"']


@pytest.mark.parametrize(("length", "is_cached"), [(100, True), (60_000, False)])
async def test_a_very_long_url_is_not_cached(length: int, *, is_cached: bool) -> None:
    """A thousand of them would occupy 120 MB forever, even after the client is closed."""
    url = URL + "".join(["x"] * length)
    held = sys.getrefcount(url)
    async with make() as client:
        await client.request("GET", url)
        await client.get(url)
    assert (sys.getrefcount(url) > held) == is_cached


async def test_a_url_is_evicted_after_a_thousand_others() -> None:
    """The cache is bounded, however many URLs are used."""
    url = URL + "first"
    held = sys.getrefcount(url)
    client = make()
    client.build_request("GET", url)
    assert sys.getrefcount(url) > held
    for number in range(1024):
        client.build_request("GET", f"{URL}{number}")
    assert sys.getrefcount(url) == held


async def test_headers_are_evicted_after_a_thousand_others_and_freed_with_their_client() -> None:
    """They may contain secrets. The cached entries are tracked by their method here."""
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


# No other differences from httpx

REQUESTS = {
    "bare": ("GET", "https://service.test/a?b=c", {}),
    "with a port": ("HEAD", "http://service.test:81/", {}),
    "with the port of another scheme": ("GET", "https://service.test:80/", {}),
    "to an IPv6 address": ("GET", "http://[::1]:81/", {}),
    "with a password": ("GET", "http://user:pass@service.test/", {}),
    "relative to the base URL": ("GET", "/relative", {}),
    "with a method that expects a body, without one": ("POST", URL, {}),
    "with a body": ("POST", URL, {"json": {"a": 1}}),
    "with headers": ("GET", URL, {"headers": {"Host": "other.test", "X-A": "1"}}),
    "with a query": ("GET", URL, {"params": {"q": "1"}}),
    "with a timeout": ("GET", URL, {"timeout": 3.0}),
    "with an extension": ("GET", URL, {"extensions": {"mine": 1}}),
    "with a parsed URL": ("DELETE", httpx.URL(URL), {}),
    "with auth": ("GET", URL, {"auth": ("user", "pass")}),
    "through a redirect": ("GET", URL + "moved", {"follow_redirects": True}),
    "to a redirect": ("GET", URL + "moved", {}),
}

SETTINGS = {
    "default": {},
    "with headers": {"headers": [("X-B", "1"), ("X-B", "2"), ("Accept", "text/plain")]},
    "with a query": {"params": {"z": "9"}},
    "with cookies": {"cookies": {"a": "1"}},
    "with a timeout": {"timeout": None},
    "with a password": {"auth": ("client", "secret")},
    "with an encoding": {"default_encoding": "latin-1"},
}


def echo(request: httpx.Request) -> httpx.Response:
    """Answer with what was sent, in a body that is streamed."""
    if request.url.path == "/moved":
        return httpx.Response(302, headers={"Location": "/elsewhere"}, content=streamed(b""))
    sent = {"extensions": request.extensions, "content": request.content.decode()}
    return httpx.Response(200, headers=request.headers.raw, content=streamed(repr(sent).encode()))


async def streamed(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body asynchronously."""
    yield body


async def visible_state(
    client: httpx.AsyncClient, method: str, url: Any, options: Any
) -> dict[str, Any]:
    """Send one request, and return everything visible of it and of its response."""
    response = await client.request(method, url, **options)
    return {
        "sent": [(one.method, one.url, one.headers.raw) for one in requests_of(response)],
        "response": (response.status_code, response.headers.raw, response.text),
        "encoding": response.default_encoding,
        "has next": response.next_request is not None,
        "elapsed": response.elapsed.total_seconds() >= 0,
        "content": (response.request.content, response.is_closed, repr(response)),
    }


def requests_of(response: httpx.Response) -> list[httpx.Request]:
    """Return the requests that led to a response."""
    return [earlier.request for earlier in response.history] + [response.request]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(("method", "url", "options"), REQUESTS.values(), ids=REQUESTS)
async def test_requests_and_responses_are_the_same_as_with_httpx(
    method: str, url: Any, options: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is sent twice, because the second uses the caches; the log records match too."""
    caplog.set_level("INFO", "httpx")
    observed: list[Any] = []
    for kind in (httpx.AsyncClient, FastPathClient):
        transport = httpx.MockTransport(echo)
        async with kind(transport=transport, base_url=URL, **settings) as client:
            states = [await visible_state(client, method, url, options) for _ in range(2)]
        observed.append((states, [redact(record.getMessage()) for record in caplog.records]))
        caplog.clear()
    assert observed[0] == observed[1]


async def test_changed_client_headers_apply_to_the_next_request() -> None:
    """The cache of headers doesn't return outdated ones, nor those changed on a request."""
    async with make(headers={"X-A": "1"}) as client:
        first = (await client.get(URL)).request
        first.headers["X-Mine"] = "changed"
        client.headers["X-A"] = "2"
        second = (await client.get(URL)).request
        assert (second.headers["X-A"], "X-Mine" in second.headers) == ("2", False)


async def test_an_error_has_its_request() -> None:
    """This applies to every httpx error of the transport; other errors pass unchanged."""
    for error in (httpx.ReadError("lost"), ValueError("not an httpx error")):

        def fail(_: httpx.Request, error: Exception = error) -> httpx.Response:
            raise error

        async with FastPathClient(transport=httpx.MockTransport(fail)) as client:
            with pytest.raises(type(error)) as raised:
                await client.get(URL)
            if isinstance(raised.value, httpx.HTTPError):
                assert raised.value.request.url == URL


async def test_a_synchronous_request_body_is_refused() -> None:
    """The error message is httpx's."""
    async with make() as client:
        with pytest.raises(RuntimeError, match="sync request with an AsyncClient"):
            await client.post(URL, content=iter([b"a"]))


async def test_a_synchronous_response_body_is_refused() -> None:
    """The error says that the body can only be read by a synchronous client."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=iter([b"a"])))
    async with FastPathClient(transport=transport) as client:
        with pytest.raises(TypeError, match="only a synchronous client can read"):
            await client.get(URL)


@pytest.mark.parametrize(
    "name", ["request", "build_request", "send", "_send_handling_auth", "_send_single_request"]
)
async def test_a_patched_method_of_httpx_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorders, tracers and tests patch methods; bypassed, they would miss requests."""
    original, called = getattr(httpx.AsyncClient, name), []

    @functools.wraps(original)
    def recorded(*given: Any, **options: Any) -> Any:
        called.append(name)
        return original(*given, **options)

    monkeypatch.setattr(httpx.AsyncClient, name, recorded)
    async with make() as client:
        assert (await client.request("GET", URL)).status_code == 200
    assert called == [name]


async def test_a_closed_client_refuses_requests() -> None:
    """It raises the same error as httpx."""
    client = make()
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get(URL)


def test_the_overridden_methods_of_httpx_exist() -> None:
    """If httpx removed one, ours would be unused, and the client slow without notice."""
    for name in ("request", "build_request", "_send_handling_auth", "_send_single_request"):
        theirs = inspect.signature(getattr(httpx.AsyncClient, name))
        assert name in vars(FastPathClient)
        if name.startswith("_"):
            ours = inspect.signature(vars(FastPathClient)[name])
            assert list(ours.parameters) == list(theirs.parameters)


async def test_a_bare_request_has_the_state_that_the_constructor_of_httpx_gives_it() -> None:
    """It is created without it; nothing of one request is shared with the next but its URL."""
    async with make() as client, httpx.AsyncClient() as stock:
        sent = [(await client.request("get", URL)).request for _ in range(2)]
        built = stock.build_request("GET", URL)
        for request in sent:
            assert vars(request).keys() == vars(built).keys()
            assert (request.method, request.url, request.content) == ("GET", built.url, b"")
            assert request.headers == built.headers
            assert request.extensions == built.extensions
            assert type(request.stream) is type(built.stream)
        sent[0].headers["X-Changed"] = "yes"
        sent[0].extensions["timeout"]["read"] = 1.0
        assert "X-Changed" not in sent[1].headers
        assert sent[1].extensions == built.extensions
        assert "X-Changed" not in (await client.get(URL)).request.headers
