"""Random sequences of frames, valid and not, against a model of what may come of each request."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import get_args

import httpx
import pytest
from frame_builders import (
    CANCEL,
    MAX_CONCURRENT_STREAMS,
    MAX_STREAM_ID,
    REFUSED_STREAM,
    continuation_frame,
    go_away_frame,
    headers_frame,
    ping_frame,
    priority_frame,
    raw_frame,
    reset_frame,
    settings_frame,
    window_frame,
)
from frame_model import Action, ActionKind, Expected, SequenceModel
from frame_server import FramePeer, FrameServer, answer_with_path
from h2_client_kit import fetch, open_client, quiet_loop, result_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from steady_loop import SteadyLoop

OK = (":status", "200")
Result = bytes | httpx.TransportError | None

VALID: tuple[ActionKind, ...] = ("head", "head with length", "interim", "data", "end", "trailers")


def actions_of(*kinds: ActionKind) -> st.SearchStrategy[Action]:
    """Generate actions of some kinds."""
    return st.builds(Action, st.sampled_from(kinds), st.integers(0, 3), st.integers(0, 6))


SEQUENCES = st.lists(
    actions_of(*VALID) | actions_of(*get_args(ActionKind)), min_size=1, max_size=24
)


FRAMES: dict[ActionKind, Callable[[FramePeer, int, int], bytes]] = {
    "head": lambda peer, stream, _: peer.head(stream),
    "head with length": lambda peer, stream, size: peer.head(
        stream, 200, ("content-length", str(size))
    ),
    "bad head": lambda peer, stream, _: headers_frame(stream, peer.encode([OK, ("Bad", "1")])),
    "interim": lambda peer, stream, _: peer.head(stream, 103),
    "data": lambda peer, stream, size: peer.data(stream, str(stream // 2).encode() * size),
    "end": lambda peer, stream, _: peer.data(stream, b"", end=True),
    "trailers": lambda peer, stream, _: headers_frame(
        stream, peer.encode([("x-end", "1")]), end=True
    ),
    "reset": lambda _, stream, size: reset_frame(stream, CANCEL),
    "refuse": lambda _, stream, size: reset_frame(stream, REFUSED_STREAM),
    "window": lambda _, stream, size: window_frame(stream, size + 1),
    "window of 0": lambda _, stream, size: window_frame(stream, 0),
    "priority": lambda _, stream, size: priority_frame(stream),
    "unknown": lambda _, stream, size: raw_frame(0x42, 0, stream, b"x"),
    "ping": lambda *_: ping_frame(),
    "settings": lambda _, stream, size: settings_frame({MAX_CONCURRENT_STREAMS: 10 + size}),
    "bad ping": lambda _, stream, size: raw_frame(6, 0, stream, bytes(8)),
    "continuation": lambda _, stream, size: continuation_frame(stream),
    "drain": lambda *_: go_away_frame(MAX_STREAM_ID),
    "go away": lambda _, stream, size: go_away_frame(stream),
}
"""Builds the frame of an action for a stream, with a size; request 0 is on stream 1, and so on."""


async def _answer_again(peer: FramePeer, stream_id: int) -> None:
    """Answer requests that were sent again, on whichever connection."""
    if peer.number > 0 or stream_id > 7:
        await answer_with_path(peer, stream_id)


async def play(
    actions: Sequence[Action], count: int, *, at_once: bool
) -> tuple[list[Result], SequenceModel]:
    """Send the frames to a client with some open requests; return what came of each."""
    model = SequenceModel(count)
    server = FrameServer(0, responder=_answer_again)
    async with server.open(), open_client(patience=5.0) as client:
        tasks = []
        for number in range(count):
            tasks.append(fetch(client, f"{server.url}again{number}"))
            peer = await server.peer()
            await peer.until(functools.partial(_has_arrived, peer, number))
        frames = b""
        for action in actions:
            if action.number >= count or not model.is_open:
                continue
            model.apply(action)
            if action.kind == "cancel":
                tasks[action.number].cancel()
            else:
                frames += FRAMES[action.kind](peer, 2 * action.number + 1, action.size)
            if not at_once:
                await peer.send(frames[:-3])
                await asyncio.sleep(0)
                await peer.send(frames[-3:])
                frames = b""
        await peer.send(frames)
        if not peer.closed:
            peer.half_close()
        return [await _result(task) for task in tasks], model


def _has_arrived(peer: FramePeer, number: int) -> bool:
    return len(peer.ended) > number


async def _result(task: "asyncio.Task[httpx.Response]") -> Result:
    try:
        return await result_of(task)
    except asyncio.CancelledError:
        return None


def is_allowed(result: Result, expected: Expected, number: int) -> bool:
    """Whether the model allows what came of a request."""
    if result is None:
        return expected.may_be_cancelled
    if isinstance(result, httpx.TransportError):
        return expected.may_fail and not isinstance(result, httpx.TimeoutException)
    if result == f"/again{number}".encode():
        return expected.may_go_elsewhere
    return expected.body is not None and result == str(number).encode() * expected.body


def check(actions: Sequence[Action], count: int, *, at_once: bool) -> None:
    """Play a sequence, and compare what came of it with the model."""

    async def main() -> tuple[list[Result], SequenceModel]:
        with quiet_loop():
            return await play(actions, count, at_once=at_once)

    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        results, model = runner.run(main())
    for number, result in enumerate(results):
        expected = model.expected(number)
        assert is_allowed(result, expected, number), (number, result, expected)


FIXED = settings(
    max_examples=120, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@FIXED
@given(actions=SEQUENCES, count=st.integers(1, 4), at_once=st.booleans())
@example(
    actions=[Action("head", 0, 0), Action("data", 0, 5), Action("end", 0, 0)], count=2, at_once=True
)
@example(
    actions=[Action("head with length", 1, 3), Action("data", 1, 4), Action("head", 0, 0)],
    count=2,
    at_once=True,
)
@example(
    actions=[
        Action("head", 0, 0),
        Action("head with length", 1, 1),
        Action("end", 1, 0),
        Action("head", 1, 0),
        Action("end", 0, 0),
    ],
    count=2,
    at_once=False,
)
@example(
    actions=[Action("go away", 0, 0), Action("head", 0, 0), Action("end", 0, 0)],
    count=4,
    at_once=False,
)
def test_each_request_ends_with_its_own_bytes_or_an_error(
    *, actions: list[Action], count: int, at_once: bool
) -> None:
    """Whatever the server sends, nobody hangs, and nobody gets the bytes of another stream."""
    check(actions, count, at_once=at_once)


@pytest.mark.bulk
@settings(FIXED, max_examples=1000)
@given(actions=SEQUENCES, count=st.integers(1, 4), at_once=st.booleans())
def test_each_request_of_thousands_ends_with_its_own_bytes_or_an_error(
    *, actions: list[Action], count: int, at_once: bool
) -> None:
    """The same, with more examples."""
    check(actions, count, at_once=at_once)
