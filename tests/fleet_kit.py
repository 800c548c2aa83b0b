"""Clients that share their state in a store, and what the tests of them look at."""

from collections.abc import Callable
from typing import Any

import httpx

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    CircuitBreaker,
    EventType,
    RateLimit,
    Resilience,
    RetryBudget,
    RetryPolicy,
    ThrottleDetails,
)
from typed_async_client.policies.transitions import CircuitState
from typed_async_client.stores import StateKey

__all__ = [
    "BREAKER",
    "CIRCUIT_KEY",
    "ONE_RETRY",
    "ORIGIN",
    "RETRIES",
    "SLOW",
    "Server",
    "new_client",
    "outline",
    "policies",
]

ORIGIN = "http://a.test"
CIRCUIT_KEY = StateKey("circuit", ORIGIN)

SLOW = RateLimit(rate=1, per=10.0)
"""One attempt every ten seconds."""

BREAKER = CircuitBreaker(minimum_calls=2, reset_timeout=30.0)
"""Opens after two failures."""

RETRIES = RetryPolicy(max_retries=2, base_delay=1.0, jitter="none")

ONE_RETRY = RetryBudget(ratio=0.0, min_per_second=0.1, ttl=10.0)
"""Allows one extra request in ten seconds."""


class Server:
    """Answers with the statuses it was given, and then with the last of them.

    Attributes:
        seen: the requests that have arrived.
        times: when they did, by the clock it was given.
    """

    def __init__(self, *statuses: int, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.statuses = [*statuses]
        self.seen: list[httpx.Request] = []
        self.times: list[float] = []
        self._clock = clock

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.seen.append(request)
        self.times.append(self._clock())
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(status)


def policies(**chosen: Any) -> Resilience:
    """Return policies without retries, unless they are chosen."""
    return Resilience(**{"retry": RetryPolicy(max_retries=0), **chosen})


def new_client(
    handler: Callable[[httpx.Request], Any], events: list[AsyncEvent] | None = None, **options: Any
) -> AsyncResilientClient:
    """Create a client that sends to ``handler``, and record its events."""
    client = AsyncResilientClient(
        transport=httpx.MockTransport(handler),
        base_url=ORIGIN,
        allow_absolute_urls=True,
        random=lambda: 0.5,
        **options,
    )
    for kind in EventType if events is not None else ():
        client.add_event_callback(kind, events.append)  # type: ignore[union-attr] # it isn't None
    return client


def outline(event: AsyncEvent) -> tuple[str, Any]:
    """Return the kind of an event, and what it says about limits and circuits."""
    data = event.data
    if isinstance(data, ThrottleDetails):
        return event.event_type.value, (data.reason, round(data.delay, 6))
    state = getattr(data, "state", None)
    return event.event_type.value, state if isinstance(state, CircuitState) else None
