"""Cancels one request after 0, 1, 2... turns of the loop: ten others on its connection complete."""

import asyncio
import dataclasses
from collections.abc import Iterator
from itertools import count

import httpx
import pytest
from frame_builders import (
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_STREAM_ID,
    go_away_frame,
)
from frame_server import FramePeer, FrameServer, Responder
from h2_client_kit import fetch, is_idle, open_client, quiet_loop, result_of

COMPANIONS = 10
LARGE = bytes(100_000)
SAMPLE = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 21, 27, 34, 44, 55, 80, 120)
"""The turns that are tried in each run; the bulk run tries all."""


async def turns(number: int) -> None:
    """Run the loop for some turns."""
    for _ in range(number):
        await asyncio.sleep(0)


def path_of(peer: FramePeer, stream_id: int) -> bytes:
    """Return the path of a request."""
    return peer.heads[stream_id][":path"].encode()


async def answer_in_turns(peer: FramePeer, stream_id: int) -> None:
    """Answer in three frames, some turns apart."""
    await peer.send(peer.head(stream_id))
    await turns(2)
    await peer.send(peer.data(stream_id, path_of(peer, stream_id)[:1]))
    await turns(2)
    await peer.send(peer.data(stream_id, path_of(peer, stream_id)[1:], end=True))


async def answer_at_length(peer: FramePeer, stream_id: int) -> None:
    """Answer the target with a long body, in frames of all sizes."""
    await peer.send(peer.head(stream_id))
    if path_of(peer, stream_id) == b"/target":
        for size in (1, 100, 5000, 16_000, 16_000):
            await peer.send(peer.data(stream_id, bytes(size)))
            await turns(2)
    await peer.send(peer.data(stream_id, path_of(peer, stream_id), end=True))


async def answer_after_hints(peer: FramePeer, stream_id: int) -> None:
    """Send 103 twice before the response."""
    for _ in range(2):
        await peer.send(peer.head(stream_id, 103, ("link", "</a.css>")))
        await turns(2)
    await answer_in_turns(peer, stream_id)


async def drain_after_two(peer: FramePeer, stream_id: int) -> None:
    """Send a graceful GOAWAY with the second response, then with the last one that is served."""
    if len(peer.sent) == 1 and peer.number < 2:
        await peer.send(go_away_frame(MAX_STREAM_ID))
    await answer_in_turns(peer, stream_id)


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """What the target is doing when it is cancelled.

    Attributes:
        respond: answers the requests.
        is_warm: whether the connection is open before.
        body: of the target; empty for GET.
        settings: of the server.
        connections: that the client may have.
    """

    respond: Responder = answer_in_turns
    is_warm: bool = True
    body: bytes = b""
    settings: dict[int, int] = dataclasses.field(default_factory=dict)
    connections: int = 1


SITUATIONS = {
    "cold": Situation(is_warm=False),
    "cold, several connections": Situation(is_warm=False, connections=5),
    "warm": Situation(),
    "uploading": Situation(body=LARGE),
    "downloading": Situation(answer_at_length),
    "waiting for the window": Situation(body=LARGE[:3000], settings={INITIAL_WINDOW_SIZE: 300}),
    "uploading, cold": Situation(body=LARGE, is_warm=False),
    "waiting for a stream": Situation(settings={MAX_CONCURRENT_STREAMS: 2}),
    "waiting for a stream, with a body": Situation(
        body=LARGE[:1000], settings={MAX_CONCURRENT_STREAMS: 1}
    ),
    "after GOAWAY": Situation(drain_after_two, settings={MAX_CONCURRENT_STREAMS: 3}),
    "after GOAWAY, cold": Situation(drain_after_two, is_warm=False),
    "after GOAWAY, several connections": Situation(
        drain_after_two,
        settings={MAX_CONCURRENT_STREAMS: 3},
        connections=5,
    ),
    "after 103": Situation(answer_after_hints),
}


async def cancel_after(turn: int, situation: Situation) -> bool:
    """Cancel the target after some turns; return whether it had ended before."""
    limits = httpx.Limits(max_connections=situation.connections)
    server = FrameServer(0, situation.settings, situation.respond)
    async with server.open(), open_client(limits) as client:
        if situation.is_warm:
            assert await result_of(fetch(client, f"{server.url}warm")) == b"/warm"
        half = COMPANIONS // 2
        before = [fetch(client, f"{server.url}{number}") for number in range(half)]
        method = "POST" if situation.body else "GET"
        target = fetch(client, f"{server.url}target", method, situation.body or None)
        after = [fetch(client, f"{server.url}{number}") for number in range(half, COMPANIONS)]
        await turns(turn)
        had_ended = target.done()
        target.cancel()
        await asyncio.wait({target})
        assert target.cancelled() or target.result().content.endswith(b"/target")
        results = [await result_of(task) for task in before + after]
        assert results == [f"/{number}".encode() for number in range(COMPANIONS)]
        assert is_idle(client)
        again = [fetch(client, f"{server.url}{number}") for number in range(4)]
        assert [await result_of(task) for task in again] == [b"/0", b"/1", b"/2", b"/3"]
    return had_ended


async def sweep(situation: Situation, points: Iterator[int]) -> None:
    """Cancel at each point, until the target ends before it."""
    for turn in points:
        with quiet_loop():
            if await cancel_after(turn, situation):
                break


@pytest.mark.parametrize("name", SITUATIONS)
async def test_a_cancelled_request_costs_no_other_anything(name: str) -> None:
    """At some turns: the pool is idle afterwards, and works."""
    await sweep(SITUATIONS[name], iter(SAMPLE))


@pytest.mark.bulk
@pytest.mark.parametrize("name", SITUATIONS)
async def test_a_request_cancelled_at_any_turn_costs_no_other_anything(name: str) -> None:
    """At every turn until it ends first."""
    await sweep(SITUATIONS[name], count())
