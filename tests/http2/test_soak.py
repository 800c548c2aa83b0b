"""Thousands of requests over HTTP/2 while everything goes wrong: each ends once, with its own bytes."""

import asyncio
import dataclasses
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest
from frame_builders import (
    INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS,
    REFUSED_STREAM,
    go_away_frame,
    headers_frame,
    reset_frame,
)
from frame_server import FramePeer, FrameServer
from h2_client_kit import generated, is_idle, open_client, quiet_loop

WORKERS = 60

FAULTS = {
    "none": 700,
    "interim": 60,
    "slow": 60,
    "in parts": 60,
    "cancelled": 40,
    "reset": 20,
    "malformed": 20,
    "truncated": 20,
    "refused": 15,
    "goaway": 4,
    "last goaway": 1,
}
"""What happens to a request, and how often in a thousand."""

FAILING = {"reset", "malformed", "truncated"}
"""Faults that end a request with an error."""


def fault_of(number: int) -> str:
    """Return what happens to a request; the same in each run."""
    generator = random.Random(number)
    return generator.choices(list(FAULTS), list(FAULTS.values()))[0]


@dataclasses.dataclass(slots=True)
class FaultyServer:
    """Answers each request with its number, or with what happens to it.

    Attributes:
        highest: the last stream of each connection that was processed, which a GOAWAY must name.
        processed: how often each request was answered or failed, by its number.
    """

    highest: dict[FramePeer, int] = dataclasses.field(default_factory=dict)
    processed: Counter[int] = dataclasses.field(default_factory=Counter)
    refused: set[int] = dataclasses.field(default_factory=set)

    async def respond(self, peer: FramePeer, stream_id: int) -> None:
        """Answer one request."""
        number = int(peer.heads[stream_id][":path"][1:])
        fault = fault_of(number)
        if stream_id > peer.last_stream_id:
            return
        if fault == "refused" and number not in self.refused:
            self.refused.add(number)
            await peer.send(reset_frame(stream_id, REFUSED_STREAM))
            return
        self.processed[number] += 1
        self.highest[peer] = max(self.highest.get(peer, 0), stream_id)
        assert peer.bodies[stream_id] in {b"", str(number).encode()}
        await self._send(peer, stream_id, fault, str(number).encode())

    async def _send(self, peer: FramePeer, stream_id: int, fault: str, body: bytes) -> None:
        match fault:
            case "reset":
                await peer.send(reset_frame(stream_id, INTERNAL_ERROR))
            case "malformed":
                await peer.send(headers_frame(stream_id, peer.encode([("x-name", "1")]), end=True))
            case "truncated":
                head = peer.head(stream_id, 200, ("content-length", "1000"))
                await peer.send(head + peer.data(stream_id, body, end=True))
            case "interim":
                await peer.send(peer.head(stream_id, 103), peer.response(stream_id, body))
            case "in parts":
                await peer.send(peer.head(stream_id), peer.data(stream_id, body[:1]))
                await asyncio.sleep(0)
                await peer.send(peer.data(stream_id, body[1:], end=True))
            case "goaway":
                # a server must not name a higher stream than it has before (RFC 9113, section 6.8)
                await peer.send(go_away_frame(peer.last_stream_id), peer.response(stream_id, body))
            case "last goaway":
                peer.last_stream_id = self.highest[peer]
                await peer.send(go_away_frame(self.highest[peer]), peer.response(stream_id, body))
            case "slow":
                for _ in range(3):
                    await asyncio.sleep(0)
                await peer.send(peer.response(stream_id, body))
            case _:
                await peer.send(peer.response(stream_id, body))


@dataclasses.dataclass(slots=True)
class Soak:
    """Sends requests, and counts what they end with.

    Args:
        faulty: the server.

    Attributes:
        ends: how often each request has ended.
        failures: what went wrong.
        outcomes: how often each fault ended with each outcome.
    """

    faulty: FaultyServer
    ends: Counter[int] = dataclasses.field(default_factory=Counter)
    failures: list[str] = dataclasses.field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)

    async def run(self, client: httpx.AsyncClient, url: str, count: int) -> None:
        """Send ``count`` requests, with many at the same time."""
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                await self._send(client, url, number)

        await asyncio.gather(*(work() for _ in range(WORKERS)))

    async def _send(self, client: httpx.AsyncClient, url: str, number: int) -> None:
        fault, body = fault_of(number), str(number).encode()
        method, content = "POST" if number % 3 else "GET", (None, body, generated(body))[number % 3]
        if fault == "refused" and number % 3 == 2:
            content = body  # a generator that was refused can't be sent again
        task = asyncio.ensure_future(client.request(method, f"{url}{number}", content=content))
        if fault == "cancelled":
            for _ in range(number % 40):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait({task})
        self.ends[number] += 1
        outcome = self._outcome(task, number)
        self.outcomes[fault, outcome] += 1
        expected = {"error"} if fault in FAILING else {"answer"}
        if number % 3 == 2 and not self.faulty.processed[number]:
            expected = {"error"}  # a generator was begun behind a GOAWAY: it can't be sent again
        if outcome not in expected and fault != "cancelled":
            self.failures.append(f"{number}: {fault}, {method}: {outcome}, {task!r}")

    def _outcome(self, task: "asyncio.Task[httpx.Response]", number: int) -> str:
        if task.cancelled():
            return "cancelled"
        error = task.exception()
        if error is not None:
            return "error" if isinstance(error, httpx.RemoteProtocolError) else "other error"
        return "answer" if task.result().content == str(number).encode() else "foreign answer"


def open_descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def soak(count: int, streams: int) -> None:
    """Send requests, and check that each has ended once and that nothing is left of them."""
    faulty = FaultyServer()
    run = Soak(faulty)
    descriptors, tasks = open_descriptors(), len(asyncio.all_tasks())
    settings = {MAX_CONCURRENT_STREAMS: streams}
    server = FrameServer(0, settings, faulty.respond, keeps_frames=False)
    with quiet_loop():
        async with server.open(), open_client(httpx.Limits(max_connections=4)) as client:
            await run.run(client, server.url, count)
            assert is_idle(client)
        for _ in range(20):
            await asyncio.sleep(0)
    assert run.failures[:10] == []
    assert len(run.ends) == count
    assert set(run.ends.values()) == {1}
    assert max(faulty.processed.values()) == 1
    assert len(asyncio.all_tasks()) == tasks
    assert open_descriptors() <= descriptors


@pytest.mark.parametrize("streams", [5, 100])
async def test_a_thousand_requests_among_faults_end_once_each(streams: int) -> None:
    """With their own answer, or the error that their fault deserves."""
    await soak(1000, streams)


@pytest.mark.bulk
@pytest.mark.parametrize("streams", [20])
async def test_a_hundred_thousand_requests_among_faults_end_once_each(streams: int) -> None:
    """The same for much longer, so that what is left behind adds up."""
    await soak(100_000, streams)
