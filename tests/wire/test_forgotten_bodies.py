"""Responses without a reference hold no connection and no memory."""

import gc
import weakref
from collections.abc import Iterator

import httpx
import pytest
from pool_helpers import pool_client

from typed_async_client import (
    AsyncPoolTransport,
    Bulkhead,
    EventType,
    Resilience,
    ResilientTransport,
)
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, answer


@pytest.mark.parametrize("http11", ["h11", "llhttp"])
async def test_an_abandoned_body_iterator_frees_its_slot(http11: Http11) -> None:
    """Although the response is never closed and still referenced; the pool has one slot."""
    limits = httpx.Limits(max_connections=1)
    transport = AsyncPoolTransport(limits=limits, http11=http11)
    async with FaultServer(answer(200, b"x" * 500_000)) as server, pool_client(transport) as client:
        unclosed = await client.send(client.build_request("GET", server.url), stream=True)
        iterator = aiter(unclosed.aiter_raw(1000))
        assert len(await anext(iterator)) == 1000
        del iterator
        assert len((await client.get(server.url)).content) == 500_000
        assert not unclosed.is_closed
        assert transport.statistics().closed == {"failed": 1}


@pytest.mark.parametrize("http11", ["h11", "llhttp"])
async def test_a_response_read_in_parts_is_freed_with_its_last_reference(http11: Http11) -> None:
    """Without the garbage collector."""
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
            reference = await read_in_parts(server.url)
            assert reference() is None
        finally:
            gc.enable()


def test_a_streamed_response_that_is_dropped_is_cancelled_in_a_synchronous_client() -> None:
    """Its permit comes back, and its last event says so; nothing was read."""
    kinds: list[EventType] = []
    transport = ResilientTransport(
        httpx.MockTransport(lambda _: httpx.Response(200, stream=_Unread())),
        resilience=Resilience(bulkhead=Bulkhead(max_concurrent=1, max_wait=0.0)),
        on_event=lambda event: kinds.append(event.event_type),
    )
    with httpx.Client(transport=transport) as client:
        for _ in range(2):
            client.send(client.build_request("GET", "http://a.test/"), stream=True)
            gc.collect()
    assert [kind for kind in kinds if kind.is_terminal] == [EventType.CANCELLED] * 2


class _Unread(httpx.SyncByteStream):
    """A body that nobody reads."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"
