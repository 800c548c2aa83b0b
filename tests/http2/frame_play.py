"""Plays frames on a stream in a given state, beside another request, and tells what came of it.

One connection carries the request of the stream under test, the target, and a companion that waits for
its response meanwhile. Then the frames are sent, the target's response is completed where that makes
sense, and the companion is answered.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import httpx
from frame_builders import reset_frame
from frame_server import FramePeer, FrameServer, answer_with_path
from h2_client_kit import fetch, open_client, result_of

__all__ = ["ALL_STATES", "Outcome", "Row", "State", "play"]

State: TypeAlias = Literal["waiting", "uploading", "head", "body", "ended", "reset"]
"""Of the target when the frames are sent.

waiting: its request was sent, and nothing was received. uploading: its request is being sent, and waits
for room in the window. head: the head of its response was received. body: a part of the body too.
ended: its response is complete. reset: the client has reset it.
"""

ALL_STATES: tuple[State, ...] = ("waiting", "uploading", "head", "body", "ended", "reset")

Frames: TypeAlias = Callable[[FramePeer, int], bytes]
"""Builds the frames under test for the stream with this ID."""

_UPLOAD = bytes(200_000)
"""More than the window allows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the frames.

    Attributes:
        kind: ``"fine"``: both requests succeed. ``"stream"``: the target alone fails.
            ``"resent"``: the target was sent again. ``"connection"``: both fail.
        code: the error code of the client's GOAWAY; None for any or none.
    """

    kind: str
    code: int | None = None

    def covers(self, other: "Outcome") -> bool:
        """Whether ``other`` is this outcome."""
        return self.kind == other.kind and self.code in {None, other.code}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Frames under test.

    Attributes:
        name: what they are.
        section: where RFC 9113 says what a client does with them.
        frames: builds them.
        outcomes: what may come of them in each state; a state that isn't there isn't tried.
        finishes: whether the target's response is completed afterwards.
        has_head: whether they contain the head of the response.
        method: of the target, unless it uploads.
    """

    name: str
    section: str
    frames: Frames
    outcomes: dict[State, tuple[Outcome, ...]]
    finishes: bool = True
    has_head: bool = False
    method: str = "GET"


async def play(row: Row, state: State) -> Outcome:
    """Play the frames in a state, and return what came of them."""
    async with (
        FrameServer(0, responder=_answer_further).open() as server,
        open_client(patience=2.0) as client,
    ):
        target = _start_target(client, server.url, row, state)
        peer = await server.peer()
        await peer.until(lambda: peer.streams == [1])
        companion = fetch(client, f"{server.url}companion")
        await peer.until(lambda: peer.streams == [1, 3])
        with contextlib.suppress(EOFError):
            await _reach(peer, target, state)
            await peer.send(row.frames(peer, 1))
            await _finish(peer, row, state)
            await peer.sync()
            await peer.send(peer.response(3, b"companion"))
        results = await _end(target), await result_of(companion)
        if isinstance(results[1], BaseException):
            await peer.wait_closed()
        return _outcome(results, peer, state)


def _start_target(
    client: httpx.AsyncClient, url: str, row: Row, state: State
) -> "asyncio.Task[httpx.Response]":
    if state == "uploading":
        return fetch(client, f"{url}target", "POST", _UPLOAD)
    return fetch(client, f"{url}target", row.method)


async def _reach(peer: FramePeer, target: "asyncio.Task[Any]", state: State) -> None:
    """Bring the target's stream into a state."""
    match state:
        case "uploading":
            peer.grants = False
            await peer.until(lambda: len(peer.bodies[1]) > 0)
        case "head":
            await peer.send(peer.head(1))
        case "body":
            await peer.send(peer.head(1), peer.data(1, b"part "))
        case "ended":
            await peer.send(peer.response(1, b"whole"))
            await asyncio.wait({target})
        case "reset":
            target.cancel()
            await peer.until(lambda: 1 in peer.resets)
    await peer.sync()


async def _finish(peer: FramePeer, row: Row, state: State) -> None:
    """Complete the target's response, as a server does that knows nothing of an error yet."""
    if not row.finishes or state in {"ended", "reset"}:
        return
    if state in {"waiting", "uploading"} and not row.has_head:
        await peer.send(peer.head(1))
    await peer.send(peer.data(1, b"rest", end=True))
    if state == "uploading":
        await peer.send(reset_frame(1, 0))  # it needs no more of the request


async def _end(target: "asyncio.Task[httpx.Response]") -> bytes | BaseException:
    try:
        return await result_of(target)
    except asyncio.CancelledError as error:
        return error


async def _answer_further(peer: FramePeer, stream_id: int) -> None:
    """Answer a request that was sent again, on whichever connection."""
    if peer.number > 0 or stream_id > 3:
        await answer_with_path(peer, stream_id)


def _outcome(
    results: tuple[bytes | BaseException, bytes | BaseException], peer: FramePeer, state: State
) -> Outcome:
    target, companion = results
    go_away = peer.go_aways[-1].error_code if peer.go_aways else None
    if isinstance(companion, BaseException):
        assert isinstance(companion, httpx.RemoteProtocolError), companion
        assert str(companion)
        assert state in {"ended", "reset"} or isinstance(target, httpx.RemoteProtocolError), target
        return Outcome("connection", go_away)
    assert companion == b"companion"
    if state in {"ended", "reset"}:
        return Outcome("fine", go_away)
    if isinstance(target, BaseException):
        assert isinstance(target, httpx.RemoteProtocolError), target
        return Outcome("stream")
    if target.startswith(b"/target"):
        return Outcome("resent")
    assert target == peer.sent.get(1, b""), target
    return Outcome("fine", go_away)
