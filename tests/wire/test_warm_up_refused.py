"""What ``warm_up()`` refuses, and which transports and clients it serves."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from warm_up_reports import report_of

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    InvalidURLError,
    ResilientTransport,
)
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize(
    ("urls", "options", "error", "words"),
    [
        ("http://api.test", {}, TypeError, "urls must be a collection of URLs.*got str"),
        (httpx.URL("http://api.test"), {}, TypeError, "urls must be a collection.*got URL"),
        (b"http://api.test", {}, TypeError, "urls must be a collection.*got bytes"),
        (None, {}, TypeError, "urls must be a collection.*got NoneType"),
        ([b"http://api.test"], {}, TypeError, "a URL must be a str or an httpx.URL, got bytes"),
        (
            ["http://api.test"],
            {"connections": 0},
            ValueError,
            "connections must be an integer >= 1",
        ),
        (["http://api.test"], {"connections": True}, ValueError, "connections must be an integer"),
        (["ftp://api.test"], {}, httpx.UnsupportedProtocol, "unsupported protocol 'ftp'"),
        (["/relative"], {}, httpx.UnsupportedProtocol, "unsupported protocol ''"),
        (["http://"], {}, ValueError, "must have a host"),
        (["http://xn--a.test/"], {}, InvalidURLError, "isn't valid IDNA"),
        ([httpx.URL("http://xn--a.test/")], {}, InvalidURLError, "isn't valid IDNA"),
        (["http://user:secret@a:b/"], {}, httpx.InvalidURL, "^(?!.*secret)"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_opened(
    urls: Any, options: Any, error: type[Exception], words: str
) -> None:
    """Also if it comes after a good URL."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        many = [server.url, *urls] if isinstance(urls, list) else urls
        with pytest.raises(error, match=words):
            await client.warm_up(many, **options)
        assert server.connections == 0


async def test_one_bad_url_keeps_every_pool_from_opening_anything() -> None:
    """Also if another pool serves it."""
    async with FaultServer(answer()) as server:
        mounts = {"http://": AsyncPoolTransport()}
        async with (
            httpx.AsyncClient(transport=AsyncPoolTransport(), mounts=mounts) as external,
            AsyncResilientClient(http_client=external) as client,
        ):
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.warm_up([server.url, "ftp://api.test"])
            assert mounts["http://"].statistics().opened == 0


async def test_an_empty_collection_warms_nothing() -> None:
    """It needs no special case in the caller."""
    async with AsyncResilientClient() as client:
        assert await client.warm_up([]) == []


OTHER_TRANSPORTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: httpx.MockTransport(lambda _: httpx.Response(200)), "MockTransport"),
    (httpx.AsyncHTTPTransport, "AsyncHTTPTransport"),
    (ResilientTransport, "ResilientTransport"),
]


@pytest.mark.parametrize(("make", "name"), OTHER_TRANSPORTS)
async def test_a_transport_that_is_not_our_pool_is_refused(
    make: Callable[[], Any], name: str
) -> None:
    """It can't open a connection without a request, or would have to see the URL first."""
    async with AsyncResilientClient(transport=make()) as client:
        with pytest.raises(TypeError, match=f"served by {name}, and only an AsyncPoolTransport"):
            await client.warm_up(["http://api.test"])


async def test_an_external_client_over_our_pool_is_warmed() -> None:
    """With its own timeouts; any other external client is refused."""

    class Other:
        async def request(self, *_: Any, **__: Any) -> httpx.Response:
            return httpx.Response(200)

    async with FaultServer(answer()) as server:
        async with (
            httpx.AsyncClient(transport=AsyncPoolTransport()) as external,
            AsyncResilientClient(http_client=external) as client,
        ):
            assert await client.warm_up([server.url]) == [report_of(server, opened=1)]
        async with AsyncResilientClient(http_client=Other()) as client:
            with pytest.raises(TypeError, match="served by Other"):
                await client.warm_up([server.url])


async def test_nothing_is_opened_while_a_tool_replaces_the_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test that mocks httpx's transport makes no connection."""

    async def mocked(*_: object) -> httpx.Response:
        return httpx.Response(200)

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", mocked)
        assert await client.warm_up([server.url]) == [report_of(server, opened=0)]
        assert server.connections == 0
