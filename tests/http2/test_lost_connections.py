"""The end of a connection at the moment in which a request is being sent on it."""

import asyncio

import httpx
import pytest
from frame_builders import ENHANCE_YOUR_CALM, go_away_frame, settings_frame
from frame_server import FrameServer
from h2_client_kit import fetch, generated, open_client, result_of

from typed_async_client.testing import FaultServer, Wire


async def test_a_request_that_goes_elsewhere_is_not_sent_on_the_ended_connection_too() -> None:
    """The server sends no more, but still receives: it must not process what another one processes."""
    async with FrameServer(by_hand=0).open() as server, open_client() as client:
        assert (await client.get(server.url)).content == b"/"
        server.peers[0].half_close()
        assert await result_of(fetch(client, f"{server.url}late", "POST", b"!")) == b"/late!"
        await server.peers[0].wait_closed()
        assert (server.peers[0].streams, server.peers[1].streams) == ([1], [1])


async def test_a_generator_is_not_begun_on_a_connection_that_is_lost() -> None:
    """It can't be read twice, and nothing was sent: it goes elsewhere untouched."""
    async with FrameServer(by_hand=0).open() as server, open_client() as client:
        first = await client.get(server.url)
        late = fetch(client, f"{server.url}late", "POST", generated(b"bo", b"dy"))
        first.extensions["network_stream"].transport.abort()
        assert await result_of(late) == b"/latebody"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (settings_frame() + go_away_frame(0, ENHANCE_YOUR_CALM), "11 (ENHANCE_YOUR_CALM)"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP/1.1"),
    ],
    ids=["GOAWAY", "HTTP/1.1"],
)
async def test_a_server_that_refuses_at_once_is_not_asked_again(answer: bytes, reason: str) -> None:
    """Before the first request: the error tells why, and no further connection is opened."""
    refused = asyncio.Event()

    async def refuse(wire: Wire) -> None:
        await wire.send(answer)
        refused.set()
        await wire.stall()

    async def trace(name: str, _: object) -> None:
        if name == "connection.connect_tcp.complete":
            await refused.wait()
            for _ in range(10):
                await asyncio.sleep(0)  # the loop receives

    async with FaultServer(refuse) as server, open_client() as client:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await client.get(server.url, extensions={"trace": trace})
        assert reason in str(caught.value)
        assert server.connections == 1


async def test_a_request_that_is_cancelled_before_its_turn_leaves_no_timer() -> None:
    """A timer would stay for as long as the read timeout."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    async def stay_silent(wire: Wire) -> None:
        await wire.read(65536)
        begun.set()
        await wire.stall()

    async with FaultServer(stay_silent) as server, open_client(patience=1000) as client:
        tasks = [fetch(client, server.url) for _ in range(2)]
        await begun.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    timers = [timer for timer in vars(loop)["_scheduled"] if not timer.cancelled()]
    assert not [timer for timer in timers if timer.when() > loop.time() + 100]
