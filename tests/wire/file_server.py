"""A server of one file, which knows ranges, and cuts connections or lies where a test says so."""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

__all__ = ["FILE", "PIECE", "FileServer", "Reply", "lie", "names", "part", "serving", "size_of"]

FILE = random.Random(7).randbytes(300_000)
"""Bytes of which no two parts are equal."""

Reply = Callable[[SeenRequest, Wire], Awaitable[None]]
"""Answers a request in the place of the server."""

PIECE = 16 * 1024
"""Bytes that it sends at a time."""


@dataclasses.dataclass
class FileServer:
    """Answers requests for a file, or for its rest.

    Attributes:
        body: the file.
        headers: header lines of each response with bytes of the file.
        cuts: for each response, after how many bytes of the body its connection is closed; those
            that come later are sent whole.
        replies: what is answered in its place, to one request each.
        knows_ranges: whether it sends the rest only.
        sent: bytes of bodies that it has sent.
        ranges: the ``Range`` and ``If-Range`` of each request; empty without.
    """

    body: bytes = FILE
    headers: list[str] = dataclasses.field(default_factory=lambda: ['ETag: "v1"'])
    cuts: list[int] = dataclasses.field(default_factory=list)
    replies: list[Reply | None] = dataclasses.field(default_factory=list)
    knows_ranges: bool = True
    sent: int = 0
    ranges: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    async def __call__(self, request: SeenRequest, wire: Wire) -> None:
        """Answer one request."""
        asked = request.headers.get("range", ""), request.headers.get("if-range", "")
        self.ranges.append(asked)
        reply = self.replies.pop(0) if self.replies else None
        if reply is not None:
            await reply(request, wire)
            return
        is_current = any(line.endswith(f": {asked[1]}") for line in self.headers)
        start = int(asked[0][6:-1]) if asked[0] and is_current and self.knows_ranges else 0
        size = len(self.body)
        if start and start >= size:
            await wire.answer(416, b"", f"Content-Range: bytes */{size}")
            return
        status = "206 Partial Content" if start else "200 OK"
        placed = [f"Content-Range: bytes {start}-{size - 1}/{size}"] if start else []
        length = f"Content-Length: {size - start}"
        lines = [f"HTTP/1.1 {status}", *self.headers, *placed, length, "", ""]
        await wire.send("\r\n".join(lines).encode())
        await self.send_body(self.body[start:], wire)

    async def send_body(self, body: bytes, wire: Wire) -> None:
        """Send a body, or its beginning, and close the connection then."""
        end = self.cuts.pop(0) if self.cuts else len(body)
        for start in range(0, min(end, len(body)), PIECE):
            piece = body[start : min(end, start + PIECE)]
            await wire.send(piece)
            self.sent += len(piece)
            await asyncio.sleep(0)  # a client on the same loop may read it
        if end < len(body):
            await wire.finish()


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


def size_of(path: Path) -> int:
    """Return the bytes in a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def part(
    start: int, end: int | None = None, *headers: str, total: object = len(FILE), shift: int = 0
) -> Reply:
    """Answer with 206, and the bytes of the file that it says, or others."""
    end = len(FILE) if end is None else end
    content = FILE[start + shift : end + shift]
    place = f"Content-Range: bytes {start}-{end - 1}/{total}"
    return lie(206, content, place, *(headers or ('ETag: "v1"',)))


def lie(status: int, body: bytes = b"", *headers: str) -> Reply:
    """Answer as a test says."""

    async def reply(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(status, body, *headers)

    return reply


@contextlib.asynccontextmanager
async def serving(
    files: Callable[[SeenRequest, Wire], Awaitable[None]], **options: Any
) -> AsyncIterator[tuple[str, AsyncResilientClient]]:
    """Run a server and a client that waits for no second; yield the URL and the client."""
    if "resilience" not in options:
        options = {"base_delay": 0.001, **options}
    async with (
        FaultServer(each_request(files)) as server,
        AsyncResilientClient(**options) as client,
    ):
        yield f"{server.url}file", client
