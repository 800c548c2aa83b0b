"""Events and records tell the same with a store as without one."""

import asyncio
import contextlib
from typing import Any

import pytest
from fleet_kit import BREAKER, ONE_RETRY, RETRIES, SLOW, Server, new_client, outline, policies

from typed_async_client import (
    AsyncEvent,
    AttemptRecord,
    CircuitState,
    GiveUp,
    GiveUpReason,
    RateLimit,
    RejectedError,
    RejectionReason,
    Resilience,
    RetryAfter,
)
from typed_async_client.stores import LocalStore
from typed_async_client.testing import in_virtual_time

STORES = [None, LocalStore]


async def observed(
    server: Server, resilience: Resilience, pauses: list[float], *, store: Any
) -> tuple[list[tuple[str, Any]], list[tuple[AttemptRecord, ...]]]:
    """Send a request after each pause; return the events, and the history of each request."""
    events: list[AsyncEvent] = []
    histories = []
    given = None if store is None else store()
    async with new_client(server, events, resilience=resilience, store=given) as client:
        for pause in pauses:
            await asyncio.sleep(pause)
            with contextlib.suppress(RejectedError):
                await client.request("GET", "/")
            await client.wait_for_all_requests()
            histories.append(events[-1].history)
    return [outline(event) for event in events], histories


@pytest.mark.parametrize("store", STORES)
@in_virtual_time
async def test_a_request_that_waits_for_its_turn_says_so(store: Any) -> None:
    """In an event, and in its record."""
    events, histories = await observed(
        Server(200), policies(rate_limit=SLOW), [0.0, 4.0], store=store
    )
    assert events == [
        ("started", None),
        ("success", None),
        ("throttled", ("rate_limit", 6.0)),
        ("started", None),
        ("success", None),
    ]
    (first,), (second,) = histories
    assert (first.gate_wait, second.gate_wait) == (0.0, 6.0)
    assert (first.started, second.started) == (0.0, 6.0)
    assert second.circuit is None


@pytest.mark.parametrize("store", STORES)
@in_virtual_time
async def test_a_circuit_tells_whenever_it_changes(store: Any) -> None:
    """Once, on behalf of the request that has changed it."""
    events, histories = await observed(
        Server(500, 500, 200), policies(circuit=BREAKER), [0.0, 0.0, 0.0, 30.0], store=store
    )
    assert events == [
        ("started", None),
        ("success", None),
        ("started", None),
        ("circuit_opened", CircuitState.OPEN),
        ("success", None),
        ("rejected", None),
        ("circuit_half_open", CircuitState.HALF_OPEN),
        ("started", None),
        ("circuit_closed", CircuitState.CLOSED),
        ("success", None),
    ]
    assert [history[0].circuit for history in histories] == [
        CircuitState.CLOSED,
        CircuitState.CLOSED,
        CircuitState.OPEN,
        CircuitState.HALF_OPEN,
    ]
    (refused,) = histories[2]
    assert refused.rejection is RejectionReason.CIRCUIT_OPEN
    assert refused.facts.local


@pytest.mark.parametrize("store", STORES)
@in_virtual_time
async def test_an_exhausted_budget_is_the_decision_of_the_last_record(store: Any) -> None:
    """The retry before it has its delay."""
    events, histories = await observed(
        Server(503), policies(retry=RETRIES, budget=ONE_RETRY), [0.0], store=store
    )
    assert [kind for kind, _ in events] == ["started", "retry", "started", "success"]
    first, last = histories[0]
    assert first.decision == RetryAfter(1.0, "backoff")
    assert (last.delay, last.decision) == (1.0, GiveUp(GiveUpReason.BUDGET))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_wait": 1.0}, RejectionReason.TOO_LONG),
        ({"max_waiting": 0}, RejectionReason.QUEUE_FULL),
    ],
)
@in_virtual_time
async def test_a_refusal_by_a_rate_limit_says_why(
    store: Any, limit: dict[str, Any], reason: RejectionReason
) -> None:
    """Whether the wait would be too long, or too many wait."""
    chosen = policies(rate_limit=RateLimit(rate=1, per=10.0, **limit))
    events, histories = await observed(Server(200), chosen, [0.0, 0.0], store=store)
    assert events == [("started", None), ("success", None), ("rejected", None)]
    assert [record.rejection for record in histories[1]] == [reason]
