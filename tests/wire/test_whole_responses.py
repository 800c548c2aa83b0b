"""A pool response, when read whole, looks exactly as it does with httpx's own transport.

With one exception: how compressed bodies are decoded, which ``test_decoding.py`` tests.
"""

import copy
import gc
import gzip
import pickle
import weakref
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from httpx._client import BoundAsyncStream
from httpx._decoders import DeflateDecoder, GZipDecoder, MultiDecoder
from pool_helpers import in_order, is_idle, new_transport, pool_client, serve_requests

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

PLAIN = b"some words, " * 100
GZIPPED = gzip.compress(PLAIN, mtime=0)
DEFLATED = zlib.compress(PLAIN)
RAW_DEFLATED = zlib.compress(PLAIN, wbits=-zlib.MAX_WBITS)


def encoded(coding: str, body: bytes) -> bytes:
    """Return the rest of a response with a Content-Encoding."""
    return b"Content-Length: %d\r\nContent-Encoding: %b\r\n\r\n%b" % (
        len(body),
        coding.encode(),
        body,
    )


RESPONSES = {
    "Content-Length": b"Content-Length: %d\r\n\r\n%b" % (len(PLAIN), PLAIN),
    "empty": b"Content-Length: 0\r\n\r\n",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n5\r\nwords\r\n0\r\n\r\n",
    "gzip": encoded("gzip", GZIPPED),
    "invalid gzip": encoded("gzip", b"none"),
    "empty gzip": encoded("gzip", b""),
    "deflate": encoded("deflate", DEFLATED),
    "raw deflate": encoded("deflate", RAW_DEFLATED),
    "empty deflate": encoded("deflate", b""),
    "deflate and gzip": encoded("deflate, gzip", gzip.compress(DEFLATED)),
    "empty deflate and gzip": encoded("deflate, gzip", b""),
    "unknown encoding": encoded("cipher", b"unchanged"),
    "truncated": b"Content-Length: 10\r\nConnection: close\r\n\r\nhalf.",
    "until close": b"Connection: close\r\n\r\nall of it",
    "cookie": b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
}


async def observe(transport: httpx.AsyncBaseTransport, rest: bytes) -> dict[str, Any]:
    """Return all observable properties of a response read over ``transport``."""

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + rest)
        if b"close" in rest:
            await wire.finish()

    async with (
        FaultServer(each_request(send)) as server,
        httpx.AsyncClient(transport=transport) as client,
    ):
        async with client.stream("GET", server.url) as response:
            try:
                content: Any = await response.aread()
            except httpx.HTTPError as error:
                return {"error": type(error), "path": error.request.url.path}
            again = await response.aread()
            closed = (response.is_closed, response.is_stream_consumed)
        pickled = pickle.loads(pickle.dumps(response))
        return {
            "content": content,
            "again": again,
            "text": response.text,
            "downloaded": response.num_bytes_downloaded,
            "elapsed": response.elapsed.total_seconds() > 0,
            "closed": closed,
            "headers": response.headers.raw,
            "cookies": dict(response.cookies),
            "repr": repr(response),
            "copies": [(it.content, it.status_code) for it in (pickled, copy.copy(response))],
            "url": pickled.request.url.path,
        }


@pytest.mark.parametrize("rest", RESPONSES.values(), ids=RESPONSES)
async def test_a_response_looks_the_same_as_with_httpxs_own_transport(
    rest: bytes, http11: str
) -> None:
    """Body, text, errors with their request, counters, copies."""
    assert http11
    expected = await observe(httpx.AsyncHTTPTransport(), rest)
    assert await observe(new_transport(), rest) == expected


async def test_a_streamed_body_cannot_be_read_again() -> None:
    """As with httpx's own transport."""
    rest = RESPONSES["Content-Length"]

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n" + rest)

    async with FaultServer(each_request(send)) as server:
        for transport in (httpx.AsyncHTTPTransport(), AsyncPoolTransport()):
            async with (
                httpx.AsyncClient(transport=transport) as client,
                client.stream("GET", server.url) as response,
            ):
                parts = [part async for part in response.aiter_bytes(1000)]
                assert b"".join(parts) == PLAIN
                with pytest.raises(httpx.StreamConsumed):
                    await response.aread()


async def read_after_one_part(response: httpx.Response) -> None:
    """Read one part, then everything."""
    async for _ in response.aiter_bytes(1000):
        break
    await response.aread()


async def read_after_close(response: httpx.Response) -> None:
    """Close, then read."""
    await response.aclose()
    await response.aread()


async def read_content_set_by_a_hook(response: httpx.Response) -> bytes:
    """Read content that a hook has set, as recording tools do."""
    response._content = b"from a record"
    return await response.aread()


async def pickle_unread(response: httpx.Response) -> int:
    """Pickle an unread response, and return the status code of the copy."""
    status: int = pickle.loads(pickle.dumps(response)).status_code
    return status


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (read_after_one_part, httpx.StreamConsumed),
        (read_after_close, httpx.StreamClosed),
        (read_content_set_by_a_hook, b"from a record"),
        (pickle_unread, 200),
    ],
)
async def test_unusual_use_behaves_as_with_httpxs_own_transport(
    use: Callable[[httpx.Response], Awaitable[Any]], expected: Any, http11: str
) -> None:
    """Part of a body is never returned as the whole body."""
    assert http11
    async with serving(RESPONSES["Content-Length"]) as server:
        for transport in (httpx.AsyncHTTPTransport(), new_transport()):
            async with (
                httpx.AsyncClient(transport=transport) as client,
                client.stream("GET", server.url) as response,
            ):
                try:
                    result = await use(response)
                except httpx.StreamError as error:
                    result = type(error)
                assert result == expected


