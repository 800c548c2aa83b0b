"""Name resolution: a slow lookup blocks no other, and every caller gets a result."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.dns import Resolver
from typed_async_client.testing import FaultServer, answer

LOCALHOST = (socket.AF_INET, "127.0.0.1")


class NameServer:
    """Replaces ``socket.getaddrinfo``; names ending in ``.hang.test`` hang until ``release`` is set.

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
        if host.endswith(".hang.test"):
            assert self.release.wait(30)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 2

    def finish_all(self) -> None:
        """Release the hanging lookups, and wait for every lookup thread to end."""
        self.release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("lookup of "):
                thread.join(10)

    def threads(self) -> int:
        """Return the number of running lookup threads."""
        return sum(thread.name.startswith("lookup of ") for thread in threading.enumerate())


@pytest.fixture(name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    names = NameServer()
    monkeypatch.setattr("typed_async_client.net.dns.socket.getaddrinfo", names)
    yield names
    names.finish_all()


async def run_pending() -> None:
    """Run the event loop until everything that is ready has run."""
    for _ in range(10):
        await asyncio.sleep(0)


def resolve_all(resolver: Resolver, *hosts: str) -> list["asyncio.Task[Any]"]:
    """Resolve each host in a task."""
    return [asyncio.ensure_future(resolver.resolve(host)) for host in hosts]


async def test_a_hundred_hanging_lookups_do_not_block_another(names: NameServer) -> None:
    """A request to another host succeeds while they hang."""
    transport = AsyncPoolTransport(limits=httpx.Limits(max_connections=200))
    async with FaultServer(answer()) as server, httpx.AsyncClient(transport=transport) as client:
        hanging = [
            asyncio.ensure_future(client.get(f"http://{number}.hang.test/", timeout=None))
            for number in range(100)
        ]
        await run_pending()
        assert names.threads() == 100
        response = await client.get(f"http://healthy.test:{server.port}/", timeout=10)
        assert response.status_code == 200
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
        assert transport.statistics().active == 0


async def test_concurrent_callers_share_one_lookup_of_a_name(names: NameServer) -> None:
    """Ten concurrent callers make one lookup; a later caller makes another."""
    resolver = Resolver()
    tasks = resolve_all(resolver, *["a.test"] * 10)
    assert await asyncio.gather(*tasks) == [[LOCALHOST]] * 10
    assert names.lookups["a.test"] == 1
    assert await resolver.resolve("a.test") == [LOCALHOST]
    assert names.lookups["a.test"] == 2


async def test_concurrent_callers_share_a_queued_lookup_too(names: NameServer) -> None:
    """The name is queued once, and looked up once."""
    resolver = Resolver(max_lookups=1)
    hanging = resolve_all(resolver, "a.hang.test")
    waiting = resolve_all(resolver, *["b.test"] * 10)
    await run_pending()
    while not names.lookups:  # noqa: ASYNC110 - its thread has started, and may not have run yet
        await asyncio.sleep(0)
    assert names.lookups == {"a.hang.test": 1}
    names.release.set()
    await asyncio.gather(*hanging, *waiting)
    assert names.lookups == {"a.hang.test": 1, "b.test": 1}


async def test_no_more_than_the_maximum_number_of_lookups_run_at_once(names: NameServer) -> None:
    """The others are queued until one has ended, and none is lost."""
    resolver = Resolver(max_lookups=3)
    tasks = resolve_all(resolver, *(f"{number}.hang.test" for number in range(8)), "healthy.test")
    await run_pending()
    assert names.threads() == 3
    assert not any(task.done() for task in tasks)
    names.release.set()
    assert await asyncio.gather(*tasks) == [[LOCALHOST]] * 9
    assert set(names.lookups.values()) == {1}


async def test_a_cancelled_caller_affects_no_other(names: NameServer) -> None:
    """Neither callers of the same name, nor callers of other names, nor the lookup itself."""
    resolver = Resolver(max_lookups=1)
    running = resolve_all(resolver, "a.hang.test", "a.hang.test")
    queued = resolve_all(resolver, "b.test", "b.test", "c.test", "d.test")
    await run_pending()
    cancelled = [running[0], queued[0], queued[2]]
    for task in cancelled:
        task.cancel()
    await asyncio.wait(cancelled)
    names.release.set()
    assert await running[1] == [LOCALHOST]
    assert [await queued[1], await queued[3]] == [[LOCALHOST]] * 2
    assert names.lookups == {"a.hang.test": 1, "b.test": 1, "d.test": 1}


async def test_a_running_lookup_whose_caller_was_cancelled_is_still_shared(
    names: NameServer,
) -> None:
    """A caller that comes later joins it."""
    resolver = Resolver()
    (first,) = resolve_all(resolver, "a.hang.test")
    await run_pending()
    first.cancel()
    await asyncio.wait({first})
    (second,) = resolve_all(resolver, "a.hang.test")
    await run_pending()
    names.release.set()
    assert await second == [LOCALHOST]
    assert names.lookups == {"a.hang.test": 1}


async def test_every_caller_gets_the_error(names: NameServer) -> None:
    """A later caller makes another lookup: errors aren't cached."""
    resolver = Resolver()
    results = await asyncio.gather(
        *resolve_all(resolver, *["unknown.hang.test"] * 3), _release(names), return_exceptions=True
    )
    assert [type(result) for result in results[:3]] == [socket.gaierror] * 3
    assert names.lookups["unknown.hang.test"] == 1
    with pytest.raises(socket.gaierror):
        await resolver.resolve("unknown.hang.test")
    assert names.lookups["unknown.hang.test"] == 2


async def _release(names: NameServer) -> None:
    await run_pending()
    names.release.set()


async def test_an_error_without_a_caller_is_not_logged(names: NameServer) -> None:
    """The loop's exception handler is not called."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    resolver = Resolver()
    (task,) = resolve_all(resolver, "unknown.hang.test")
    await run_pending()
    task.cancel()
    await asyncio.wait({task})
    names.finish_all()
    await run_pending()
    del task  # it refers to the future with the error
    gc.collect()
    assert reported == []


async def test_a_thread_that_cannot_be_started_is_an_error(
    monkeypatch: pytest.MonkeyPatch, names: NameServer
) -> None:
    """The system may be out of threads; a later lookup can still succeed."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(max_lookups=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="can't start a thread"):
            await resolver.resolve("a.test")
    assert await resolver.resolve("a.test") == [LOCALHOST]


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("127.0.0.1", socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("fe80::1%lo", socket.AF_INET6),
        ("::ffff:127.0.0.1", socket.AF_INET6),
    ],
)
async def test_an_ip_address_is_returned_without_a_lookup(
    names: NameServer, host: str, family: socket.AddressFamily
) -> None:
    """``getaddrinfo`` isn't called."""
    assert await Resolver().resolve(host) == [(family, host)]
    assert not names.lookups


async def test_a_link_local_address_keeps_its_scope_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the address can't be connected to."""
    entry = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 2))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    assert await Resolver().resolve("printer.test") == [(socket.AF_INET6, "fe80::1%2")]


PROGRAM = """
import asyncio, socket, threading
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from typed_async_client.net.dns import Resolver

async def main():
    resolver = Resolver()
    tasks = [asyncio.ensure_future(resolver.resolve(f"{number}.hang.test")) for number in range(20)]
    await asyncio.sleep(0)
    print("done")

asyncio.run(main())
"""


def test_a_program_can_exit_while_lookups_hang() -> None:
    """The interpreter doesn't wait for the lookup threads."""
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "done\n", "")
