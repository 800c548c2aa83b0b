"""A client with a live connection, used where it does not belong."""

import asyncio
import http.server
import os
import threading
from collections.abc import Iterator

import pytest

from typed_async_client import AsyncResilientClient, ClientBoundError


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers every GET and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="url")
def _url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


async def use(client: AsyncResilientClient, url: str) -> int:
    """Make one request."""
    return (await (await client.get(url))).status_code


def test_a_live_connection_is_not_taken_to_another_loop_or_thread(url: str) -> None:
    """Both hear whose client it is; at home it goes on, on the connection that it had."""
    client = AsyncResilientClient()
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(use(client, url)) == 200
    with pytest.raises(ClientBoundError, match="belongs to <"):
        asyncio.run(use(client, url))
    complaints: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(use(client, url))
        except ClientBoundError as error:
            complaints.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(complaints) == 1
    assert loop.run_until_complete(use(client, url)) == 200
    loop.run_until_complete(client.close())
    loop.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_live_connection_is_not_shared_with_a_forked_process(url: str) -> None:
    """The child hears it at once; the parent's connection is untouched."""
    client = AsyncResilientClient()
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(use(client, url)) == 200
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use(client, url))
        except ClientBoundError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"belongs to process" in os.read(reading, 1000)
    os.close(reading)
    os.close(writing)
    assert loop.run_until_complete(use(client, url)) == 200
    loop.run_until_complete(client.close())
    loop.close()
