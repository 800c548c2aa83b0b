"""The end of a connection at the moment in which a request is being sent on it."""

from frame_server import FrameServer
from h2_client_kit import fetch, open_client, result_of


async def test_a_request_that_goes_elsewhere_is_not_sent_on_the_ended_connection_too() -> None:
    """The server sends no more, but still receives: it must not process what another one processes."""
    async with FrameServer(by_hand=0).open() as server, open_client() as client:
        assert (await client.get(server.url)).content == b"/"
        server.peers[0].half_close()
        assert await result_of(fetch(client, f"{server.url}late", "POST", b"!")) == b"/late!"
        await server.peers[0].wait_closed()
        assert (server.peers[0].streams, server.peers[1].streams) == ([1], [1])
