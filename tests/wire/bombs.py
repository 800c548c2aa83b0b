"""Small bodies that decode to very large ones, and a program that measures what they cost.

Run as a program, it reads one body after another in a new process, and prints for each how that ended,
and by how many MiB the process has grown at the most.
"""

import asyncio
import gzip
import json
import resource
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import httpx

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

__all__ = ["BOMBS", "CAP", "MEBIBYTE"]

MEBIBYTE = 2**20
CAP = 10 * MEBIBYTE

_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"


def gzip_of_zeros(size: int) -> bytes:
    """Return a gzip body of so many MiB of zeros, made of copies of one compressed MiB."""
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = bytes(MEBIBYTE)
    block = compressor.compress(zeros) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(size):
        checksum = zlib.crc32(zeros, checksum)
    length = size * MEBIBYTE % 2**32
    trailer = checksum.to_bytes(4, "little") + length.to_bytes(4, "little")
    return _GZIP_HEAD + size * block + b"\x03\x00" + trailer


def zstd_of_zeros(size: int) -> bytes:
    """Return a zstd body of so many MiB of zeros: blocks of 128 KiB, each a byte to repeat."""
    block = (1 << 1 | 128 * 1024 << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + 8 * size * block + b"\x01\x00\x00"


def brotli_of_zeros(size: int) -> bytes:
    """Return a brotli body of so many MiB of zeros."""
    compressor = brotli.Compressor(quality=1, lgwin=24)
    parts: list[bytes] = [compressor.process(bytes(MEBIBYTE)) for _ in range(size)]
    return b"".join([*parts, compressor.finish()])


BOMBS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "gzip": ("gzip", gzip_of_zeros),
    "double gzip": ("gzip, gzip", lambda size: gzip.compress(gzip_of_zeros(size))),
    "brotli": ("br", brotli_of_zeros),
    "zstd": ("zstd", zstd_of_zeros),
}


async def read_whole(client: AsyncResilientClient, url: str) -> Any:
    """Read a body with a limit; return its length."""
    return len((await client.request("GET", url, max_response_bytes=CAP)).content)


async def stream(client: AsyncResilientClient, url: str) -> Any:
    """Stream a body without a limit, slowly; return its length."""
    total = 0
    async with client.stream("GET", url) as response:
        async for part in response.aiter_bytes():
            total += len(part)
            for _ in range(5):
                await asyncio.sleep(0)
    return total


async def in_tiny_chunks(client: AsyncResilientClient, url: str) -> Any:
    """Read many chunks of one byte each."""
    return await read_whole(client, f"{url}chunks")


WAYS = {"read": read_whole, "stream": stream, "chunks": in_tiny_chunks}


def peak() -> int:
    """Return the most memory that this process has had, in KiB.

    What ``getrusage`` says includes the process that has started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def measure(cases: list[tuple[str, str, int]]) -> list[tuple[Any, float]]:
    """Read one body after another; return how each ended, and the growth since the first, in MiB."""
    bodies = {f"/{number}": BOMBS[name][1](size) for number, (_, name, size) in enumerate(cases)}

    async def respond(request: SeenRequest, wire: Wire) -> None:
        if request.target in bodies:
            coding = BOMBS[cases[int(request.target[1:])][1]][0]
            await wire.answer(200, bodies[request.target], f"Content-Encoding: {coding}")
        elif request.target == "/":
            await wire.answer(200, gzip.compress(b"ok"), "Content-Encoding: gzip")
        else:
            await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(300):
                await wire.send(1000 * b"1\r\n\0\r\n")
            await wire.send(b"0\r\n\r\n")

    found: list[tuple[Any, float]] = []
    async with (
        FaultServer(each_request(respond)) as server,
        AsyncResilientClient(max_encodings=2) as client,
    ):
        await client.request("GET", server.url)
        before = peak()
        for number, (way, _, _) in enumerate(cases):
            try:
                ended: Any = await WAYS[way](client, f"{server.url}{number}")
            except httpx.RequestError as error:
                ended = type(error).__name__
            found.append((ended, (peak() - before) / 1024))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(json.loads(sys.argv[1])))))