async def test_a_read_response_does_not_keep_its_stream_alive(http11: str) -> None:
    """The stream references the connection, and the response may be kept for a long time."""
    assert http11
    bodies: list[Any] = []

    async def record(response: httpx.Response) -> None:
        bodies.append(weakref.ref(response.stream._stream))  # type: ignore[union-attr]  # httpx's

    async with (
        serving(RESPONSES["Content-Length"]) as server,
        httpx.AsyncClient(transport=new_transport(), event_hooks={"response": [record]}) as client,
    ):
        response = await client.get(server.url)
        gc.collect()
        assert response.content == PLAIN
        assert bodies[0]() is None


def serving(rest: bytes) -> FaultServer:
    """Create a server that answers each request with ``rest`` after the status line."""

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n" + rest)

    return FaultServer(serve_requests(send))


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"304 Not Modified"), ("GET", b"204 None")]
)
async def test_a_response_without_a_body_is_not_decoded(
    method: str, status: bytes, http11: str
) -> None:
    """Whatever its headers say."""
    assert http11

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 %b\r\nContent-Encoding: gzip\r\n\r\n" % status)

    async with FaultServer(serve_requests(send)) as server, pool_client(new_transport()) as client:
        for _ in range(2):
            assert (await client.request(method, server.url)).content == b""


# Hooks and transports that replace the stream


class UppercaseStream(httpx.AsyncByteStream):
    """Modifies a body, and keeps the inner stream in the attribute that httpx uses."""

    def __init__(self, inner: Any) -> None:
        self._stream = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part.upper()

    async def aclose(self) -> None:
        """Close the inner stream."""
        await self._stream.aclose()


class WrappingTransport(httpx.AsyncBaseTransport):
    """Replaces the stream of each response."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wrap the stream of the response."""
        response = await self._inner.handle_async_request(request)
        await wrap_stream(response)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


async def wrap_stream(response: httpx.Response) -> None:
    """Wrap the stream of a response."""
    response.stream = UppercaseStream(response.stream)


async def test_a_stream_set_by_a_hook_is_read() -> None:
    """It receives every byte, and closing it frees the slot."""
    transport = new_transport()
    hooks = {"response": [wrap_stream]}
    async with (
        serving(RESPONSES["Content-Length"]) as server,
        httpx.AsyncClient(transport=transport, event_hooks=hooks) as client,
    ):
        assert (await client.get(server.url)).content == PLAIN.upper()
        assert is_idle(transport)


async def test_a_stream_set_by_a_transport_is_read() -> None:
    """Inside httpx's own stream, which measures the elapsed time."""
    transport = new_transport()
    async with (
        serving(RESPONSES["Content-Length"]) as server,
        httpx.AsyncClient(transport=WrappingTransport(transport)) as client,
    ):
        response = await client.get(server.url)
        assert response.content == PLAIN.upper()
        assert response.elapsed.total_seconds() > 0
        assert is_idle(transport)


async def test_a_hook_can_replace_aclose_of_a_response() -> None:
    """Its ``aclose()`` is called, and the slot is freed as usual."""
    transport, closed_statuses = new_transport(), []

    async def replace_aclose(response: httpx.Response) -> None:
        async def aclose() -> None:
            closed_statuses.append(response.status_code)
            await type(response).aclose(response)

        response.aclose = aclose  # type: ignore[method-assign]  # deliberately replaced

    async with (
        serving(RESPONSES["Content-Length"]) as server,
        httpx.AsyncClient(
            transport=transport, event_hooks={"response": [replace_aclose]}
        ) as client,
    ):
        assert (await client.get(server.url)).content == PLAIN
        assert closed_statuses == [200]
        assert is_idle(transport)


async def test_a_transport_that_reads_a_response_gets_errors_of_httpx(http11: str) -> None:
    """Before a client has set the request of the response; the next request succeeds."""
    assert http11

    async def send_truncated(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + RESPONSES["truncated"])

    async def send_whole(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + RESPONSES["Content-Length"])

    async with (
        FaultServer(in_order(send_truncated, send_whole)) as server,
        new_transport() as transport,
    ):
        request = httpx.Request("GET", server.url)
        response = await transport.handle_async_request(request)
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
        response = await transport.handle_async_request(request)
        assert await response.aread() == PLAIN


async def test_the_private_names_of_httpx_that_are_used_exist() -> None:
    """A version of httpx without them fails here first."""
    response = httpx.Response(200, stream=httpx.ByteStream(b"read"))
    response.request = httpx.Request("GET", "http://a.test/")
    assert response._get_content_decoder().decode(b"x") == b"x"
    assert not hasattr(response, "_content")
    await response.aread()
    assert (response._content, response._num_bytes_downloaded) == (b"read", 4)
    assert response._request is response.request
    assert httpx.Response(200)._request is None
    stream = httpx.ByteStream(b"read")
    assert BoundAsyncStream(stream, response=response, start=0.0)._stream is stream
    inner, outer = DeflateDecoder(), GZipDecoder()
    assert MultiDecoder([inner, outer]).children == [outer, inner]
    assert (inner.decompressor.eof, outer.decompressor.eof) == (False, False)
