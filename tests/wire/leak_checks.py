"""Checks for leaked tasks and sockets, and a port that never accepts a connection."""

import asyncio
import contextlib
import gc
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

__all__ = ["count_sockets_to", "full_backlog", "no_leaks", "open_sockets", "other_tasks"]

_DESCRIPTORS = Path("/proc/self/fd")


def open_sockets() -> set[str]:
    """Return the names of this process's open sockets."""
    names = set()
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):
            names.add(str(descriptor.readlink()))
    return {name for name in names if name.startswith("socket:")}


def count_sockets_to(port: int) -> int:
    """Count this process's sockets that are connected to ``port``."""
    found = 0
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(descriptor.stat().st_mode):
                with socket.socket(fileno=os.dup(int(descriptor.name))) as sock:
                    found += sock.family == socket.AF_INET and sock.getpeername()[1] == port
    return found


def other_tasks() -> set[asyncio.Task[object]]:
    """Return all running tasks except the current one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


@contextlib.asynccontextmanager
async def no_leaks() -> AsyncIterator[None]:
    """Check that the body leaks no task and no socket, and causes no ResourceWarning."""
    tasks, sockets = other_tasks(), open_sockets()
    yield
    for _ in range(2000):
        if other_tasks() <= tasks and open_sockets() <= sockets:
            break
        await asyncio.sleep(0.01)
    gc.collect()
    assert other_tasks() <= tasks
    assert open_sockets() <= sockets


@contextlib.contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port whose backlog is full, so that further connections hang."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
