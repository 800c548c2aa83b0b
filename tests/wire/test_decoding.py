"""Compressed bodies: complete, cut, and followed by something else."""

import gzip

import httpx
import pytest
from coded_bodies import (
    BROTLI,
    DEFLATED,
    GZIPPED,
    PLAIN,
    RAW_DEFLATED,
    ZSTD,
    coded,
    serving,
    streamed,
)
from pool_helpers import is_idle, new_transport, pool_client

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, answer

BOTH_PARSERS = pytest.mark.usefixtures("http11")

COMPLETE: dict[str, tuple[str, bytes, bytes]] = {
    "gzip": ("gzip", GZIPPED, PLAIN),
    "GZIP": ("GZIP", GZIPPED, PLAIN),
    "deflate": ("deflate", DEFLATED, PLAIN),
    "raw deflate": ("deflate", RAW_DEFLATED, PLAIN),
    "brotli": ("br", BROTLI, PLAIN),
    "zstd": ("zstd", ZSTD, PLAIN),
    "two codings": ("deflate, gzip", gzip.compress(DEFLATED), PLAIN),
    "an unknown coding": ("cipher", PLAIN, PLAIN),
    "an unknown coding and a known one": ("cipher, gzip", GZIPPED, PLAIN),
    "no bytes at all": ("gzip, br, zstd, deflate", b"", b""),
    "two gzip members": ("gzip", GZIPPED + GZIPPED, 2 * PLAIN),
    "an empty gzip member": ("gzip", gzip.compress(b"") + GZIPPED, PLAIN),
    "two zstd frames": ("zstd", ZSTD + ZSTD, 2 * PLAIN),
    "gzip and one NUL": ("gzip", GZIPPED + b"\0", PLAIN),
    "gzip and 512 NULs": ("gzip", GZIPPED + bytes(512), PLAIN),
    "gzip and a line end": ("gzip", GZIPPED + b"\r\n", PLAIN),
    "gzip and a comment": ("gzip", GZIPPED + b"<!-- cached -->", PLAIN),
    "gzip, NULs and gzip": ("gzip", GZIPPED + bytes(9) + GZIPPED, 2 * PLAIN),
    "gzip, a comment and gzip": ("gzip", GZIPPED + b"<!-- -->" + GZIPPED, PLAIN),
    "deflate and a line end": ("deflate", DEFLATED + b"\r\n", PLAIN),
    "NULs in the outer coding": ("deflate, gzip", gzip.compress(DEFLATED) + bytes(9), PLAIN),
}
"""Codings, bodies, and what they are decoded to."""

BROKEN: dict[str, tuple[str, bytes]] = {
    "cut in a gzip body": ("gzip", GZIPPED[:-20]),
    "cut before a gzip trailer": ("gzip", GZIPPED[:-8]),
    "cut in a gzip trailer": ("gzip", GZIPPED[:-1]),
    "cut in a gzip header": ("gzip", GZIPPED[:1]),
    "cut in a second gzip member": ("gzip", GZIPPED + GZIPPED[:-1]),
    "cut after one byte of a second gzip member": ("gzip", GZIPPED + GZIPPED[:1]),
    "cut after NULs and one byte of a member": ("gzip", GZIPPED + bytes(3) + GZIPPED[:1]),
    "a wrong checksum": ("gzip", GZIPPED[:-8] + b"\0\0\0\0" + GZIPPED[-4:]),
    "a wrong length": ("gzip", GZIPPED[:-4] + b"\0\0\0\1"),
    "a wrong checksum in a second member": ("gzip", GZIPPED + GZIPPED[:-8] + bytes(8)),
    "a body that isn't compressed": ("gzip", PLAIN),
    "only NULs": ("gzip", bytes(20)),
    "cut in a deflate body": ("deflate", DEFLATED[:-5]),
    "cut in a deflate checksum": ("deflate", DEFLATED[:-1]),
    "cut in a deflate header": ("deflate", DEFLATED[:1]),
    "a wrong deflate checksum": ("deflate", DEFLATED[:-4] + bytes(4)),
    "cut in a raw deflate body": ("deflate", RAW_DEFLATED[:-1]),
    "cut in a brotli body": ("br", BROTLI[:-1]),
    "cut in a brotli header": ("br", BROTLI[:1]),
    "cut in a zstd body": ("zstd", ZSTD[:-2]),
    "cut in a second zstd frame": ("zstd", ZSTD + ZSTD[:-1]),
    "cut in the inner of two codings": ("deflate, gzip", gzip.compress(DEFLATED[:-1])),
    "cut in the outer of two codings": ("deflate, gzip", gzip.compress(DEFLATED)[:-1]),
}


