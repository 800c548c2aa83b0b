"""Whether the kernel holds something to read, which the event loop hasn't noticed yet."""

import asyncio
import select
from typing import Any

import httpcore

__all__ = ["is_socket_readable", "let_arrive"]


def is_socket_readable(sock: Any) -> bool:
    """Whether the kernel holds unread bytes or the end of the connection; never waits."""
    if sock.fileno() < 0:  # closed: asyncio reports the end of the connection one iteration later
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


async def let_arrive(stream: httpcore.AsyncNetworkStream) -> None:
    """Let the event loop read what TLS data has arrived: it is lost if a write fails."""
    tls, sock = stream.get_extra_info("ssl_object"), stream.get_extra_info("socket")
    if tls is not None and sock is not None and is_socket_readable(sock):
        for _ in range(2):  # the loop reads after the first, and this task runs before that
            await asyncio.sleep(0)
