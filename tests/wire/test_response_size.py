"""``max_response_bytes``: a body that is too large isn't read to its end, however it is sent and read."""

import asyncio
import itertools
import pickle
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from fault_handlers import wait_until
from h2_servers import h2_client_context, hypercorn_url
from leak_checks import no_leaks
from sized_bodies import (
    CAP,
    FITS,
    LARGE,
    SMALL_ENOUGH,
    TOO_LARGE,
    WAYS,
    declared,
    endless,
    serving,
)

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    Call,
    CallNext,
    Resilience,
    ResponseTooLargeError,
    simple_async_request,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request


@pytest.mark.parametrize(
    ("send", "way"),
    [
        (send, way)
        for send, way in itertools.product(TOO_LARGE, WAYS)
        if way == "pool" or send in {"chunked", "gzip"}
    ],
)
async def test_a_body_that_is_too_large_is_an_error(send: str, way: str) -> None:
    """Its connection is closed, and the next request gets a new one."""
    async with (
        no_leaks(),
        serving(TOO_LARGE[send]) as server,
        WAYS[way](max_response_bytes=CAP) as client,
    ):
        for _ in range(2):
            with pytest.raises(ResponseTooLargeError) as raised:
                await client.request("GET", server.url)
            error = raised.value
            start = f"GET: the body of the response from 127.0.0.1:{server.port} is larger than "
            assert str(error).startswith(f"{start}max_response_bytes={CAP}: ")
            assert (error.limit, error.response.status_code) == (CAP, 200)
            assert str(error.request.url) == server.url
            assert (await client.request("GET", f"{server.url}small")).content == b"ok"
        assert len(server.requests) == 4  # nothing was sent again
        assert isinstance(error, httpx2.RequestError) == (way == "external httpx2")
        assert pickle.loads(pickle.dumps(error)).limit == CAP


@pytest.mark.parametrize(
    ("send", "way"),
    [
        (send, way)
        for send, way in itertools.product(SMALL_ENOUGH, WAYS)
        if way == "pool" or send in {"chunked", "gzip"}
    ],
)
async def test_a_body_of_just_that_size_is_read(send: str, way: str) -> None:
    """Decoded; its connection is kept."""
    async with serving(SMALL_ENOUGH[send]) as server, WAYS[way](max_response_bytes=CAP) as client:
        for _ in range(2):
            assert (await client.request("GET", server.url)).content == FITS
        assert server.connections == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_response_without_a_body_passes_whatever_it_declares(way: str) -> None:
    """HEAD, and 304; RFC 9112 section 6.3."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        status = b"200 OK" if request.method == "HEAD" else b"304 Not Modified"
        coding = b"Content-Encoding: gzip, gzip\r\n"
        await wire.send(b"HTTP/1.1 %b\r\n%bContent-Length: 999999\r\n\r\n" % (status, coding))

    async with (
        FaultServer(each_request(respond)) as server,
        WAYS[way](max_response_bytes=0) as client,
    ):
        for method in ("HEAD", "GET"):
            assert (await client.request(method, server.url)).content == b""


async def test_a_request_or_a_view_may_have_another_limit_than_its_client() -> None:
    """None is no limit, for either; what isn't given is the client's."""
    async with serving(declared(LARGE)) as server:
        async with AsyncResilientClient(max_response_bytes=CAP) as client:
            for view, given in (
                (client, {"max_response_bytes": None}),
                (client.with_options(max_response_bytes=None), {}),
            ):
                options: Any = given
                assert (await view.request("GET", server.url, **options)).content == LARGE
            for view in (client, client.with_options(deadline=60.0)):
                with pytest.raises(ResponseTooLargeError):
                    await view.request("GET", server.url)
            smaller = client.with_options(max_response_bytes=5)
            with pytest.raises(ResponseTooLargeError, match="max_response_bytes=5: "):
                await smaller.request("GET", server.url)
            with pytest.raises(ResponseTooLargeError, match="max_response_bytes=7: "):
                await smaller.request("GET", server.url, max_response_bytes=7)
        with pytest.raises(ResponseTooLargeError):
            await simple_async_request("GET", server.url, max_response_bytes=CAP)


@pytest.mark.parametrize("value", [-1, 1.5, True, "10"])
async def test_a_limit_that_is_no_size_is_refused_before_anything_is_sent(value: Any) -> None:
    """Wherever it is given."""
    message = r"max_response_bytes must be an integer >= 0 or None, got "
    with pytest.raises(ValueError, match=message):
        AsyncResilientClient(max_response_bytes=value)
    with pytest.raises(ValueError, match="max_encodings must be an integer >= 1, got "):
        AsyncResilientClient(max_encodings=value)
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        with pytest.raises(ValueError, match=message):
            await client.get(server.url, max_response_bytes=value)
        with pytest.raises(ValueError, match=message):
            client.with_options(max_response_bytes=value)
        assert server.requests == []


async def test_a_client_without_event_hooks_cannot_be_limited() -> None:
    """Its responses have been read when they are seen; that is said before anything is sent."""

    class Other:
        async def request(self, method: str, url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, request=httpx.Request(method, url))

    with pytest.raises(ValueError, match=r"needs an http_client with event_hooks.*Other has none"):
        AsyncResilientClient(http_client=Other(), max_response_bytes=1)
    async with AsyncResilientClient(http_client=Other()) as client:
        with pytest.raises(ValueError, match="max_response_bytes=1 needs an http_client"):
            await client.get("http://a.test/", max_response_bytes=1)
        assert (await client.request("GET", "http://a.test/")).status_code == 200


@pytest.mark.parametrize("way", ["pool", "external httpx", "external httpx2"])
async def test_the_body_of_a_redirect_is_limited_too(way: str) -> None:
    """It is read before the redirect is followed."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        large = request.target == "/"
        await wire.answer(302 if large else 200, LARGE if large else b"ok", "Location: /next")

    async with (
        FaultServer(each_request(respond)) as server,
        WAYS[way](max_response_bytes=CAP) as client,
    ):
        with pytest.raises(ResponseTooLargeError):
            await client.request("GET", server.url, follow_redirects=True)
        assert [request.target for request in server.requests] == ["/"]


