"""A response of the pool that is read at once is, to every look, what httpx alone makes of it.

But for one thing: a body that is cut within its coding, which httpx takes for a whole one.
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

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

PLAIN = b"some words, " * 100
PACKED = gzip.compress(PLAIN, mtime=0)
DEFLATED = zlib.compress(PLAIN)
RAW = zlib.compress(PLAIN, wbits=-zlib.MAX_WBITS)


def coded(coding: str, body: bytes) -> bytes:
    """Give the rest of a response whose body is coded."""
    return b"Content-Length: %d\r\nContent-Encoding: %b\r\n\r\n%b" % (
        len(body),
        coding.encode(),
        body,
    )


ANSWERS = {
    "with a length": b"Content-Length: %d\r\n\r\n%b" % (len(PLAIN), PLAIN),
    "empty": b"Content-Length: 0\r\n\r\n",
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n5\r\nwords\r\n0\r\n\r\n",
    "packed": coded("gzip", PACKED),
    "packed in vain": coded("gzip", b"none"),
    "packed and empty": coded("gzip", b""),
    "deflated": coded("deflate", DEFLATED),
    "deflated without a wrapper": coded("deflate", RAW),
    "deflated and empty": coded("deflate", b""),
    "packed twice": coded("deflate, gzip", gzip.compress(DEFLATED)),
    "packed twice and empty": coded("deflate, gzip", b""),
    "in a coding that nobody knows": coded("cipher", b"as it is"),
    "cut": b"Content-Length: 10\r\nConnection: close\r\n\r\nhalf.",
    "up to the end": b"Connection: close\r\n\r\nall of it",
    "with a cookie": b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
}


async def told(transport: httpx.AsyncBaseTransport, rest: bytes) -> dict[str, Any]:
    """Read one answer over a transport, and tell all that can be seen of it."""

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


@pytest.mark.parametrize("rest", ANSWERS.values(), ids=ANSWERS)
async def test_a_response_looks_as_it_does_over_httpx_alone(rest: bytes, http11: str) -> None:
    """Body, text, errors with their request, counters, copies."""
    assert http11
    alone = await told(httpx.AsyncHTTPTransport(), rest)
    assert await told(new_transport(), rest) == alone


async def test_a_body_that_was_begun_cannot_be_read_whole() -> None:
    """As over httpx alone."""
    rest = ANSWERS["with a length"]

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


async def read_behind_a_part(response: httpx.Response) -> None:
    """Read one part, and then all."""
    async for _ in response.aiter_bytes(1000):
        break
    await response.aread()


async def read_behind_the_end(response: httpx.Response) -> None:
    """Close, and then read."""
    await response.aclose()
    await response.aread()


async def read_what_a_hook_has_read(response: httpx.Response) -> bytes:
    """Read what somebody has put there, as recorders do."""
    response._content = b"from a record"
    return await response.aread()


async def pickle_unread(response: httpx.Response) -> int:
    """Pickle, and give the status that comes back."""
    status: int = pickle.loads(pickle.dumps(response)).status_code
    return status


@pytest.mark.parametrize(
    ("use", "end"),
    [
        (read_behind_a_part, httpx.StreamConsumed),
        (read_behind_the_end, httpx.StreamClosed),
        (read_what_a_hook_has_read, b"from a record"),
        (pickle_unread, 200),
    ],
)
async def test_an_unusual_use_ends_as_it_does_over_httpx_alone(
    use: Callable[[httpx.Response], Awaitable[Any]], end: Any, http11: str
) -> None:
    """A rest is never given for the whole."""
    assert http11
    async with sending(ANSWERS["with a length"]) as server:
        for transport in (httpx.AsyncHTTPTransport(), new_transport()):
            async with (
                httpx.AsyncClient(transport=transport) as client,
                client.stream("GET", server.url) as response,
            ):
                try:
                    result = await use(response)
                except httpx.StreamError as error:
                    result = type(error)
                assert result == end


async def test_a_response_that_was_read_does_not_hold_its_body(http11: str) -> None:
    """The body leads to the connection, and the response may be kept for long."""
    assert http11
    bodies: list[Any] = []

    async def note(response: httpx.Response) -> None:
        bodies.append(weakref.ref(response.stream._stream))  # type: ignore[union-attr]  # httpx's

    async with (
        sending(ANSWERS["with a length"]) as server,
        httpx.AsyncClient(transport=new_transport(), event_hooks={"response": [note]}) as client,
    ):
        response = await client.get(server.url)
        gc.collect()
        assert response.content == PLAIN
        assert bodies[0]() is None


# A body that is cut within its coding

CUT = {
    "in the middle": coded("gzip", PACKED[:-20]),
    "before its trailer": coded("gzip", PACKED[:-8]),
    "in its trailer": coded("gzip", PACKED[:-1]),
    "in its header": coded("gzip", PACKED[:1]),
    "in a second member": coded("gzip", PACKED + PACKED[:-1]),
    "before the first byte of a member": coded("gzip", PACKED + b"more"),
    "in a deflate": coded("deflate", DEFLATED[:-5]),
    "in the trailer of a deflate": coded("deflate", DEFLATED[:-1]),
    "in a deflate without a wrapper": coded("deflate", RAW[:-1]),
    "in the inner of two codings": coded("deflate, gzip", gzip.compress(DEFLATED[:-1])),
    "in the outer of two codings": coded("deflate, gzip", gzip.compress(DEFLATED)[:-1]),
}


def sending(rest: bytes) -> FaultServer:
    """Make a server that answers each request with the same bytes behind the status line."""

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n" + rest)

    return FaultServer(serve_requests(send))


@pytest.mark.parametrize("rest", CUT.values(), ids=CUT)
async def test_a_body_cut_within_its_coding_is_no_success(rest: bytes, http11: str) -> None:
    """As httpx alone does, parts are taken as they come; the connection is whole, and kept."""
    assert http11
    transport = new_transport()
    async with sending(rest) as server, pool_client(transport) as client:
        for _ in range(2):
            with pytest.raises(httpx.DecodingError) as caught:
                await client.get(server.url)
            assert caught.value.request.url == server.url
        assert is_idle(transport)
        assert server.connections == 1
        async with client.stream("GET", server.url) as response:
            parts = b"".join([part async for part in response.aiter_bytes()])
        async with httpx.AsyncClient() as alone:
            assert (await alone.get(server.url)).content == parts


async def test_every_member_of_a_gzip_body_is_given() -> None:
    """RFC 1952 section 2.2; there may be empty ones, and any number on 64 KiB."""
    words = [b"", PLAIN, b"a", bytes(range(256)) * 500, b"", *(b"%d," % n for n in range(5000))]
    body = b"".join([gzip.compress(word, compresslevel=0) for word in words])
    async with sending(coded("gzip", body)) as server:
        async with pool_client(new_transport()) as client:
            assert (await client.get(server.url)).content == b"".join(words)
        async with AsyncResilientClient() as client:
            assert (await (await client.get(server.url))).content == b"".join(words)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"304 Not Modified"), ("GET", b"204 None")]
)
async def test_a_response_that_has_no_body_has_no_coding_to_end(
    method: str, status: bytes, http11: str
) -> None:
    """Whatever its headers tell."""
    assert http11

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 %b\r\nContent-Encoding: gzip\r\n\r\n" % status)

    async with FaultServer(serve_requests(send)) as server, pool_client(new_transport()) as client:
        for _ in range(2):
            assert (await client.request(method, server.url)).content == b""


# What stands between a response and its reader


class Shouting(httpx.AsyncByteStream):
    """Changes a body as it passes; it holds what is below under the name that httpx uses."""

    def __init__(self, inner: Any) -> None:
        self._stream = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part.upper()

    async def aclose(self) -> None:
        """End the exchange."""
        await self._stream.aclose()


class Around(httpx.AsyncBaseTransport):
    """Hands each response on with another stream."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Put a stream around the stream."""
        response = await self._inner.handle_async_request(request)
        await shout(response)
        return response

    async def aclose(self) -> None:
        """Close what is inside."""
        await self._inner.aclose()


