"""Compressed bodies, and servers that send them."""

import gzip
import zlib

import brotli
import httpx
import zstandard
from pool_helpers import serve_requests

from typed_async_client.testing import FaultServer, SeenRequest, Wire

__all__ = [
    "BROTLI",
    "DEFLATED",
    "GZIPPED",
    "PLAIN",
    "RAW_DEFLATED",
    "ZSTD",
    "coded",
    "serving",
    "streamed",
]

PLAIN = b"some words, " * 100
GZIPPED = gzip.compress(PLAIN, mtime=0)
DEFLATED = zlib.compress(PLAIN)
RAW_DEFLATED = zlib.compress(PLAIN, wbits=-zlib.MAX_WBITS)
BROTLI = brotli.compress(PLAIN)
ZSTD = zstandard.ZstdCompressor().compress(PLAIN)


def coded(coding: str, body: bytes, *, status: bytes = b"200 OK", chunk: int = 0) -> bytes:
    """Return a response with a Content-Encoding; in chunks of a given size, or with a length."""
    head = b"HTTP/1.1 %b\r\nContent-Encoding: %b\r\n" % (status, coding.encode())
    if not chunk:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = [body[start : start + chunk] for start in range(0, len(body), chunk)]
    sized = b"".join([b"%x\r\n%b\r\n" % (len(part), part) for part in chunks])
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + sized + b"0\r\n\r\n"


def serving(data: bytes) -> FaultServer:
    """Create a server that answers each request with the same bytes."""

    async def send(_: SeenRequest, wire: Wire) -> None:
        await wire.send(data)

    return FaultServer(serve_requests(send))


async def streamed(client: httpx.AsyncClient, url: str) -> bytes:
    """Return a body read in decoded parts."""
    async with client.stream("GET", url) as response:
        return b"".join([part async for part in response.aiter_bytes()])