async def test_the_limit_holds_for_the_calls_of_a_middleware() -> None:
    """Each of them is a request of the client."""

    async def middleware(call: Call, call_next: CallNext) -> httpx.Response:
        return await call_next(call)

    async with (
        serving(declared(LARGE)) as server,
        AsyncResilientClient(middleware=[middleware], max_response_bytes=CAP) as client,
    ):
        with pytest.raises(ResponseTooLargeError):
            await client.request("GET", server.url)
        assert (await client.request("GET", server.url, max_response_bytes=None)).content == LARGE


async def test_a_body_that_is_too_large_is_not_requested_again() -> None:
    """It would be as large the next time; the host isn't held responsible."""
    async with (
        serving(declared(LARGE)) as server,
        AsyncResilientClient(resilience=Resilience.standard(), max_response_bytes=CAP) as client,
    ):
        for _ in range(30):
            with pytest.raises(ResponseTooLargeError):
                await client.request("GET", server.url)
        assert len(server.requests) == 30
        assert (await client.request("GET", f"{server.url}small")).content == b"ok"


async def test_over_http2_only_the_stream_of_the_response_is_ended(tmp_path: Path) -> None:
    """The connection is kept for the next request."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        body = {"/small": b"ok"}.get(scope["path"], 20 * LARGE)
        length = [(b"content-length", b"%d" % len(body))] if scope["path"] != "/chunks" else []
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})

    transport = AsyncPoolTransport(http2=True, verify=h2_client_context())
    async with (
        hypercorn_url(app, tmp_path) as url,
        AsyncResilientClient(transport=transport, max_response_bytes=CAP) as client,
    ):
        for path in ("declared", "chunks"):
            with pytest.raises(ResponseTooLargeError):
                await client.request("GET", f"{url}{path}")
            response = await client.request("GET", f"{url}small")
            assert (response.http_version, response.content) == ("HTTP/2", b"ok")
        statistics = transport.statistics()
        assert (statistics.active, statistics.connecting, statistics.waiting) == (0, 0, 0)
        assert (statistics.idle, statistics.opened) == (1, 1)


async def test_a_body_of_a_response_that_nobody_holds_is_closed_when_it_is_too_large() -> None:
    """A cancelled read leaves nothing behind either."""
    async with no_leaks(), serving(endless) as server, AsyncResilientClient() as client:
        task = await client.get(server.url, max_response_bytes=2**40)
        await wait_until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
