"""The fastest server that stands in for a service: one canned answer for each request.

Run as a program, it prints the port that it listens on at 127.0.0.1 and serves until it is ended.
"""

import asyncio
import contextlib
from typing import cast

BODY = b'{"id": 1, "name": "Ada", "tags": ["a", "b", "c"]}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
)


class Answering(asyncio.Protocol):
    """Answers each request head; requests with bodies are none of its business."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer as many requests as have come whole."""
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        if heads:
            self._transport.write(ANSWER * len(heads))


async def serve() -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        try:
            import uvloop
        except ImportError:
            asyncio.run(serve())
        else:
            uvloop.run(serve())
