"""A shared budget is asked before a response is handed over, whose body is then read as usual."""

from typing import Any

import httpx
import pytest
from client_kinds import KINDS, options_for, send_request
from fleet_kit import policies

from typed_async_client import (
    AsyncEvent,
    CircuitBreaker,
    RateLimit,
    ResilientTransport,
    RetryBudget,
    RetryPolicy,
)
from typed_async_client.stores import LocalStore, SyncLocalStore
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request, half_body

CHOSEN: dict[str, Any] = {
    "retry": RetryPolicy(base_delay=0.0),
    "budget": RetryBudget(),
    "circuit": CircuitBreaker(),
    "rate_limit": RateLimit(rate=1000, burst=100),
}


def wrapped(kind: str, events: list[AsyncEvent]) -> dict[str, Any]:
    """Return the options of a client of that kind, with a store."""
    store = LocalStore() if kind == "async" else SyncLocalStore()
    return options_for(
        ResilientTransport(resilience=policies(**CHOSEN), store=store, on_event=events.append)
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_is_read_after_a_retry(kind: str) -> None:
    """On a real connection, where it comes after the head."""
    events: list[AsyncEvent] = []
    statuses = iter([503, 200])

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(next(statuses), b"body")

    async with FaultServer(each_request(respond)) as server:
        response = await send_request(kind, "GET", server.url, client=wrapped(kind, events))
    assert (response.status_code, response.text) == (200, "body")
    kinds = [event.event_type.value for event in events]
    assert kinds == ["started", "retry", "started", "success"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_that_breaks_ends_the_request(kind: str) -> None:
    """With one terminal event."""
    events: list[AsyncEvent] = []
    async with FaultServer(half_body) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await send_request(kind, "GET", server.url, client=wrapped(kind, events))
    assert [event.event_type.value for event in events] == ["started", "error"]
