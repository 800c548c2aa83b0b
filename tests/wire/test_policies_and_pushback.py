"""What servers ask for in headers, on real sockets: when to come back, and that all should wait."""

import asyncio
import email.utils
import itertools
import time
from typing import Any

import pytest
from fault_handlers import wait_until
from policy_ways import ALL_WAYS, open_way

from typed_async_client import (
    Bulkhead,
    Pushback,
    RateLimit,
    RateLimitedLocallyError,
    Resilience,
    RetryAfterTooLongError,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request
from typed_async_client.testing.server import Handler

RETRYING = Resilience(retry=RetryPolicy(max_retries=1, retry_after_cap=5.0, base_delay=0.001))

pytestmark = pytest.mark.usefixtures("no_leaks")


def first(status: int, *headers: str) -> Handler:
    """Answer the first request with a status and headers, the others with 200."""
    count = itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count):
            await wire.answer(200)
        else:
            await wire.answer(status, b"busy", *headers)

    return each_request(respond)


@pytest.mark.parametrize(
    "header",
    ["Retry-After: 0", "Retry-After: 0.05", "retry-after-ms: 50", "X-RateLimit-Reset: 0.05"],
)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_short_wait_is_kept_and_recorded(way: str, header: str) -> None:
    """The delay is the server's, or up to a fifth longer."""
    asked = 0.0 if header.endswith(" 0") else 0.05
    async with FaultServer(first(429, header)) as server, open_way(way, RETRYING) as client:
        assert (await client.request("POST", server.url)).status_code == 200
        retry = next(event for event in client.events if event.event_type.value == "retry")
        assert retry.history[0].facts.retry_after == asked
        assert retry.data.source == "server"
        assert asked <= retry.data.delay <= asked * 1.2


@pytest.mark.parametrize(
    "header", ["Retry-After: 3600", "Retry-After: {date}", "retry-after-ms: 6000"]
)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_wait_above_the_cap_fails_at_once(way: str, header: str) -> None:
    """The error has the seconds and the response."""
    line = header.format(date=email.utils.formatdate(time.time() + 3600, usegmt=True))
    async with FaultServer(answer(503, b"busy", line)) as server, open_way(way, RETRYING) as client:
        with pytest.raises(RetryAfterTooLongError) as raised:
            await client.request("GET", server.url)
        assert raised.value.retry_after is not None
        assert 5.0 < raised.value.retry_after <= 3600.0
        assert raised.value.response.status_code == 503
        assert isinstance(raised.value, client.library.TransportError)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "header", "requests"),
    [
        (500, "x-should-retry: true", 2),
        (503, "x-should-retry: false", 1),
        (429, "x-should-retry: false", 1),
        (200, "x-should-retry: true", 1),
    ],
)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_server_may_decide_about_a_retry(
    way: str, status: int, header: str, requests: int
) -> None:
    """Of a failure; a success isn't retried."""
    async with FaultServer(first(status, header)) as server, open_way(way, RETRYING) as client:
        await client.request("GET", server.url)
        assert len(server.requests) == requests


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_hold_stops_all_requests_to_its_host_and_no_others(way: str) -> None:
    """20 requests wait, and then aren't sent at the same moment."""
    policies = Resilience(pushback=Pushback(spread=0.5))
    async with (
        FaultServer(first(429, "Retry-After: 2")) as held,
        FaultServer(answer(200)) as other,
        open_way(way, policies) as client,
    ):
        assert (await client.request("GET", held.url)).status_code == 429
        waiting = [asyncio.ensure_future(client.request("GET", held.url)) for _ in range(20)]
        await wait_until(lambda: client.kinds().count("throttled") == 20)
        assert (await client.request("GET", other.url)).status_code == 200
        assert len(held.requests) == 1
        with pytest.raises(RateLimitedLocallyError) as raised:
            await client.request("GET", held.url, deadline=0.2)
        assert 0.2 <= (raised.value.retry_after or 0.0) <= 2.0
        assert {each.status_code for each in await asyncio.gather(*waiting)} == {200}
        waits = [event.data.delay for event in client.events if event.event_type == "throttled"]
        assert len(set(waits)) > 10
        assert max(waits) - min(waits) > 0.1


@pytest.mark.parametrize(
    "gate",
    [
        {"bulkhead": Bulkhead(max_concurrent=1, max_wait=60.0)},
        {"rate_limit": RateLimit(rate=1.0, burst=1, max_wait=60.0)},  # slow machines need a second
    ],
)
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_hold_also_stops_those_that_already_wait_for_their_turn(
    way: str, gate: dict[str, Any]
) -> None:
    """They were admitted before the server asked for peace."""
    go_on, count = asyncio.Event(), itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count) == 0:
            await go_on.wait()
            await wire.answer(429, b"", "Retry-After: 3")
        else:
            await wire.answer(200)

    policies = Resilience(pushback=Pushback(), **gate)
    async with FaultServer(each_request(respond)) as server, open_way(way, policies) as client:
        throttled = asyncio.ensure_future(client.request("GET", server.url))
        await wait_until(lambda: len(server.requests) == 1)
        waiting = asyncio.ensure_future(client.request("GET", server.url, deadline=1.5))
        others = 0 if "bulkhead" in gate else 1
        await wait_until(lambda: client.kinds().count("throttled") == others)
        go_on.set()
        assert (await throttled).status_code == 429
        with pytest.raises(RateLimitedLocallyError):
            await waiting
        assert len(server.requests) == 1
