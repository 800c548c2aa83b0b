"""An invalid URL with a user name is never quoted: httpx takes a piece of the password for the port."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncPoolTransport,
    AsyncResilientClient,
    EventType,
    HSTSTransport,
    InvalidURLError,
    ResilientTransport,
)

SECRET = "http://ann:hun/ter2@proxy.test:3128"


def printed(error: BaseException) -> str:
    """Return all that a traceback of an error would tell, its causes and contexts included."""
    told = ""
    seen: BaseException | None = error
    while seen is not None:
        told += "".join(traceback.format_exception_only(seen))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return told


@pytest.mark.parametrize(
    "make",
    [
        lambda: AsyncResilientClient(proxy=SECRET),
        lambda: AsyncResilientClient(base_url=SECRET),
        lambda: AsyncResilientClient(proxy=SECRET, transport="aiohttp"),
        lambda: AsyncPoolTransport(proxy=SECRET),
    ],
)
def test_the_password_in_an_option_is_not_quoted(make: Callable[[], Any]) -> None:
    """Whichever option has it."""
    with pytest.raises(httpx.InvalidURL, match="percent-encode") as raised:
        make()
    assert "hun" not in printed(raised.value)


@pytest.mark.parametrize(
    "make", [AsyncResilientClient, AsyncPoolTransport, ResilientTransport, HSTSTransport]
)
@pytest.mark.parametrize("value", [SECRET, SECRET.removeprefix("http://")])
def test_the_password_of_a_proxy_of_the_environment_is_not_quoted(
    make: Callable[[], Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error says that a proxy has the invalid URL, which no argument of the call has."""
    monkeypatch.setenv("HTTP_PROXY", value)
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(httpx.InvalidURL, match=r"^proxy: .*percent-encode") as raised:
        make()
    assert "hun" not in printed(raised.value)


def test_an_invalid_proxy_without_a_user_name_is_explained_in_full() -> None:
    """There is nothing to hide."""
    with pytest.raises(httpx.InvalidURL, match=r"^proxy: Invalid port: 'eighty'$"):
        AsyncPoolTransport(proxy="http://proxy.test:eighty")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "/orders",
            "'/orders' must start with http:// or https://, because the client has no base",
        ),
        ("", "'/' must start with http:// or https://"),
        ("a.test/x", "must start with http"),
        ("localhost:8000/x", "must start with http"),
        ("ann:hunter2@a.test/x?token=hunter2", "'[^']*REDACTED@a.test/x' must start with http"),
        (" http://a.test/", "begins with a blank: strip it"),
        ("http://", "'http:[^']*' has no host"),
        ("http:///x", "has no host"),
        (httpx.URL("/orders"), "must start with http"),
        ("http://ho st/", "invalid host in the URL: it has a blank"),
        ("http://xn--a.test/", "host in the URL: 'xn--a.test' isn't valid IDNA"),
        (httpx.URL("http://xn--a.test/"), "isn't valid IDNA"),
    ],
)
async def test_a_url_that_leads_to_no_server_is_refused(
    url: Any, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before there is an event, a result or a line in the log, whichever method is called."""
    heard: list[AsyncEvent] = []
    async with AsyncResilientClient(trust_env=False) as client:
        client.add_event_callback(EventType.ERROR, heard.append)
        for call in (client.request, client.request_async, client.fetch):
            with pytest.raises(InvalidURLError, match=words) as raised:
                await call("GET", url)
            assert "hunter2" not in str(raised.value)
        with pytest.raises(InvalidURLError, match=words):
            await client.download(url, tmp_path / "file")
        with pytest.raises(InvalidURLError, match=words):
            async with client.stream("GET", url):
                raise AssertionError
        assert await client.wait_for_all_requests() == {}
    assert (heard, caplog.messages) == ([], [])


@pytest.mark.parametrize("base_url", ["api.test", "/v1", "http://", "ann:hunter2@api.test"])
def test_a_base_url_must_be_absolute(base_url: str) -> None:
    """It is refused when the client is made."""
    with pytest.raises(InvalidURLError, match="base_url must start with http:// or") as raised:
        AsyncResilientClient(base_url=base_url)
    assert "hunter2" not in str(raised.value)


def test_an_empty_base_url_is_none() -> None:
    """In either form."""
    for empty in ("", httpx.URL("")):
        AsyncResilientClient(
            base_url=empty, transport=httpx.MockTransport(lambda _: httpx.Response(200))
        )


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_an_external_client_quotes_no_password_either(
    library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Its URL is refused before there is an event, a result or a line in the log."""
    heard: list[AsyncEvent] = []
    async with (
        library.AsyncClient() as http_client,
        AsyncResilientClient(http_client=http_client) as client,
    ):
        client.add_event_callback(EventType.ERROR, heard.append)
        with pytest.raises(library.InvalidURL, match="percent-encode") as raised:
            await client.get(SECRET)
        assert await client.wait_for_all_requests() == {}
    assert isinstance(raised.value, InvalidURLError)
    assert isinstance(raised.value, ValueError)
    assert (heard, caplog.messages) == ([], [])
    assert "hun" not in printed(raised.value)
