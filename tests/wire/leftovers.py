"""What a test on real sockets may have left behind, and peers that are never there in time."""

import asyncio
import contextlib
import gc
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

__all__ = ["full_backlog", "leaving_nothing", "open_sockets", "other_tasks", "sockets_to"]

_DESCRIPTORS = Path("/proc/self/fd")


def open_sockets() -> set[str]:
    """Name the sockets that this process holds."""
    names = set()
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):
            names.add(str(descriptor.readlink()))
    return {name for name in names if name.startswith("socket:")}


def sockets_to(port: int) -> int:
    """Count the sockets of this process that are connected to a port."""
    found = 0
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(descriptor.stat().st_mode):
                with socket.socket(fileno=os.dup(int(descriptor.name))) as sock:
                    found += sock.family == socket.AF_INET and sock.getpeername()[1] == port
    return found


def other_tasks() -> set[asyncio.Task[object]]:
    """Give the tasks that run beside this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


@contextlib.asynccontextmanager
async def leaving_nothing() -> AsyncIterator[None]:
    """Make sure that what runs inside leaves no task and no socket behind, and warns of none."""
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
    """Hold a port whose queue of connections is full, so that a further one hangs; give the port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
