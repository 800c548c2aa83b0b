"""The end of a connection at the moment in which a request is being sent on it."""

import asyncio
import socket
import ssl
import struct

import httpx
import pytest
import trustme
from closed_bodies import error_of_reader
from frame_builders import ENHANCE_YOUR_CALM, go_away_frame, headers_frame, settings_frame
from frame_server import FrameServer
from h2_client_kit import fetch, generated, is_idle, open_client, result_of

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Wire


async def test_a_request_that_goes_elsewhere_is_not_sent_on_the_ended_connection_too() -> None:
    """The server sends no more, but still receives: it must not process what another one processes."""
    async with FrameServer(by_hand=0).open() as server, open_client() as client:
        assert (await client.get(server.url)).content == b"/"
        server.peers[0].half_close()
        assert await result_of(fetch(client, f"{server.url}late", "POST", b"!")) == b"/late!"
        await server.peers[0].wait_closed()
        assert (server.peers[0].streams, server.peers[1].streams) == ([1], [1])


async def test_a_goaway_that_disowns_a_begun_response_is_told_as_any_other_failure() -> None:
    """The server has processed the request, whatever it says: the error names the request and the server."""
    async with FrameServer().open() as server, open_client() as client:
        task = fetch(client, server.url)
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.head(1), peer.data(1, b"part"), go_away_frame(0))
        with pytest.raises(httpx.RemoteProtocolError, match=r"^GET: no complete response from 127"):
            await task


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


class BlockingServer:
    """One connection over TLS, played without an event loop, so that the client's is blocked meanwhile."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        self._context, self._listener = context, listener

    def accept(self, body: bytes) -> None:
        """Accept a connection, and receive until the body of a request has arrived."""
        accepted, _ = self._listener.accept()
        # A reset discards what waits for an acknowledgement.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = self._context.wrap_socket(accepted, server_side=True)
        self._socket.sendall(settings_frame())
        received = b""
        while body not in received:
            received += self._socket.recv(65536)

    def respond(self, stream_id: int) -> None:
        """Send an empty response, ``:status: 200`` in HPACK."""
        self._socket.sendall(headers_frame(stream_id, b"\x88", end=True))

    def respond_and_reset(self, stream_id: int) -> None:
        """Send the response and a GOAWAY at once, and reset the connection."""
        frames = headers_frame(stream_id, b"\x88", end=True) + go_away_frame(stream_id)
        self._socket.sendall(frames)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


async def test_what_has_arrived_over_tls_counts_although_the_connection_was_reset() -> None:
    """A response, and a GOAWAY that says that the other request, just being sent, wasn't processed."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    transport = AsyncPoolTransport(http2=True, verify=trust, trust_env=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        url = f"https://localhost:{listener.getsockname()[1]}/"
        async with httpx.AsyncClient(transport=transport) as client:
            first, second = (BlockingServer(listener, context) for _ in range(2))
            early = fetch(client, url, "POST", b"early")
            await asyncio.to_thread(first.accept, b"early")
            late = fetch(client, url, "POST", b"late")
            await asyncio.sleep(0)  # it sends at the end of this turn of the loop
            first.respond_and_reset(1)
            await asyncio.to_thread(second.accept, b"late")
            second.respond(1)
            assert [await result_of(early), await result_of(late)] == [b"", b""]
            second.close()
            assert is_idle(client)


async def test_a_body_that_is_closed_while_it_is_read_ends_its_reader() -> None:
    """With an error, and the connection goes on."""
    async with FrameServer(by_hand=1).open() as server, open_client() as client:
        request = client.build_request("GET", server.url)
        sending = asyncio.ensure_future(client.send(request, stream=True))
        peer = await server.peer()
        await peer.until(lambda: peer.ended == [1])
        await peer.send(peer.head(1), peer.data(1, b"part"))
        error = await error_of_reader(await sending)
        assert isinstance(error, httpx.ReadError)
        assert str(error).endswith("lost while reading the response body: the response was closed")
        other = fetch(client, f"{server.url}other")
        await peer.until(lambda: 3 in peer.ended)
        await peer.send(peer.response(3, b"/other"))
        assert await result_of(other) == b"/other"
