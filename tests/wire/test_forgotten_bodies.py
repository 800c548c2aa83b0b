"""A response that nobody thinks of any more, read or not, costs nothing."""

import gc
import weakref

import httpx
import pytest
from pool_helpers import pool_client

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, answer


@pytest.mark.parametrize("http11", ["h11", "llhttp"])
async def test_a_walk_through_a_body_that_is_forgotten_gives_its_slot_back(http11: Http11) -> None:
    """The response is never closed, and still held; the pool has one slot."""
    limits = httpx.Limits(max_connections=1)
    transport = AsyncPoolTransport(limits=limits, http11=http11)
    async with FaultServer(answer(200, b"x" * 500_000)) as server, pool_client(transport) as client:
        forgotten = await client.send(client.build_request("GET", server.url), stream=True)
        walk = aiter(forgotten.aiter_raw(1000))
        assert len(await anext(walk)) == 1000
        del walk
        assert len((await client.get(server.url)).content) == 500_000
        assert not forgotten.is_closed
        assert transport.statistics().closed == {"failed": 1}


@pytest.mark.parametrize("http11", ["h11", "llhttp"])
async def test_a_body_that_was_read_in_parts_dies_with_its_last_holder(http11: Http11) -> None:
    """Without a garbage collector."""
    transport = AsyncPoolTransport(http11=http11)

    async def read_in_parts(url: str) -> "weakref.ref[httpx.Response]":
        response = await transport.handle_async_request(httpx.Request("GET", url))
        body = response.stream
        assert isinstance(body, httpx.AsyncByteStream)
        async for part in body:
            assert part == b"x" * 1000
        await body.aclose()
        return weakref.ref(response)

    async with FaultServer(answer(200, b"x" * 1000)) as server, transport:
        gc.collect()
        gc.disable()
        try:
            last = await read_in_parts(server.url)
            assert last() is None
        finally:
            gc.enable()
