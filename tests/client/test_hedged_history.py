"""An attempt that a copy has overtaken is in the history, and its time counts for the next delay."""

import asyncio

from steady_loop import pass_time

from typed_async_client import AsyncResilientClient, Hedge, Resilience
from typed_async_client.testing import FaultServer, Wire


async def test_the_attempt_that_was_overtaken_is_on_the_record() -> None:
    """It comes before the copy, and says how long it ran."""
    arrived = asyncio.Event()

    async def answer_all_but_the_first(wire: Wire) -> None:
        while await wire.read_request() is not None:
            if not arrived.is_set():
                arrived.set()
                await wire.stall()
            await wire.answer(200, b"hello")

    async with (
        FaultServer(answer_all_but_the_first) as server,
        AsyncResilientClient(resilience=Resilience(hedge=Hedge(after=2.0))) as client,
    ):
        task = await client.get(server.url, context=client.new_context("page"))
        await arrived.wait()
        await pass_time(2.0)
        await task
        result = await client.wait_for_request("page")

    slow, fast = result.history
    assert (slow.copy, slow.status, slow.error, slow.decision) == (0, None, None, None)
    assert slow.duration >= 2.0
    assert (fast.copy, fast.status) == (1, 200)
    assert "and a copy was faster" in result.explain()


async def test_the_time_of_an_attempt_that_was_overtaken_counts_for_the_delay() -> None:
    """Without it, the delay would shrink more and more."""
    slow: list[Wire] = []

    async def answer(wire: Wire) -> None:
        for _ in range(20):
            await wire.read_request()
            await wire.answer()
        await wire.read_request()
        slow.append(wire)
        await wire.stall()

    async def answer_at_once(wire: Wire) -> None:
        while await wire.read_request() is not None:
            await wire.answer()

    async def choose(wire: Wire) -> None:
        await (answer_at_once if slow else answer)(wire)

    async with (
        FaultServer(choose) as server,
        AsyncResilientClient(resilience=Resilience(hedge=Hedge(after="p95"))) as client,
    ):
        for _ in range(21):
            await client.request("GET", server.url)
        state = client._policies.states_at(server.url.rstrip("/"), 0.0)["hedge"]
        assert state._histogram.samples == 22
