"""The delays before an event stream is connected to again, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx_sse
import pytest

from typed_async_client import (
    AsyncResilientClient,
    EventStreamEndedError,
    Resilience,
    RetryAfterTooLongError,
    RetryPolicy,
)
from typed_async_client.testing import in_virtual_time

URL = "http://a.test/events"


class Server:
    """Answers with an event stream each, the last again and again; 204 instead of None.

    Attributes:
        times: when the requests have arrived.
    """

    def __init__(self, *bodies: bytes | None) -> None:
        self.times: list[float] = []
        self._bodies = [*bodies]

    def __call__(self, _: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.times.append(round(asyncio.get_running_loop().time(), 6))
        body = self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0]
        if body is None:
            return httpx.Response(204)
        return httpx.Response(
            200, headers={"Content-Type": "text/event-stream"}, content=_parts(body)
        )

    def client(self, **options: Any) -> AsyncResilientClient:
        """Create a client of this server, whose jitter changes nothing."""
        transport = httpx.MockTransport(self)
        return AsyncResilientClient(transport=transport, random=lambda: 0.5, **options)


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    """Break the connection after a body that ends with ``cut``."""
    yield body.removesuffix(b"cut")
    if body.endswith(b"cut"):
        raise httpx.ReadError("cut")


async def events_of(
    client: AsyncResilientClient, **options: Any
) -> list[httpx_sse.ServerSentEvent]:
    """Return all events of the server."""
    async with client.sse(URL, **options) as events:
        return [event async for event in events]


@in_virtual_time
async def test_the_delay_is_that_of_the_backoff_and_starts_again_after_an_event() -> None:
    """Whether the stream ends or breaks."""
    server = Server(b"data: 1\n\n", b"", b"cut", b"", b"data: 2\n\ncut", b"", None)
    async with server.client(max_retries=3, base_delay=1.0, backoff_factor=2.0) as client:
        assert [event.data for event in await events_of(client)] == ["1", "2"]
    assert server.times == [0.0, 1.0, 2.0, 4.0, 8.0, 9.0, 10.0]


@in_virtual_time
async def test_the_server_may_ask_for_a_longer_delay_for_all_that_follows() -> None:
    """Its ``retry:`` holds until it sends another one, and doesn't shorten the backoff."""
    server = Server(
        b"retry: 3000\ndata: 1\n\n", b"", b"", b"", b"data: 2\nretry: 5\n\n", b"data: 3\n\n", None
    )
    policies = Resilience(
        retry=RetryPolicy(max_retries=4, base_delay=1.0, max_delay=8.0, retry_after_spread=0.0)
    )
    async with server.client(resilience=policies) as client:
        assert len(await events_of(client)) == 3
    assert server.times == [0.0, 3.0, 6.0, 9.0, 13.0, 14.0, 15.0]


@in_virtual_time
async def test_a_delay_that_is_too_long_ends_the_stream() -> None:
    """As a ``Retry-After`` would; nothing waits for a day."""
    async with Server(b"retry: 86400000\ndata: 1\n\n").client() as client:
        async with client.sse(URL) as events:
            assert (await anext(events)).retry == 86_400_000
            with pytest.raises(RetryAfterTooLongError, match="asked to wait for 86400 s") as raised:
                await anext(events)
        assert raised.value.retry_after == 86_400


@in_virtual_time
async def test_the_context_decides_how_often_and_how_fast() -> None:
    """It wins over the client's limits."""
    server = Server(b"")
    async with server.client() as client:
        context = client.new_context(max_retries=4, base_delay=0.1, backoff_factor=3.0)
        with pytest.raises(EventStreamEndedError, match="max_retries=4: 5 attempts"):
            await events_of(client, context=context)
    assert server.times == [0.0, 0.1, 0.4, 1.3, 4.0]


@in_virtual_time
async def test_minutes_of_reconnections_keep_nothing_but_results() -> None:
    """Each connection is over before the next one is made."""
    server = Server(b"data: 1\n\n")
    async with server.client(max_results=5) as client:
        async with client.sse(URL) as events:
            async for _ in events:
                assert client.active_tasks_count <= 1
                if asyncio.get_running_loop().time() > 300:
                    break
        assert client.results_count == 5
        assert len(server.times) == 302
