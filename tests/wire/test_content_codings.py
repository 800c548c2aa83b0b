"""How many content codings are decoded, and that a body must be complete, with each transport."""

import gzip

import httpx
import httpx2
import pytest
from sized_bodies import GZIP, WAYS, declared, serving


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
