"""``max_response_bytes`` and decoding errors of bodies that are streamed."""

import contextlib
import gzip
import itertools
from collections.abc import AsyncIterator, Callable

import httpx
import httpx2
import pytest
from leak_checks import no_leaks
from sized_bodies import (
    CAP,
    GZIP,
    LARGE,
    TOO_LARGE,
    WAYS,
    chunked,
    declared,
    serving,
)

from typed_async_client import (
    AsyncResilientClient,
    ResponseTooLargeError,
)

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
        pool = client.health().pool
        assert pool is not None
        assert pool.active == 0  # before the response is left


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
