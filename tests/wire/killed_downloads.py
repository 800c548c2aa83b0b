"""A program that forks downloads: each ends when its server kills it, or when its file is whole.

It imports the client once, because that takes longer than a download. It writes ``done`` when a
download has ended by itself.
"""

import asyncio
import os
import socket
import sys

from typed_async_client import AsyncPoolTransport, AsyncResilientClient


async def download(url: str, path: str) -> None:
    """Download a file; the server can see whom to kill."""
    small = AsyncPoolTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)])
    headers = {"X-Pid": str(os.getpid())}
    async with AsyncResilientClient(base_delay=0.001, transport=small, headers=headers) as client:
        await client.download(url, path)


def main(url: str, path: str) -> None:
    """Start one download after the other, until one of them ends."""
    status = -1
    while status != 0:
        child = os.fork()
        if child == 0:
            asyncio.run(download(url, path))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("done\n" if status == 0 else f"ended with {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