@BOTH_PARSERS
@pytest.mark.parametrize(("coding", "body", "plain"), COMPLETE.values(), ids=COMPLETE)
async def test_a_complete_body_is_decoded(coding: str, body: bytes, plain: bytes) -> None:
    """Read whole, streamed, and streamed one byte at a time; every member counts."""
    for chunk in (0, 1, len(GZIPPED), len(ZSTD)):
        async with serving(coded(coding, body, chunk=chunk)) as server:
            async with pool_client(new_transport()) as client:
                assert (await client.get(server.url)).content == plain
                assert await streamed(client, server.url) == plain
            assert server.connections == 1
    async with (
        serving(coded(coding, body)) as server,
        AsyncResilientClient(max_encodings=4) as resilient,
    ):
        assert (await (await resilient.get(server.url))).content == plain


@BOTH_PARSERS
@pytest.mark.parametrize(("coding", "body"), BROKEN.values(), ids=BROKEN)
async def test_a_cut_or_damaged_body_is_an_error(coding: str, body: bytes) -> None:
    """Read whole or streamed; the connection is reused, because its framing was right."""
    transport = new_transport()
    for chunk in (0, 1):
        async with serving(coded(coding, body, chunk=chunk)) as server:
            async with pool_client(transport) as client:
                for read in (client.get(server.url), streamed(client, server.url)):
                    with pytest.raises(httpx.DecodingError) as caught:
                        await read
                    assert caught.value.request.url == server.url
                assert is_idle(transport)
            async with AsyncResilientClient() as resilient:
                with pytest.raises(httpx.DecodingError):
                    await (await resilient.get(server.url))


async def test_a_cut_body_that_is_left_early_is_no_error() -> None:
    """Nobody has asked for its end."""
    async with (
        serving(coded("gzip", GZIPPED[:-1], chunk=20)) as server,
        pool_client(new_transport()) as client,
        client.stream("GET", server.url) as response,
    ):
        async for part in response.aiter_bytes():
            assert PLAIN.startswith(part)
            break


async def test_many_gzip_members_are_decoded() -> None:
    """RFC 1952 section 2.2; members may be empty, and there may be many in 64 KiB."""
    words = [b"", PLAIN, b"a", bytes(range(256)) * 500, b"", *(b"%d," % n for n in range(5000))]
    body = b"".join([gzip.compress(word, compresslevel=0) for word in words])
    async with serving(coded("gzip", body)) as server, pool_client(new_transport()) as client:
        assert (await client.get(server.url)).content == b"".join(words)
        assert await streamed(client, server.url) == b"".join(words)


async def test_a_body_that_cannot_be_decoded_keeps_no_connection() -> None:
    """It was read to its end, so that the next request can use the connection."""
    handler = answer(200, b"no gzip", "Content-Encoding: gzip")
    transport = AsyncPoolTransport(limits=httpx.Limits(max_connections=1))
    async with FaultServer(handler) as server, httpx.AsyncClient(transport=transport) as client:
        for _ in range(2):
            request = client.build_request("GET", server.url)
            response = await client.send(request, stream=True)
            with pytest.raises(httpx.DecodingError):
                await response.aread()
        assert server.connections == 1
