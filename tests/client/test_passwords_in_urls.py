"""An invalid URL with a password isn't quoted, wherever it comes from.

Httpx takes ``hun`` in ``http://ann:hun#ter2@host/`` for the port, and quotes it.
"""

from collections.abc import Callable

import httpx
import pytest

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    EventType,
    ResilientTransport,
)

URL = "http://ann:hun#ter2@host.test/"


class Text(str):
    """A string of a class of its own, as template engines and settings have them."""

    __slots__ = ()


@pytest.mark.parametrize("kind", [str, Text])
@pytest.mark.parametrize("password", ["hun/ter2", "hun#ter2"])
async def test_the_url_of_a_request_is_not_quoted(password: str, kind: type[str]) -> None:
    """Not even in the cause of the error."""
    async with AsyncResilientClient() as client:
        with pytest.raises(httpx.InvalidURL, match="percent-encode") as raised:
            await client.request("GET", kind(f"https://ann:{password}@bucket.test/"))
    assert "hun" not in str(raised.value)
    assert raised.value.__cause__ is None


class InvalidatingClient(httpx.AsyncClient):
    """A client that parses another URL than it was given, and fails."""

    async def request(self, *_: object, **__: object) -> httpx.Response:
        """Parse the URL with the password."""
        httpx.URL(URL)
        raise AssertionError("it is invalid")


OPTIONS: dict[str, Callable[[], object]] = {
    "base URL": lambda: AsyncResilientClient(base_url=URL),
    "proxy of a client": lambda: AsyncResilientClient(proxy=URL),
    "proxy of a pool": lambda: AsyncPoolTransport(proxy=URL),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_not_quoted(option: str) -> None:
    """The error says what is wrong with it all the same."""
    with pytest.raises(httpx.InvalidURL, match="percent-encode") as raised:
        OPTIONS[option]()
    assert "hun" not in str(raised.value)


@pytest.mark.parametrize("make", [AsyncResilientClient, AsyncPoolTransport, ResilientTransport])
def test_a_proxy_of_the_environment_is_not_quoted(
    make: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its URL often has a password."""
    monkeypatch.setenv("HTTP_PROXY", URL)
    with pytest.raises(httpx.InvalidURL, match="percent-encode"):
        make()


@pytest.mark.parametrize("make", [AsyncResilientClient, AsyncPoolTransport])
def test_a_proxy_with_an_unknown_scheme_is_not_quoted(make: Callable[..., object]) -> None:
    """A token may stand in the place of its user name."""
    with pytest.raises(ValueError, match=r"must be http, https, socks5 or socks5h, got 'ftp'") as e:
        make(proxy="ftp://t0ken@proxy.test")
    assert "t0ken" not in str(e.value)


async def test_the_target_of_a_redirect_is_not_quoted() -> None:
    """Neither in the error, nor in what reports it."""
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": URL}))
    async with AsyncResilientClient(transport=transport) as client:
        with pytest.raises(
            httpx.RemoteProtocolError, match="has a user name or password"
        ) as raised:
            await client.request("GET", "http://a.test/", follow_redirects=True)
    assert raised.value.request.url == "http://a.test/"


async def test_an_invalid_target_without_a_password_is_quoted() -> None:
    """As httpx does."""
    headers = {"Location": "http://b.test:port/"}
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers=headers))
    async with AsyncResilientClient(transport=transport) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="Invalid port: 'port'"):
            await client.request("GET", "http://a.test/", follow_redirects=True)


async def test_what_another_client_quotes_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the log, nor where an event or a result is printed: here of an invalid redirect."""
    printed = []
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": URL}))
    async with (
        InvalidatingClient(transport=transport) as given,
        AsyncResilientClient(http_client=given) as client,
    ):
        client.add_event_callback(EventType.ERROR, lambda event: printed.append(repr(event)))
        with pytest.raises(httpx.InvalidURL):
            await client.request("GET", "http://a.test/@me")
        (result,) = (await client.wait_for_all_requests()).values()
    assert "hun" not in f"{printed} {result!r} {caplog.text}"
    assert "invalid URL: percent-encode" in caplog.text
