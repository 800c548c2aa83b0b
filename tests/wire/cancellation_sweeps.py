"""Cancels one request after 0, 1, 2... turns of the event loop, until it completes first."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from pool_helpers import (
    answer_in_pieces,
    ip_url,
    is_idle,
    other_tasks_end,
    pool_client,
    run_loop_turns,
    serve_requests,
    server_context_or_none,
)

from typed_async_client import AsyncResilientClient
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Handler

__all__ = [
    "ANSWER",
    "Sweep",
    "fetch_resiliently",
    "fetch_streamed",
    "fetch_whole",
    "resilient_client",
]

ANSWER = b"whole answer"


async def fetch_whole(client: httpx.AsyncClient, url: str) -> bytes:
    """Read a whole response."""
    return (await client.get(url)).content


async def fetch_streamed(client: httpx.AsyncClient, url: str) -> bytes:
    """Stream a response."""
    async with client.stream("GET", url) as response:
        return b"".join([part async for part in response.aiter_bytes()])


async def fetch_resiliently(client: AsyncResilientClient, url: str) -> bytes:
    """Submit a request, and await its task."""
    return (await (await client.get(url))).content


def resilient_client(transport: httpx.AsyncBaseTransport) -> AsyncResilientClient:
    """Create a resilient client over a transport."""
    return AsyncResilientClient(transport=transport, timeout=20.0)


@dataclasses.dataclass(kw_only=True)
class Sweep:
    """Cancels one request after 0, 1, 2... turns of the loop, until it completes first.

    Args:
        new_transport: creates a transport with the given number of slots, for each point.
        fetch: sends a request with a client, and returns the response's body.
        new_client: creates a client over a transport.
        handler: serves a connection; the slots are checked with requests that it answers.
        tls: use TLS.
        slot_timeout: seconds to wait for a slot before it counts as lost.

    Attributes:
        points: the number of cancellations.
        failures: what went wrong, with the point.
    """

    new_transport: Callable[[int], httpx.AsyncBaseTransport]
    fetch: Callable[[Any, str], Awaitable[bytes]] = fetch_whole
    new_client: Callable[[httpx.AsyncBaseTransport], Any] = pool_client
    handler: Handler = dataclasses.field(default_factory=lambda: serve_requests(answer_in_pieces))
    tls: bool = False
    slot_timeout: float = 20.0
    points: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    async def run(self, *others: int, slots: int) -> None:
        """Run the sweep, with and without a warm connection, for each number of other requests."""
        for warm, number in itertools.product((False, True), others):
            for count in itertools.count():
                was_done, faults = await self._try(count, slots, others=number, warm=warm)
                where = f"turn {count}, {slots} slots, {number} others, {warm=}"
                self.failures += [f"{where}: {fault}" for fault in faults]
                self.points += 1
                if was_done:
                    break

    async def _try(
        self, count: int, slots: int, *, others: int, warm: bool
    ) -> tuple[bool, list[str]]:
        faults = []
        async with FaultServer(self.handler, tls=server_context_or_none(tls=self.tls)) as server:
            url, transport = ip_url(server), self.new_transport(slots)
            async with self.new_client(transport) as client:
                if warm:
                    await self.fetch(client, url)
                before = [self._start(client, url) for _ in range(others // 2)]
                target = self._start(client, url)
                after = [self._start(client, url) for _ in range(others - others // 2)]
                await run_loop_turns(count)
                was_done = target.done()
                target.cancel()
                await asyncio.wait({target, *before, *after})
                if not {task.result() for task in before + after} <= {ANSWER}:
                    faults.append("another request was affected")
                if isinstance(transport, AsyncPoolTransport) and not is_idle(transport):
                    faults.append(f"not idle: {transport.statistics()}")
                if not await self._every_slot_serves(transport, url, slots):
                    faults.append("a slot was lost")
            if not await other_tasks_end():
                faults.append("a task or a connection was leaked")
        return was_done, faults

    def _start(self, client: Any, url: str) -> "asyncio.Task[bytes]":
        async def fetch() -> bytes:
            return await self.fetch(client, url)

        return asyncio.create_task(fetch())

    async def _every_slot_serves(
        self, transport: httpx.AsyncBaseTransport, url: str, slots: int
    ) -> bool:
        """Open as many responses as there are slots, then send two more requests."""
        client = httpx.AsyncClient(transport=transport, timeout=self.slot_timeout)
        try:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(slots):
                    await stack.enter_async_context(client.stream("GET", url))
            return {await fetch_whole(client, url), await fetch_whole(client, url)} == {ANSWER}
        except httpx.PoolTimeout:
            return False
