"""``max_response_bytes``: a body that is too large isn't read to its end, however it is sent and read."""

import asyncio
import contextlib
import gzip
import itertools
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import brotli
import httpx
import httpx2
import pytest
from fault_handlers import wait_until
from h2_servers import h2_client_context, hypercorn_url
from leak_checks import no_leaks
from pool_helpers import hide_httptools

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

CAP = 5_000
FITS, LARGE = bytes(CAP), bytes(CAP + 1)

Ways = Callable[..., contextlib.AbstractAsyncContextManager[AsyncResilientClient]]


def over(make_transport: Callable[[], Any]) -> Ways:
    """Return what opens a client over a transport."""

    def opened(**options: Any) -> AsyncResilientClient:
        return AsyncResilientClient(transport=make_transport(), **options)

    return opened


def over_own(library: Any, make_transport: Callable[[], Any] = lambda: None) -> Ways:
    """Return what opens a client that sends through one of a library."""

    @contextlib.asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[AsyncResilientClient]:
        async with (
            library.AsyncClient(transport=make_transport()) as external,
            AsyncResilientClient(http_client=external, **options) as client,
        ):
            yield client

    return opened


@contextlib.asynccontextmanager
async def over_h11(**options: Any) -> AsyncIterator[AsyncResilientClient]:
    """Open a client whose pool parses with h11."""
    with pytest.MonkeyPatch.context() as patch:
        hide_httptools(patch)
        async with AsyncResilientClient(**options) as client:
            yield client


WAYS: dict[str, Ways] = {
    "pool": AsyncResilientClient,
    "h11": over_h11,
    "httpx transport": over(httpx.AsyncHTTPTransport),
    "aiohttp": over(lambda: "aiohttp"),
    "pyreqwest": over(lambda: "pyreqwest"),
    "external httpx": over_own(httpx),
    "external httpx2": over_own(httpx2),
    "external pool": over_own(httpx, AsyncPoolTransport),
}


def declared(body: bytes, *headers: str) -> Callable[[Wire], Awaitable[None]]:
    """Send a body with a Content-Length."""
    return lambda wire: wire.answer(200, body, *headers)


def chunked(body: bytes, *headers: str, size: int = 1_000) -> Callable[[Wire], Awaitable[None]]:
    """Send a body in chunks."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    sized = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]
    return lambda wire: wire.send("\r\n".join(lines).encode() + sized + b"0\r\n\r\n")


async def endless(wire: Wire) -> None:
    """Send chunks without an end."""
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await wire.send(b"1000\r\n" + bytes(0x1000) + b"\r\n")


async def endless_nothing(wire: Wire) -> None:
    """Send gzip members without an end, each of which is empty."""
    await wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    members = 500 * gzip.compress(b"")
    while True:
        await wire.send(b"%x\r\n%b\r\n" % (len(members), members))


async def until_close(wire: Wire) -> None:
    """Send a body that ends with the connection."""
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE)
    await wire.finish()


GZIP, BROTLI = "Content-Encoding: gzip", "Content-Encoding: br"

TOO_LARGE = {
    "declared": declared(LARGE),
    "chunked": chunked(LARGE),
    "one-byte chunks": chunked(LARGE, size=1),
    "endless": endless,
    "until close": until_close,
    "gzip": declared(gzip.compress(LARGE), GZIP),
    "gzip in chunks": chunked(gzip.compress(LARGE), GZIP, size=30),
    "gzip of nothing": endless_nothing,
    "brotli": declared(brotli.compress(LARGE), BROTLI),
}

SMALL_ENOUGH = {
    "declared": declared(FITS),
    "chunked": chunked(FITS),
    "gzip": declared(gzip.compress(FITS), GZIP),
    "gzip in chunks": chunked(gzip.compress(FITS), GZIP, size=30),
    "brotli": declared(brotli.compress(FITS), BROTLI),
}


def serving(send: Callable[[Wire], Awaitable[None]]) -> FaultServer:
    """Create a server that sends a body, or a short one for the path ``/small``."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await (wire.answer(200, b"ok") if request.target == "/small" else send(wire))

    return FaultServer(each_request(respond))


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


