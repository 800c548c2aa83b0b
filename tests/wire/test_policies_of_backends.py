"""Policies over the backends: the same decisions as over our pool, from what these libraries tell."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until

from typed_async_client import (
    AsyncResilientClient,
    CircuitBreaker,
    CircuitState,
    DeadlineExceededError,
    EventType,
    Hedge,
    Resilience,
    RetryPolicy,
)
from typed_async_client.testing import (
    FaultServer,
    SeenRequest,
    Wire,
    answer,
    drop,
    each_request,
    reset,
    stall,
)
from typed_async_client.testing.server import Handler

BACKENDS: list[Any] = ["aiohttp", "pyreqwest"]

RETRY = RetryPolicy(max_retries=3, base_delay=0.001)

pytestmark = [pytest.mark.parametrize("backend", BACKENDS), pytest.mark.usefixtures("no_leaks")]


def open_client(backend: Any, **policies: Any) -> AsyncResilientClient:
    """Create a client over a backend."""
    return AsyncResilientClient(transport=backend, resilience=Resilience(**policies), timeout=20)


def first_then_answer(first: Handler) -> Handler:
    """Treat the first connection in one way, and answer the others."""
    count = itertools.count()

    async def handler(wire: Wire) -> None:
        await (answer() if next(count) else first)(wire)

    return handler


@pytest.mark.parametrize("key", [None, "order-17"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", [drop, reset])
async def test_after_a_lost_answer_only_what_is_idempotent_is_sent_again(
    backend: str, fault: Handler, method: str, key: str | None
) -> None:
    """A POST without a key has been read once."""
    async with (
        FaultServer(first_then_answer(fault)) as server,
        open_client(backend, retry=RETRY) as client,
    ):
        request = client.request(method, server.url, content=b"x", idempotency_key=key)
        if method == "POST" and key is None:
            with pytest.raises(httpx.TransportError):
                await request
            assert len(server.requests) == 1
        else:
            assert (await request).status_code == 200
            assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_request_arrives_once(backend: str, method: str) -> None:
    """Nothing was sent before the port opened."""
    async with (
        FaultServer(answer(), refusing=True) as server,
        open_client(backend, retry=RETRY) as client,
    ):

        async def open_port(_: Any) -> None:
            await server.open()

        client.add_event_callback(EventType.RETRY, open_port)
        assert (await client.request(method, server.url, content=b"x")).status_code == 200
        assert [request.body for request in server.requests] == [b"x"]


async def test_retried_responses_need_one_connection(backend: str) -> None:
    """Five requests, each answered by 503 three times."""
    count = itertools.count(1)

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(503 if next(count) % 4 else 200, b"x" * 2000)

    async with (
        FaultServer(each_request(respond)) as server,
        open_client(backend, retry=RETRY) as client,
    ):
        for _ in range(5):
            assert (await client.request("GET", server.url)).status_code == 200
        assert (len(server.requests), server.connections) == (20, 1)


async def test_a_deadline_and_a_cancellation_charge_no_circuit(backend: str) -> None:
    """They are the client's own."""
    async with (
        FaultServer(stall) as server,
        open_client(backend, deadline=0.1, circuit=CircuitBreaker(minimum_calls=1)) as client,
    ):
        with pytest.raises(DeadlineExceededError):
            await client.request("GET", server.url)
        task = await client.request_async("GET", server.url, deadline=None)
        await wait_until(lambda: len(server.requests) == 2)
        task.cancel()
        await asyncio.wait({task})
        assert client.circuit(server.url).state is CircuitState.CLOSED


async def test_a_copy_overtakes_a_request_that_is_not_answered(backend: str) -> None:
    """The loser is closed."""
    hedge = Hedge(after=0.05, budget=None)
    async with (
        FaultServer(first_then_answer(stall)) as server,
        open_client(backend, hedge=hedge) as client,
    ):
        assert (await client.request("GET", server.url)).status_code == 200
        assert len(server.requests) == 2
