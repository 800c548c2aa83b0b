"""Thousands of concurrent requests on real sockets, observed by every kind of callback."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    RequestContext,
    ResultStatus,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

pytestmark = [pytest.mark.usefixtures("http11"), pytest.mark.bulk]

LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=50)


async def echo_path(request: SeenRequest, wire: Wire) -> None:
    """Answer with the path of the request."""
    await wire.answer(200, request.target.encode())


async def test_a_thousand_concurrent_requests_keep_their_own_counters() -> None:
    """Half succeed on the first attempt; half are refused until their own retries are used up."""
    async with (
        FaultServer(each_request(echo_path)) as server,
        FaultServer(answer(), refusing=True) as refusing,
        AsyncResilientClient(limits=LIMITS, timeout=60, base_delay=0.001) as client,
    ):
        for number in range(1000):
            context = RequestContext(
                request_id=str(number), max_retries=number % 4, base_delay=0.001
            )
            base = server.url if number % 2 else refusing.url
            await client.get(f"{base}{number}", context)
        results = await client.wait_for_all_requests()
        assert len(server.requests) == 500
    for number in range(1000):
        result = results[str(number)]
        if number % 2:
            assert (result.unwrap().text, result.attempts) == (f"/{number}", 1)
        else:
            assert (result.status, result.attempts) == (ResultStatus.ERROR, number % 4 + 1)


class HostileCallbacks:
    """Callbacks that raise, sleep, use the client, remove themselves and modify responses."""

    def __init__(self, client: AsyncResilientClient, url: str) -> None:
        self.client = client
        self.url = url
        self.resubmitted = 0

    def raising(self, _: AsyncEvent) -> None:
        """Raise an error."""
        raise ValueError("no")

    async def sleeping(self, _: AsyncEvent) -> None:
        """Take ten seconds for each event."""
        await asyncio.sleep(10)

    async def re_entering(self, event: AsyncEvent) -> None:
        """Send a request with the observed client, and await its response."""
        if event.event_type is EventType.SUCCESS and self.resubmitted < 100:
            self.resubmitted += 1
            context = RequestContext(request_id=f"resubmitted {self.resubmitted}")
            await (await self.client.get(self.url, context))

    def removing_itself(self, event: AsyncEvent) -> None:
        """Remove itself on the first call."""
        self.client.remove_event_callback(event.event_type, self.removing_itself)

    def mutating(self, event: AsyncEvent) -> None:
        """Modify the response."""
        if event.event_type is EventType.SUCCESS:
            event.data.headers.clear()

    @property
    def all(self) -> list[Any]:
        """All of these callbacks."""
        return [
            self.raising,
            self.sleeping,
            self.re_entering,
            self.removing_itself,
            self.mutating,
        ]


async def test_ten_thousand_requests_with_hostile_callbacks_each_emit_one_terminal_event() -> None:
    """With the smallest event queue, and without modified responses."""
    terminal_events: Counter[str] = Counter()

    def count(event: AsyncEvent) -> None:
        terminal_events[event.context.request_id] += 1

    async with (
        FaultServer(answer(200, b"ok", "X-Kept: 1")) as server,
        AsyncResilientClient(
            limits=LIMITS,
            timeout=60,
            event_queue_size=1,
            max_concurrent_requests=50,
            max_results=20_000,
            grace=0.0,
        ) as client,
    ):
        for callback in HostileCallbacks(client, server.url).all:
            for kind in EventType:
                client.add_event_callback(kind, callback)
        for kind in EventType:
            if kind.is_terminal:
                client.add_event_callback(kind, count)
        for number in range(10_000):
            task = await client.get(server.url, RequestContext(request_id=str(number)))
            if number % 20 == 0:
                task.cancel()
        results = await client.wait_for_all_requests()
    resubmitted_ids = {name for name in terminal_events if name.startswith("resubmitted")}
    assert len(resubmitted_ids) == 100
    assert terminal_events == dict.fromkeys(
        [str(number) for number in range(10_000)] + sorted(resubmitted_ids), 1
    )
    statuses = Counter(result.status for result in results.values())
    assert statuses == {ResultStatus.SUCCESS: 9600, ResultStatus.CANCELLED: 500}
    kept = {result.unwrap().headers["x-kept"] for result in results.values() if result.is_success}
    assert kept == {"1"}
