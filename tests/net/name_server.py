"""A replacement for ``socket.getaddrinfo`` whose lookups hang or fail as their names say."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from typed_async_client.net.dns import HostAddress, Resolution, look_up
from typed_async_client.net.lookup_queue import LookupLimits
from typed_async_client.net.lookups import Lookups

__all__ = ["LOCALHOST", "NameServer", "names", "new_lookups", "resolve_all", "run_pending"]

LOCALHOST = (socket.AF_INET, "127.0.0.1")


class NameServer:
    """Replaces ``socket.getaddrinfo``; names that contain ``hang`` hang until they are released.

    Attributes:
        lookups: how often each name was looked up.
        release: lets the hanging lookups continue.
    """

    def __init__(self) -> None:
        self.lookups: Counter[str] = Counter()
        self.release = threading.Event()

    def __call__(self, host: str, port: object, **_: object) -> list[Any]:
        """Resolve a name to 127.0.0.1, unless it starts with ``unknown``."""
        self.lookups[host] += 1
        if "hang" in host:
            assert self.release.wait(30)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 2

    def finish_all(self) -> None:
        """Release the hanging lookups, and wait for every lookup thread to end."""
        self.release.set()
        while threads := _threads():
            for thread in threads:
                thread.join(10)

    def threads(self) -> int:
        """Return the number of running lookup threads."""
        return len(_threads())


def _threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("lookup of ")]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """Install a name server, and end its lookups with the test."""
    server = NameServer()
    monkeypatch.setattr("typed_async_client.net.dns.socket.getaddrinfo", server)
    yield server
    server.finish_all()


def new_lookups(**limits: Any) -> Lookups[list[HostAddress]]:
    """Return lookups with limits of their own, which nothing else in the process uses."""
    return Lookups(look_up, limits=LookupLimits(**limits))


def resolve_all(
    lookups: Lookups[list[HostAddress]] | None, *hosts: str
) -> list["asyncio.Task[list[HostAddress]]"]:
    """Resolve each host in a task."""
    return [asyncio.ensure_future(Resolution(host, lookups=lookups).addresses()) for host in hosts]


async def run_pending() -> None:
    """Run the event loop until everything that is ready has run."""
    for _ in range(10):
        await asyncio.sleep(0)
