"""Parts of a compressed representation (206) are returned as received, RFC 9110 section 15.3.7."""

import gzip
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest
from coded_bodies import BROTLI, DEFLATED, GZIPPED, PLAIN, ZSTD, coded, serving, streamed
from h2_servers import h2_client_context, hypercorn_url
from pool_helpers import pool_client

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    ResilientTransport,
    for_httpx2,
)

BOTH_PARSERS = pytest.mark.usefixtures("http11")

CODED = {
    "gzip": GZIPPED,
    "deflate": DEFLATED,
    "br": BROTLI,
    "zstd": ZSTD,
    "deflate, gzip": gzip.compress(DEFLATED),
    "identity": PLAIN,
}


def ranged(coding: str, start: int, end: int, content_range: str = "bytes {}-{}/{}") -> bytes:
    """Return a 206 response with the bytes from ``start`` to ``end``, inclusive."""
    whole = CODED[coding]
    covered = content_range.format(start, end, len(whole)).encode()
    status = b"206 Partial Content\r\nContent-Range: " + covered
    return coded(coding, whole[start : end + 1], status=status)


async def with_pool(url: str) -> list[Any]:
    """Read with httpx over our pool, whole and streamed."""
    async with pool_client(AsyncPoolTransport()) as client:
        return [await client.get(url), await streamed(client, url)]


async def with_client(url: str) -> list[Any]:
    """Read with the resilient client, over its own pool, httpx's, those of both backends, and other clients."""
    responses = []
    for options in (
        {},
        {"transport": httpx.AsyncHTTPTransport()},
        {"transport": "aiohttp"},
        {"transport": "pyreqwest"},
    ):
        async with AsyncResilientClient(**options) as client:
            responses.append(await (await client.get(url)))
    for library in (httpx, httpx2):
        async with (
            library.AsyncClient() as own,
            AsyncResilientClient(http_client=own) as client,
        ):
            responses.append(await (await client.get(url)))
    return responses


async def with_transports(url: str) -> list[Any]:
    """Read with httpx and httpx2 over retries around our pool and httpx's."""
    responses: list[Any] = []
    for inner in (AsyncPoolTransport(), httpx.AsyncHTTPTransport()):
        async with httpx.AsyncClient(transport=ResilientTransport(inner)) as client:
            responses += [await client.get(url), await streamed(client, url)]
    async with httpx2.AsyncClient(transport=for_httpx2(AsyncPoolTransport())) as other:
        responses.append(await other.get(url))
    return responses


@BOTH_PARSERS
@pytest.mark.parametrize("read", [with_pool, with_client, with_transports])
@pytest.mark.parametrize("coding", CODED)
async def test_a_part_of_a_coded_representation_is_returned_as_received(
    coding: str, read: Callable[[str], Any]
) -> None:
    """RFC 9110 section 15.3.7: the coding was applied before the part was selected."""
    whole = CODED[coding]
    for start, end in ((0, 9), (5, 14), (len(whole) - 5, len(whole) - 1)):
        async with serving(ranged(coding, start, end)) as server:
            for response in await read(server.url):
                content = response if isinstance(response, bytes) else response.content
                assert content == whole[start : end + 1]
                if not isinstance(response, bytes):
                    assert response.headers["Content-Encoding"] == coding
                    assert response.status_code == 206


@BOTH_PARSERS
@pytest.mark.parametrize(
    ("content_range", "is_whole"),
    [
        ("bytes {}-{}/{}", True),
        ("Bytes {}-{}/{}", True),
        ("bytes {}-{}/*", False),
        ("bytes {}-{}/{}0", False),
        ("bytes {}-{}", False),
        ("items {}-{}/{}", False),
        ("", False),
    ],
)
async def test_a_206_response_is_decoded_if_it_says_that_it_is_whole(
    content_range: str, *, is_whole: bool
) -> None:
    """As httpx does; it is checked like any other body. Otherwise, it is returned as received."""
    data = ranged("gzip", 0, len(GZIPPED) - 1, content_range)
    async with serving(data) as server:
        for response in (await with_pool(server.url)) + (await with_transports(server.url)):
            content = response if isinstance(response, bytes) else response.content
            assert content == (PLAIN if is_whole else GZIPPED)


@BOTH_PARSERS
async def test_parts_in_a_multipart_body_are_returned_as_received() -> None:
    """Each of them is a part of the coded representation."""
    body = b"--b\r\nContent-Range: bytes 0-1/9\r\n\r\n\x1f\x8b\r\n--b--\r\n"
    status = b"206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=b"
    async with serving(coded("gzip", body, status=status, chunk=7)) as server:
        for response in await with_pool(server.url):
            assert (response if isinstance(response, bytes) else response.content) == body


def test_a_synchronous_client_gets_a_part_as_received() -> None:
    """Through ``ResilientTransport``, around any transport."""

    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": "gzip", "Content-Range": "bytes 2-9/90"}
        return httpx.Response(206, headers=headers, stream=httpx.ByteStream(GZIPPED[2:10]))

    with httpx.Client(transport=ResilientTransport(httpx.MockTransport(answer))) as client:
        assert client.get("http://a.test/").content == GZIPPED[2:10]


async def test_a_part_is_returned_as_received_over_http2(tmp_path: Any) -> None:
    """And a cut body is an error there too."""
    status = 206

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        headers = [(b"content-encoding", b"gzip"), (b"content-range", b"bytes 0-29/99")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": GZIPPED[:30]})

    transport = AsyncPoolTransport(http2=True, verify=h2_client_context())
    async with hypercorn_url(app, tmp_path) as url, pool_client(transport) as client:
        response = await client.get(url)
        assert (response.http_version, response.content) == ("HTTP/2", GZIPPED[:30])
        assert await streamed(client, url) == GZIPPED[:30]
        status = 200
        with pytest.raises(httpx.DecodingError):
            await client.get(url)
