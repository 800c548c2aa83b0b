"""A response of the pool that is read at once is, to every look, what httpx alone makes of it."""

import copy
import gzip
import pickle
from typing import Any

import httpx
import pytest
from pool_kit import new_transport

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

PLAIN = b"some words, " * 100
PACKED = gzip.compress(PLAIN, mtime=0)

ANSWERS = {
    "with a length": b"Content-Length: %d\r\n\r\n%b" % (len(PLAIN), PLAIN),
    "empty": b"Content-Length: 0\r\n\r\n",
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n5\r\nwords\r\n0\r\n\r\n",
    "packed": b"Content-Length: %d\r\nContent-Encoding: gzip\r\n\r\n%b" % (len(PACKED), PACKED),
    "packed in vain": b"Content-Length: 4\r\nContent-Encoding: gzip\r\n\r\nnone",
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
        pickled = pickle.loads(pickle.dumps(response))
        return {
            "content": content,
            "again": again,
            "text": response.text,
            "downloaded": response.num_bytes_downloaded,
            "elapsed": response.elapsed.total_seconds() > 0,
            "closed": (response.is_closed, response.is_stream_consumed),
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


async def test_what_is_used_of_httpx_beside_its_documentation_is_there() -> None:
    """A version without these names is seen here first."""
    response = httpx.Response(200, stream=httpx.ByteStream(b"read"))
    response.request = httpx.Request("GET", "http://a.test/")
    assert response._get_content_decoder().decode(b"x") == b"x"
    assert not hasattr(response, "_content")
    await response.aread()
    assert (response._content, response._num_bytes_downloaded) == (b"read", 4)
