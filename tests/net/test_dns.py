"""Names to addresses: none that hangs holds up another, and everybody gets an answer."""

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
from typed_async_client.net.dns import Lookup
from typed_async_client.testing import FaultServer, answer

HERE = (socket.AF_INET, "127.0.0.1")


class NameServer:
    """Answers for ``socket.getaddrinfo``; names that end in ``.hang.test`` hang until ``release``.

    Attributes:
        asked: how often each name was asked for.
        release: lets what hangs go on.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()

    def __call__(self, host: str, port: object, **_: object) -> list[Any]:
        """Answer."""
        self.asked[host] += 1
        if host.endswith(".hang.test"):
            assert self.release.wait(30)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 2

    def end_all(self) -> None:
        """Let what hangs go on, and wait for all lookups to end."""
        self.release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("lookup of "):
                thread.join(10)

    def threads(self) -> int:
        """Count the lookups that run."""
        return sum(thread.name.startswith("lookup of ") for thread in threading.enumerate())


@pytest.fixture(name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    names = NameServer()
    monkeypatch.setattr("typed_async_client.net.dns.socket.getaddrinfo", names)
    yield names
    names.end_all()


async def turn() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def asking(lookup: Lookup, *hosts: str) -> list["asyncio.Task[Any]"]:
    """Ask for names, each in a task."""
    return [asyncio.ensure_future(lookup.resolve(host)) for host in hosts]


async def test_a_hundred_hanging_names_starve_no_healthy_one(names: NameServer) -> None:
    """A request to a name that resolves is answered while they hang."""
    transport = AsyncPoolTransport(limits=httpx.Limits(max_connections=200))
    async with FaultServer(answer()) as server, httpx.AsyncClient(transport=transport) as client:
        hanging = [
            asyncio.ensure_future(client.get(f"http://{number}.hang.test/", timeout=None))
            for number in range(100)
        ]
        await turn()
        assert names.threads() == 100
        response = await client.get(f"http://healthy.test:{server.port}/", timeout=10)
        assert response.status_code == 200
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
        assert transport.statistics().active == 0


async def test_those_who_ask_for_the_same_name_share_one_answer(names: NameServer) -> None:
    """One lookup for ten who ask at once; a later one asks anew."""
    lookup = Lookup()
    tasks = asking(lookup, *["a.test"] * 10)
    assert await asyncio.gather(*tasks) == [[HERE]] * 10
    assert names.asked["a.test"] == 1
    assert await lookup.resolve("a.test") == [HERE]
    assert names.asked["a.test"] == 2


async def test_they_share_it_even_when_it_must_wait_for_its_turn(names: NameServer) -> None:
    """A queue does not make many lookups of one."""
    lookup = Lookup(max_lookups=1)
    hanging = asking(lookup, "a.hang.test")
    waiting = asking(lookup, *["b.test"] * 10)
    await turn()
    assert names.asked == {"a.hang.test": 1}
    names.release.set()
    await asyncio.gather(*hanging, *waiting)
    assert names.asked == {"a.hang.test": 1, "b.test": 1}


async def test_no_more_lookups_run_at_once_than_allowed(names: NameServer) -> None:
    """One more waits until one has ended, and is not forgotten."""
    lookup = Lookup(max_lookups=3)
    tasks = asking(lookup, *(f"{number}.hang.test" for number in range(8)), "healthy.test")
    await turn()
    assert names.threads() == 3
    assert not any(task.done() for task in tasks)
    names.release.set()
    assert await asyncio.gather(*tasks) == [[HERE]] * 9
    assert set(names.asked.values()) == {1}


async def test_who_goes_away_breaks_nobody(names: NameServer) -> None:
    """Not those who ask for the same name, not those who wait for another, not the lookup."""
    lookup = Lookup(max_lookups=1)
    running = asking(lookup, "a.hang.test", "a.hang.test")
    queued = asking(lookup, "b.test", "b.test", "c.test", "d.test")
    await turn()
    gone = [running[0], queued[0], queued[2]]
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    names.release.set()
    assert await running[1] == [HERE]
    assert [await queued[1], await queued[3]] == [[HERE]] * 2
    assert names.asked == {"a.hang.test": 1, "b.test": 1, "d.test": 1}


async def test_a_name_that_nobody_waits_for_any_more_is_still_shared(names: NameServer) -> None:
    """Who asks while its lookup hangs joins it, although the first one has gone away."""
    lookup = Lookup()
    (first,) = asking(lookup, "a.hang.test")
    await turn()
    first.cancel()
    await asyncio.wait({first})
    (second,) = asking(lookup, "a.hang.test")
    await turn()
    names.release.set()
    assert await second == [HERE]
    assert names.asked == {"a.hang.test": 1}


async def test_everybody_who_asked_is_told_the_error(names: NameServer) -> None:
    """And the next one asks anew: an error is not kept."""
    lookup = Lookup()
    results = await asyncio.gather(
        *asking(lookup, *["unknown.hang.test"] * 3), _release(names), return_exceptions=True
    )
    assert [type(result) for result in results[:3]] == [socket.gaierror] * 3
    assert names.asked["unknown.hang.test"] == 1
    with pytest.raises(socket.gaierror):
        await lookup.resolve("unknown.hang.test")
    assert names.asked["unknown.hang.test"] == 2


async def _release(names: NameServer) -> None:
    await turn()
    names.release.set()


async def test_an_error_that_nobody_waits_for_makes_no_noise(names: NameServer) -> None:
    """The loop's exception handler is not called."""
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    lookup = Lookup()
    (task,) = asking(lookup, "unknown.hang.test")
    await turn()
    task.cancel()
    await asyncio.wait({task})
    names.end_all()
    await turn()
    del task  # it knows what it waited for
    gc.collect()
    assert noise == []


async def test_a_lookup_without_a_thread_is_an_error_and_no_end(
    monkeypatch: pytest.MonkeyPatch, names: NameServer
) -> None:
    """The system may have no more threads to give; a later lookup may have one."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lookup = Lookup(max_lookups=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="no thread"):
            await lookup.resolve("a.test")
    assert await lookup.resolve("a.test") == [HERE]


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("127.0.0.1", socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("fe80::1%lo", socket.AF_INET6),
        ("::ffff:127.0.0.1", socket.AF_INET6),
    ],
)
async def test_an_address_is_its_own_answer(
    names: NameServer, host: str, family: socket.AddressFamily
) -> None:
    """Nobody is asked."""
    assert await Lookup().resolve(host) == [(family, host)]
    assert not names.asked


async def test_a_link_local_address_keeps_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the address leads nowhere."""
    entry = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 2))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    assert await Lookup().resolve("printer.test") == [(socket.AF_INET6, "fe80::1%2")]


PROGRAM = """
import asyncio, socket, threading
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from typed_async_client.net.dns import Lookup

async def main():
    lookup = Lookup()
    tasks = [asyncio.ensure_future(lookup.resolve(f"{number}.hang.test")) for number in range(20)]
    await asyncio.sleep(0)
    print("done")

asyncio.run(main())
"""


def test_a_program_ends_although_lookups_hang() -> None:
    """Nobody waits for the threads at the end."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
