"""A server and a client for the tests of streamed responses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    Resilience,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

__all__ = ["LARGE", "RETRIED", "Origin", "pool_of", "read", "serving"]

LARGE = b"x" * 3_000_000
RETRIED = Resilience(retry=RetryPolicy(max_retries=2, base_delay=0.001))


class Origin:
    """Answers with the status in the path, after as many failures as its query says."""

    def __init__(self) -> None:
        self.failed = 0

    async def __call__(self, request: SeenRequest, wire: Wire) -> None:
        """Answer one request."""
        path, _, failures = request.target.partition("?")
        if self.failed < int(failures or 0):
            self.failed += 1
            await wire.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nla")
            await asyncio.sleep(0.01)  # the rest comes when the client has seen the status
            await wire.send(b"ter")
        elif path == "/cut":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
            await wire.finish()
        elif path == "/stall":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
            await wire.stall()
        elif path == "/redirect":
            await wire.answer(302, b"there", "Location: /200")
        else:
            await wire.answer(int(path[1:]), LARGE)


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[str, AsyncResilientClient]]:
    """Run a server, and a client; yield the URL and the client."""
    async with (
        FaultServer(each_request(Origin())) as server,
        AsyncResilientClient(**options) as client,
    ):
        yield server.url, client


def pool_of(client: AsyncResilientClient) -> AsyncPoolTransport:
    """Return the pool of a client."""
    pool: AsyncPoolTransport = client._client._transport
    return pool


async def read(response: httpx.Response) -> int:
    """Read a body part by part; return the number of bytes."""
    return sum([len(part) async for part in response.aiter_bytes()])
