"""A client with an open connection, used outside its event loop, thread or process."""

import asyncio
import http.server
import os
import threading
from collections.abc import Iterator

import pytest

from typed_async_client import AsyncResilientClient, ClientBoundError


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Answers every GET, and keeps the connection open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with ``ok``."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(name="url")
def _url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


async def fetch_status(client: AsyncResilientClient, url: str) -> int:
    """Send a request and return its status code."""
    return (await (await client.get(url))).status_code


def test_an_open_connection_is_not_used_on_another_loop_or_thread(url: str) -> None:
    """Both get an error that names the owner; on its own loop, the client keeps working."""
    client = AsyncResilientClient()
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(fetch_status(client, url)) == 200
    with pytest.raises(ClientBoundError, match="belongs to <"):
        asyncio.run(fetch_status(client, url))
    errors: list[BaseException] = []

    def use_in_another_thread() -> None:
        try:
            asyncio.run(fetch_status(client, url))
        except ClientBoundError as error:
            errors.append(error)

    thread = threading.Thread(target=use_in_another_thread)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert loop.run_until_complete(fetch_status(client, url)) == 200
    loop.run_until_complete(client.close())
    loop.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires os.fork")
def test_an_open_connection_is_not_shared_with_a_forked_process(url: str) -> None:
    """The child gets an error immediately; the parent's connection is unaffected."""
    client = AsyncResilientClient()
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(fetch_status(client, url)) == 200
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(fetch_status(client, url))
        except ClientBoundError as error:
            os.write(write_end, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"belongs to process" in os.read(read_end, 1000)
    os.close(read_end)
    os.close(write_end)
    assert loop.run_until_complete(fetch_status(client, url)) == 200
    loop.run_until_complete(client.close())
    loop.close()
