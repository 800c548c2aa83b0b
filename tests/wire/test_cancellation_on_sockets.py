"""Cancelling and closing while real sockets are in every stage."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from fault_handlers import wait_until

from typed_async_client import (
    AsyncEvent,
    AsyncResilientClient,
    EventType,
    RequestContext,
    ResultStatus,
)
from typed_async_client.testing import FaultServer, Wire, answer, half_body, stall

pytestmark = pytest.mark.usefixtures("http11")


async def headers_then_silence(wire: Wire) -> None:
    """Answer with a head and a part of the body, then stall."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
    await wire.stall()


class Stages:
    """One server for each stage in which a request can be when something stops it."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self.servers: dict[str, FaultServer] = {}
        self.urls: dict[str, str] = {}

    async def open(self) -> None:
        """Start the servers."""
        self.servers = {
            "back-off": await self._serve(answer(), refusing=True),
            "handshake": await self._serve(stall),
            "read head": await self._serve(stall),
            "read body": await self._serve(headers_then_silence),
        }
        self.urls = {stage: server.url for stage, server in self.servers.items()}
        self.urls["handshake"] = self.urls["handshake"].replace("http:", "https:")

    async def until_reached(self, stage: str, client: AsyncResilientClient) -> None:
        """Wait until the only request of a client is in a stage."""
        server = self.servers[stage]
        retries: list[AsyncEvent] = []
        client.add_event_callback(EventType.RETRY, retries.append)
        if stage == "back-off":
            await wait_until(lambda: bool(retries))
        elif stage == "handshake":
            await wait_until(lambda: server.connections == 1)
        else:
            await wait_until(lambda: bool(server.requests))
        for _ in range(20):  # the client reads what the server has sent
            await asyncio.sleep(0)

    async def _serve(self, handler: object, *, refusing: bool = False) -> FaultServer:
        server = FaultServer(handler, refusing=refusing)  # type: ignore[arg-type]  # a handler
        return await self._stack.enter_async_context(server)


@pytest.fixture(name="stages")
async def _stages(no_leaks: None) -> AsyncIterator[Stages]:
    async with contextlib.AsyncExitStack() as stack:
        stages = Stages(stack)
        await stages.open()
        yield stages


def count_ends(client: AsyncResilientClient) -> Counter[str]:
    """Count the terminal events of each request from now on."""
    ends: Counter[str] = Counter()

    def see(event: AsyncEvent) -> None:
        ends[event.context.request_id] += 1

    for kind in EventType:
        if kind.is_terminal:
            client.add_event_callback(kind, see)
    return ends


@pytest.mark.parametrize("stage", ["back-off", "handshake", "read head", "read body"])
async def test_a_request_cancelled_in_any_stage_has_one_end(stages: Stages, stage: str) -> None:
    """One CANCELLED event, one result; the task raises at once."""
    async with AsyncResilientClient() as client:
        ends = count_ends(client)
        context = RequestContext(request_id="r", base_delay=60)
        task = await client.get(stages.urls[stage], context)
        await stages.until_reached(stage, client)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (ResultStatus.CANCELLED, 1)
        await client.wait_for_all_requests()
        assert ends == {"r": 1}


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
async def test_a_request_cancelled_after_any_turn_has_one_end(stages: Stages, turns: int) -> None:
    """From before the first step to somewhere in the exchange, on real sockets."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        ends = count_ends(client)
        task = await client.get(server.url, RequestContext(request_id="r"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await client.wait_for_all_requests()
        assert ends == {"r": 1}
        assert client.results_count == 1


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 200])
async def test_closing_with_a_hundred_requests_in_every_stage_leaves_nothing(
    stages: Stages, turns: int
) -> None:
    """A hundred terminal events and results; no warning, no task, no socket left."""
    client = AsyncResilientClient(base_delay=60)
    ends = count_ends(client)
    names = [f"{stage} {number}" for number in range(25) for stage in stages.urls]
    for name in names:
        stage = name.rsplit(" ", 1)[0]
        await client.get(stages.urls[stage], RequestContext(request_id=name, base_delay=60))
    for _ in range(turns):
        await asyncio.sleep(0)
    await client.close()
    assert ends == dict.fromkeys(names, 1)
    statuses = {result.status for result in client.get_all_results().values()}
    assert statuses == {ResultStatus.CANCELLED}
    assert client.active_tasks_count == 0


async def test_closing_after_every_kind_of_end_leaves_nothing(no_leaks: None) -> None:
    """Answers, failures and kept-alive connections are all put away."""
    handlers = [answer(), answer(503), half_body, answer(200, b"x" * 100_000)]
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultServer(handler)) for handler in handlers]
        async with AsyncResilientClient() as client:
            for number in range(40):
                await client.get(servers[number % 4].url)
            results = await client.wait_for_all_requests()
        assert Counter(result.status for result in results.values()) == {
            ResultStatus.SUCCESS: 30,
            ResultStatus.ERROR: 10,
        }
