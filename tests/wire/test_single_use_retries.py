"""A body that can be read only once is sent once, even if a retry would be safe otherwise."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    GiveUp,
    GiveUpReason,
    Resilience,
    ResilientTransport,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, Wire

RETRYING = Resilience(retry=RetryPolicy(base_delay=0.0))


async def once() -> AsyncIterator[bytes]:
    """Return a body that can be read only once."""
    yield b"hello"
    yield b"world"


def once_synchronously() -> Iterator[bytes]:
    """Return one for a synchronous client."""
    yield b"hello"
    yield b"world"


async def with_client(url: str, *, single_use: bool) -> int:
    """Send the body with our client."""
    async with AsyncResilientClient(resilience=RETRYING) as client:
        content = once() if single_use else b"helloworld"
        return (await client.request("PUT", url, content=content)).status_code


async def with_transport(url: str, *, single_use: bool) -> int:
    """Send it with httpx's asynchronous client."""
    async with httpx.AsyncClient(transport=ResilientTransport(resilience=RETRYING)) as client:
        return (await client.put(url, content=once() if single_use else b"helloworld")).status_code


async def with_sync_transport(url: str, *, single_use: bool) -> int:
    """Send it with httpx's synchronous client."""

    def send() -> int:
        with httpx.Client(transport=ResilientTransport(resilience=RETRYING)) as client:
            content = once_synchronously() if single_use else b"helloworld"
            return client.put(url, content=content).status_code

    return await asyncio.to_thread(send)


SENDERS = [with_client, with_transport, with_sync_transport]


def overloaded(bodies: list[bytes]) -> Callable[[Wire], Awaitable[None]]:
    """Return a handler that keeps the bodies and always answers 503."""

    async def answer(wire: Wire) -> None:
        while (request := await wire.read_request()) is not None:
            bodies.append(request.body)
            await wire.answer(503)

    return answer


@pytest.mark.parametrize("send", SENDERS)
async def test_a_body_that_was_read_is_not_sent_again_after_a_status(
    send: Callable[..., Awaitable[int]],
) -> None:
    """The caller gets the response: a second attempt would send an empty body."""
    bodies: list[bytes] = []
    async with FaultServer(overloaded(bodies)) as server:
        assert await send(server.url, single_use=True) == 503
    assert bodies == [b"helloworld"]


@pytest.mark.parametrize("send", SENDERS)
async def test_bytes_are_sent_with_each_attempt(
    send: Callable[..., Awaitable[int]],
) -> None:
    """All attempts send the same bytes."""
    bodies: list[bytes] = []
    async with FaultServer(overloaded(bodies)) as server:
        assert await send(server.url, single_use=False) == 503
    assert bodies == [b"helloworld"] * 3


async def test_the_history_says_that_the_body_was_read() -> None:
    """As the reason why no other attempt was made."""
    async with (
        FaultServer(overloaded([])) as server,
        AsyncResilientClient(resilience=RETRYING) as client,
    ):
        await client.put(server.url, content=once(), context=client.new_context("upload"))
        result = await client.wait_for_request("upload")
    assert result.history[-1].decision == GiveUp(GiveUpReason.NOT_REPLAYABLE)
    assert result.explain().endswith("ended: the body was read, and can be read only once")


async def test_a_refused_post_says_why_it_was_not_sent_again() -> None:
    """A 503 ends it like a success, and the explanation tells that it was for safety."""
    async with (
        FaultServer(overloaded([])) as server,
        AsyncResilientClient(resilience=RETRYING) as client,
    ):
        await client.post(server.url, context=client.new_context("order"))
        result = await client.wait_for_request("order")
    expected = "ended: the server may have processed the request, which isn't idempotent"
    assert result.explain().endswith(expected)
