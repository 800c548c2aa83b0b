"""What was sent is freed with its last reference, although its connection is kept."""

import gc
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, ResilientTransport
from typed_async_client.testing import FaultServer, answer


async def pieces() -> AsyncIterator[bytes]:
    """Generate a body."""
    yield b"pay"
    yield b" 5"


BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    "bytes": lambda: {"content": b"pay 5"},
    "generator": lambda: {"content": pieces()},
    "form": lambda: {"files": {"bill": b"pay 5"}},
}


@pytest.fixture(autouse=True)
def _no_collection() -> Any:
    """Find reference cycles: without the collector, they are never freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("body", BODIES)
async def test_a_request_of_the_client_is_freed_with_its_result(body: str) -> None:
    """The request that opened the connection included."""
    async with FaultServer(answer()) as server, AsyncResilientClient(max_results=1) as client:

        async def post() -> "weakref.ref[httpx.Request]":
            response = await (await client.post(server.url, **BODIES[body]()))
            return weakref.ref(response.request)

        sent = await post()
        for _ in range(2):
            await (await client.get(server.url))
        client.clear_old_results(0)
        assert sent() is None


@pytest.mark.parametrize("body", BODIES)
async def test_a_request_through_the_transport_is_freed_with_its_response(body: str) -> None:
    """Its log of what was sent doesn't lead back to it."""
    transport = ResilientTransport()
    async with FaultServer(answer()) as server, httpx.AsyncClient(transport=transport) as client:

        async def post() -> "weakref.ref[httpx.Request]":
            response = await client.post(server.url, **BODIES[body]())
            return weakref.ref(response.request)

        sent = await post()
        await client.get(server.url)
        assert sent() is None
