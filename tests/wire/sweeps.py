"""Sweeps of cancellations: one request, cancelled after each number of turns of the event loop."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from pool_kit import (
    address_of,
    all_alone,
    certificate_of,
    in_pieces,
    is_settled,
    pooled,
    serving,
    turns,
)

from typed_async_client import AsyncResilientClient
from typed_async_client.pool.transport import AsyncPoolTransport
from typed_async_client.testing import FaultServer

__all__ = ["ANSWER", "Sweep", "fetch_resiliently", "fetch_streamed", "fetch_whole", "resilient"]

ANSWER = b"whole answer"


async def fetch_whole(client: httpx.AsyncClient, url: str) -> bytes:
    """Read a response at once."""
    return (await client.get(url)).content


async def fetch_streamed(client: httpx.AsyncClient, url: str) -> bytes:
    """Read a response as it comes."""
    async with client.stream("GET", url) as response:
        return b"".join([part async for part in response.aiter_bytes()])


async def fetch_resiliently(client: AsyncResilientClient, url: str) -> bytes:
    """Submit a request, and await its task."""
    return (await (await client.get(url))).content


def resilient(transport: httpx.AsyncBaseTransport) -> AsyncResilientClient:
    """Make a resilient client over a transport."""
    return AsyncResilientClient(transport=transport, timeout=20.0)


@dataclasses.dataclass(kw_only=True)
class Sweep:
    """Cancels one request after each number of turns, until it is done by then.

    Args:
        new_transport: makes the transport of each point, with that many slots.
        fetch: makes a request of a client, and reads its answer.
        new_client: makes a client over a transport.
        tls: speak TLS.
        patience: seconds to wait for a slot before it counts as lost.

    Attributes:
        points: how many cancellations there were.
        bad: what was wrong, by point.
    """

    new_transport: Callable[[int], httpx.AsyncBaseTransport]
    fetch: Callable[[Any, str], Awaitable[bytes]] = fetch_whole
    new_client: Callable[[httpx.AsyncBaseTransport], Any] = pooled
    tls: bool = False
    patience: float = 20.0
    points: int = 0
    bad: list[str] = dataclasses.field(default_factory=list)

    async def go(self, *companies: int, slots: int) -> None:
        """Sweep, cold and warm, beside each number of other requests."""
        for warm, others in itertools.product((False, True), companies):
            for count in itertools.count():
                was_done, faults = await self._try(count, slots, others=others, warm=warm)
                where = f"turn {count}, {slots} slots, {others} others, {warm=}"
                self.bad += [f"{where}: {fault}" for fault in faults]
                self.points += 1
                if was_done:
                    break

    async def _try(
        self, count: int, slots: int, *, others: int, warm: bool
    ) -> tuple[bool, list[str]]:
        faults = []
        async with FaultServer(serving(in_pieces), tls=certificate_of(tls=self.tls)) as server:
            url, transport = address_of(server), self.new_transport(slots)
            async with self.new_client(transport) as client:
                if warm:
                    await self.fetch(client, url)
                before = [self._start(client, url) for _ in range(others // 2)]
                target = self._start(client, url)
                after = [self._start(client, url) for _ in range(others - others // 2)]
                await turns(count)
                was_done = target.done()
                target.cancel()
                await asyncio.wait({target, *before, *after})
                if not {task.result() for task in before + after} <= {ANSWER}:
                    faults.append("another request was harmed")
                if isinstance(transport, AsyncPoolTransport) and not is_settled(transport):
                    faults.append(f"not settled: {transport.statistics()}")
                if not await self._every_slot_serves(transport, url, slots):
                    faults.append("a slot was lost")
            if not await all_alone():
                faults.append("a task or a connection was left")
        return was_done, faults

    def _start(self, client: Any, url: str) -> "asyncio.Task[bytes]":
        async def fetch() -> bytes:
            return await self.fetch(client, url)

        return asyncio.create_task(fetch())

    async def _every_slot_serves(
        self, transport: httpx.AsyncBaseTransport, url: str, slots: int
    ) -> bool:
        """Hold as many responses open as there are slots, then ask twice more."""
        client = httpx.AsyncClient(transport=transport, timeout=self.patience)
        try:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(slots):
                    await stack.enter_async_context(client.stream("GET", url))
            return {await fetch_whole(client, url), await fetch_whole(client, url)} == {ANSWER}
        except httpx.PoolTimeout:
            return False
