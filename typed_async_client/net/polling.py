"""Asks the kernel about a socket, because the event loop learns of what has arrived only in its next turn."""

import select
from typing import Any

__all__ = ["is_socket_readable"]


def is_socket_readable(sock: Any) -> bool:
    """Whether the kernel holds unread bytes or the end of the connection; never waits."""
    if sock.fileno() < 0:  # closed: asyncio reports the end of the connection one iteration later
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
