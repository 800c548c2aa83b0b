"""A cancellation at any point of an upload leaks no slot, socket, task or generator."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from cancellation_sweeps import ANSWER, Sweep, resilient_client
from pool_helpers import answer_in_pieces, new_transport, pool_client, run_loop_turns
from upload_servers import CHUNKED_HEAD, REFUSAL, Source

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import SeenRequest, Wire

pytestmark = [pytest.mark.usefixtures("http11"), pytest.mark.bulk]

React = Callable[[Wire, int], Awaitable[None]]
"""Responds to a request with a body of a known size, of which nothing was read."""


async def read_body(wire: Wire, size: int) -> None:
    """Read a body."""
    while size > 0 and (part := await wire.read(min(size, 65536))):
        size -= len(part)


async def answer_late(wire: Wire, size: int) -> None:
    """Respond to the whole body."""
    await read_body(wire, size)
    await answer_in_pieces(SeenRequest("POST", "/", {}, b""), wire)


async def refuse_early(wire: Wire, size: int) -> None:
    """Refuse the body, and read on."""
    for piece in (REFUSAL[:20], REFUSAL[20:]):
        await wire.send(piece)
        await run_loop_turns(3)
    await read_body(wire, size)


async def respond_beside(wire: Wire, size: int) -> None:
    """Begin the response before the body is read, and end it afterwards."""
    await wire.send(CHUNKED_HEAD + b"5\r\nwhole\r\n")
    await read_body(wire, size)
    await wire.send(b"7\r\n answer\r\n")
    await run_loop_turns(3)
    await wire.send(b"0\r\n\r\n")


def serving(react: React) -> Callable[[Wire], Awaitable[None]]:
    """Serve requests, those with a body with ``react``."""

    async def handler(wire: Wire) -> None:
        try:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    byte = await wire.read(1)
                    if not byte:
                        return
                    head += byte
                if head.startswith(b"POST"):
                    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    await react(wire, size)
                else:
                    await answer_in_pieces(SeenRequest("GET", "/", {}, b""), wire)
        except ConnectionError:
            pass

    return handler


SIZE = 5 * 65536
HEADERS = {"Content-Length": str(SIZE)}


class Uploads:
    """Sends uploads, and records the sources of their bodies."""

    def __init__(self) -> None:
        self.sources: list[Source] = []

    async def parts(self, client: httpx.AsyncClient, url: str) -> bytes:
        """Send a generator that waits."""
        source = Source(5, between=lambda: run_loop_turns(2))
        self.sources.append(source)
        response = await client.post(url, content=source.parts(), headers=HEADERS)
        return ANSWER if response.status_code == 413 else response.content

    async def whole(self, client: httpx.AsyncClient, url: str) -> bytes:
        """Send bytes."""
        response = await client.post(url, content=bytes(SIZE))
        return ANSWER if response.status_code == 413 else response.content

    async def resilient(self, client: AsyncResilientClient, url: str) -> bytes:
        """Submit a request, and await its task."""
        source = Source(5, between=lambda: run_loop_turns(2))
        self.sources.append(source)
        response = await (await client.post(url, content=source.parts(), headers=HEADERS))
        return ANSWER if response.status_code == 413 else response.content


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("react", [answer_late, refuse_early, respond_beside])
@pytest.mark.parametrize("kind", ["parts", "whole", "resilient"])
async def test_a_cancellation_at_any_point_ends_the_upload(
    react: React,
    kind: str,
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """While sending, while reading beside it, and while the generator is being closed."""
    uploads = Uploads()
    new_client: Callable[[httpx.AsyncBaseTransport], Any] = (
        resilient_client if kind == "resilient" else pool_client
    )
    sweep = Sweep(
        new_transport=lambda slots: new_transport(connections=slots, tls=tls),
        fetch=getattr(uploads, kind),
        new_client=new_client,
        handler=serving(react),
        tls=tls,
    )
    await sweep.run(0, 2, slots=2)
    assert sweep.failures == []
    assert sweep.points >= 40
    assert [source.started - source.closed for source in uploads.sources] == [0] * len(
        uploads.sources
    )