async def shout(response: httpx.Response) -> None:
    """Put a stream around the stream of a response."""
    response.stream = Shouting(response.stream)


async def test_a_stream_that_a_hook_has_put_in_place_is_read() -> None:
    """It sees every byte, and the slot is given back through it."""
    transport = new_transport()
    hooks = {"response": [shout]}
    async with (
        sending(ANSWERS["with a length"]) as server,
        httpx.AsyncClient(transport=transport, event_hooks=hooks) as client,
    ):
        assert (await client.get(server.url)).content == PLAIN.upper()
        assert is_idle(transport)


async def test_a_stream_that_a_transport_has_put_in_place_is_read() -> None:
    """Below httpx's own, which measures the time."""
    transport = new_transport()
    async with (
        sending(ANSWERS["with a length"]) as server,
        httpx.AsyncClient(transport=Around(transport)) as client,
    ):
        response = await client.get(server.url)
        assert response.content == PLAIN.upper()
        assert response.elapsed.total_seconds() > 0
        assert is_idle(transport)


async def test_a_hook_that_waits_for_the_end_of_a_response_hears_of_it() -> None:
    """It has put an ``aclose()`` of its own on the response, and the slot is given back as ever."""
    transport, ended = new_transport(), []

    async def wait(response: httpx.Response) -> None:
        async def aclose() -> None:
            ended.append(response.status_code)
            await type(response).aclose(response)

        response.aclose = aclose  # type: ignore[method-assign]  # that is the point

    async with (
        sending(ANSWERS["with a length"]) as server,
        httpx.AsyncClient(transport=transport, event_hooks={"response": [wait]}) as client,
    ):
        assert (await client.get(server.url)).content == PLAIN
        assert ended == [200]
        assert is_idle(transport)


async def test_a_transport_that_reads_a_response_meets_errors_of_httpx(http11: str) -> None:
    """No client has given the response its request yet; the next one is answered."""
    assert http11

    async def cut(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + ANSWERS["cut"])

    async def whole(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + ANSWERS["with a length"])

    async with FaultServer(in_order(cut, whole)) as server, new_transport() as transport:
        request = httpx.Request("GET", server.url)
        response = await transport.handle_async_request(request)
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
        response = await transport.handle_async_request(request)
        assert await response.aread() == PLAIN


async def test_what_is_used_of_httpx_beside_its_documentation_is_there() -> None:
    """A version without these names is seen here first."""
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
