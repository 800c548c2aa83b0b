"""A dead HTTP/2 connection is noticed by a PING that stays unanswered."""

import asyncio
from typing import Any

import httpx
import pytest
from frame_builders import ping_frame, settings_frame
from frame_server import FramePeer, FrameServer, leave_alone
from h2_client_kit import fetch, quiet_loop
from hyperframe.frame import PingFrame
from steady_loop import advance

from typed_async_client import AsyncPoolTransport, create_async_resilient_client
from typed_async_client.testing import FaultServer, Wire


def watched_client(seconds: float | None) -> httpx.AsyncClient:
    """Return a client without timeouts that sends a PING after so many seconds of silence."""
    transport = AsyncPoolTransport(http1=False, http2=True, http2_keepalive=seconds)
    return httpx.AsyncClient(transport=transport, timeout=None)


async def turns(count: int = 60) -> None:
    """Let the loop run, for everything that is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


def pings(peer: FramePeer) -> int:
    """Return how many PINGs the client has sent, its answers not counted."""
    return sum(isinstance(one, PingFrame) and "ACK" not in one.flags for one in peer.frames)


async def say_nothing(wire: Wire) -> None:
    """Send the settings, and nothing more."""
    await wire.send(settings_frame({}))
    while await wire.read(65_536):
        pass


async def test_a_connection_that_answers_no_ping_is_closed() -> None:
    """Each request on it fails at once, although none has a timeout."""
    async with FaultServer(say_nothing) as server, watched_client(5.0) as client:
        with quiet_loop():
            tasks = [fetch(client, server.url) for _ in range(3)]
            await turns()
            advance(5.0)
            await turns()
            assert not any(task.done() for task in tasks)
            advance(5.0)
            await turns()
            for task in tasks:
                with pytest.raises(httpx.ReadError, match="answered no PING within 5 s"):
                    await task


async def test_a_connection_that_answers_each_ping_goes_on() -> None:
    """However long the response takes."""
    server = FrameServer(1, responder=leave_alone)
    async with server.open(), watched_client(5.0) as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 1)
        for count in range(1, 5):
            await turns()
            advance(5.0)
            await peer.until(lambda: pings(peer) == count)  # noqa: B023 - awaited here
            await turns()
        await peer.send(peer.response(1, b"late"))
        assert (await task).content == b"late"


async def test_a_connection_on_which_something_comes_needs_no_ping() -> None:
    """Whatever it is, for whichever request."""
    server = FrameServer(1, responder=leave_alone)
    async with server.open(), watched_client(5.0) as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 1)
        for _ in range(6):
            await peer.sync()
            advance(3.0)
            await turns()
        assert pings(peer) == 0
        await peer.send(peer.response(1, b"late"))
        assert (await task).content == b"late"


@pytest.mark.parametrize("seconds", [5.0, None])
async def test_an_idle_connection_is_left_alone(seconds: float | None) -> None:
    """Nothing is sent on it, and nothing runs for it."""
    server = FrameServer(1, responder=leave_alone)
    async with server.open(), watched_client(seconds) as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 1)
        await peer.send(peer.response(1, b"first"))
        await task
        for _ in range(4):
            advance(5.0)
            await turns()
        await peer.sync()
        assert pings(peer) == 0


async def test_a_blocked_loop_is_not_held_against_the_server() -> None:
    """What has arrived meanwhile counts, even if the clock has passed both limits."""
    server = FrameServer(1, responder=leave_alone)
    async with server.open(), watched_client(5.0) as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: len(peer.ended) == 1)
        await turns()
        advance(5.0)
        await peer.until(lambda: pings(peer) == 1)
        await peer.send(ping_frame(b"anything"))
        advance(60.0)
        await turns()
        await peer.send(peer.response(1, b"late"))
        assert (await task).content == b"late"


async def test_the_client_takes_the_option_for_its_pool() -> None:
    """As the transport does."""
    server = FrameServer(0)
    async with (
        server.open(),
        create_async_resilient_client(http1=False, http2=True, http2_keepalive=30.0) as client,
    ):
        assert (await client.request("GET", f"{server.url}path")).text == "/path"


@pytest.mark.parametrize("value", [0, -1.0, "30", True, float("nan")])
def test_a_wrong_interval_is_refused(value: Any) -> None:
    """When the transport is created."""
    with pytest.raises(ValueError, match=r"http2_keepalive must be .*, got"):
        AsyncPoolTransport(http2=True, http2_keepalive=value)