@pytest.mark.parametrize("way", WAYS)
async def test_two_content_codings_are_refused_unless_the_client_allows_them(way: str) -> None:
    """In one header or in several; ``identity`` isn't one."""
    twice = gzip.compress(gzip.compress(b"hello"))
    for headers in (["Content-Encoding: gzip, x-gzip"], ["Content-Encoding: gzip, identity", GZIP]):
        async with serving(declared(twice, *headers)) as server:
            async with WAYS[way]() as client:
                with pytest.raises((httpx.DecodingError, httpx2.DecodingError)) as raised:
                    await client.request("GET", server.url)
                assert "has 2 content codings" in str(raised.value)
                is_of_httpx2 = isinstance(raised.value, httpx2.DecodingError)
                assert is_of_httpx2 == (way == "external httpx2")
                assert (await client.request("GET", f"{server.url}small")).content == b"ok"
            async with WAYS[way](max_encodings=2) as client:
                assert (await client.request("GET", server.url)).content == b"hello"


@pytest.mark.parametrize("way", WAYS)
async def test_a_cut_body_is_an_error_and_every_gzip_member_is_read(way: str) -> None:
    """With any transport, and with a client of the user's own."""
    for body, is_whole in ((2 * gzip.compress(b"hello"), True), (gzip.compress(b"h")[:-3], False)):
        async with (
            serving(declared(body, "Content-Encoding: x-gzip")) as server,
            WAYS[way]() as client,
        ):
            if is_whole:
                assert (await client.request("GET", server.url)).content == b"hellohello"
                continue
            with pytest.raises((httpx.DecodingError, httpx2.DecodingError), match="truncated"):
                await client.request("GET", server.url)


READERS: dict[str, Callable[[httpx.Response], AsyncIterator[str | bytes]]] = {
    "bytes": httpx.Response.aiter_bytes,
    "text": httpx.Response.aiter_text,
    "lines": httpx.Response.aiter_lines,
    "raw": httpx.Response.aiter_raw,
}


STREAMED = [
    (send, reader, way)
    for send, reader, way in itertools.product(TOO_LARGE, READERS, WAYS)
    if not way.startswith("external")
    and (way == "pool" or send in {"declared", "gzip"})
    and (reader in {"bytes", "raw"} or send == "gzip")
]
"""Each body with our pool, and two of them with other transports."""


@pytest.mark.parametrize(("send", "reader", "way"), STREAMED)
async def test_a_streamed_body_ends_with_the_error(send: str, reader: str, way: str) -> None:
    """No more than the limit is delivered before it; a compressed body is received in full."""
    async with no_leaks(), serving(TOO_LARGE[send]) as server, WAYS[way]() as client:
        received = 0
        is_whole = reader == "raw" and send in {"gzip", "gzip in chunks", "brotli"}
        context = client.new_context("r")
        with contextlib.nullcontext() if is_whole else pytest.raises(ResponseTooLargeError):
            async with client.stream(
                "GET", server.url, context, max_response_bytes=CAP
            ) as response:
                async for part in getattr(response, f"aiter_{reader}")():
                    received += len(part)
        result = (await client.wait_for_all_requests())["r"]
        assert isinstance(result.error, ResponseTooLargeError) != is_whole
        assert received <= (CAP if reader != "raw" else CAP + CAP // 8 + 64 * 1024)
        assert (await client.request("GET", f"{server.url}small")).content == b"ok"


async def test_what_is_declared_is_refused_when_it_is_read() -> None:
    """A caller that only wants the head of a response gets it."""
    async with (
        serving(declared(LARGE)) as server,
        AsyncResilientClient() as client,
        client.stream("GET", server.url, max_response_bytes=CAP) as response,
    ):
        assert response.headers["content-length"] == str(len(LARGE))
        with pytest.raises(ResponseTooLargeError, match=f"its Content-Length is {CAP + 1}"):
            await response.aread()


@pytest.mark.parametrize("way", ["pool", "httpx transport", "external httpx", "external httpx2"])
async def test_a_streamed_body_that_cannot_be_decoded_is_no_success(way: str) -> None:
    """Not even if all of it was received; nor if its reader handles the error by itself."""
    bodies = [gzip.compress(b"hello")[:-2], 5 * gzip.compress(b"hello")[:-9], gzip.compress(b"h")]
    for number, body in enumerate(bodies):
        async with serving(chunked(body, GZIP, size=7)) as server, WAYS[way]() as client:
            context = client.new_context("r")
            async with client.stream("GET", server.url, context) as response:
                with contextlib.suppress(httpx.DecodingError, httpx2.DecodingError):
                    async for _ in response.aiter_bytes():
                        pass
            result = (await client.wait_for_all_requests())["r"]
            assert result.is_success == (number == 2)


async def test_a_reader_who_leaves_early_sees_no_error_in_the_result() -> None:
    """What isn't read isn't checked."""
    body = gzip.compress(bytes(range(256)) * 100)[:-2]
    async with serving(chunked(body, GZIP, size=7)) as server, AsyncResilientClient() as client:
        async with client.stream("GET", server.url, client.new_context("r")) as response:
            async for _ in response.aiter_bytes():
                break
        assert (await client.wait_for_all_requests())["r"].is_success


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


# Responses without a socket


async def parts_of(data: bytes) -> AsyncIterator[bytes]:
    """Yield a body in parts."""
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


class Response(httpx.Response):
    """A response of a class of its own."""


NO_HEADERS: dict[str, str] = {}

MOCKED: dict[str, Callable[[bytes, dict[str, str]], httpx.Response]] = {
    "content": lambda body, headers: httpx.Response(200, content=body, headers=headers),
    "stream": lambda body, headers: httpx.Response(200, content=parts_of(body), headers=headers),
    "byte stream": lambda body, headers: httpx.Response(
        200, stream=httpx.ByteStream(body), headers=headers
    ),
    "class of its own": lambda body, headers: Response(
        200, content=parts_of(body), headers=headers
    ),
}


@pytest.mark.parametrize("kind", MOCKED)
@pytest.mark.parametrize("is_external", [False, True])
async def test_the_response_of_a_mock_is_limited(kind: str, *, is_external: bool) -> None:
    """However it was made."""
    body, headers = FITS, NO_HEADERS

    def respond(_: httpx.Request) -> httpx.Response:
        return MOCKED[kind](body, headers)

    mock = httpx.MockTransport(respond)
    way = over_own(httpx, lambda: mock) if is_external else over(lambda: mock)
    async with way(max_response_bytes=CAP) as client:
        assert (await client.request("GET", "http://a.test/")).content == FITS
        body, headers = gzip.compress(FITS), {"Content-Encoding": "gzip"}
        assert (await client.request("GET", "http://a.test/")).content == FITS
        body = gzip.compress(LARGE)
        with pytest.raises(ResponseTooLargeError):
            await client.request("GET", "http://a.test/")
        body, headers = LARGE, NO_HEADERS
        with pytest.raises(ResponseTooLargeError):
            await client.request("GET", "http://a.test/")
        body, headers = gzip.compress(gzip.compress(FITS)), {"Content-Encoding": "gzip, gzip"}
        with pytest.raises(httpx.DecodingError, match="2 content codings"):
            await client.request("GET", "http://a.test/")


async def test_a_mocked_response_that_was_closed_unread_is_left_alone() -> None:
    """There is no body to check."""

    async def respond(_: httpx.Request) -> httpx.Response:
        response = httpx.Response(200, content=parts_of(LARGE))
        await response.aclose()
        return response

    transport = httpx.MockTransport(respond)
    async with AsyncResilientClient(transport=transport, max_response_bytes=CAP) as client:
        with pytest.raises(httpx.StreamClosed):
            await client.request("GET", "http://a.test/")


async def test_an_external_client_of_httpx2_checks_a_mock_too() -> None:
    """With errors of its own library."""
    body, headers = LARGE, NO_HEADERS

    def respond(_: Any) -> Any:
        return httpx2.Response(200, content=body, headers=headers)

    external = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    async with (
        external,
        AsyncResilientClient(http_client=external, max_response_bytes=CAP) as client,
    ):
        with pytest.raises(httpx2.RequestError, match=f"it has {CAP + 1} bytes"):
            await client.request("GET", "http://a.test/")
        body, headers = gzip.compress(gzip.compress(b"h")), {"Content-Encoding": "gzip, gzip"}
        with pytest.raises(httpx2.DecodingError, match="2 content codings"):
            await client.request("GET", "http://a.test/")


async def test_a_body_of_a_response_that_nobody_holds_is_closed_when_it_is_too_large() -> None:
    """A cancelled read leaves nothing behind either."""
    async with no_leaks(), serving(endless) as server, AsyncResilientClient() as client:
        task = await client.get(server.url, max_response_bytes=2**40)
        await wait_until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
