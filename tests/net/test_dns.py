"""Name resolution: what needs no lookup, and what clients and callers see of the lookups."""

import asyncio
import socket
import subprocess
import sys

import httpcore
import httpx
import pytest
from name_server import LOCALHOST, NameServer, names, new_lookups, resolve_all, run_pending
from steady_loop import advance

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.dns import Resolution
from typed_async_client.testing import FaultServer, answer

__all__ = ["names"]


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


@pytest.mark.parametrize("name", ["h{}.dead-hang.test", "hang-{}.test", "hang-{}.some.test"])
async def test_hosts_are_reached_while_two_hundred_names_of_three_clients_hang(
    names: NameServer, name: str
) -> None:
    """Healthy names get a thread, of the process's 256, after all those that came before."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient() as first,
        AsyncResilientClient() as second,
        AsyncResilientClient() as third,
    ):
        for number in range(200):
            client = (first, second, third)[number % 3]
            await client.get(f"http://{name.format(number)}/", timeout=None)
        await run_pending()
        assert 128 <= names.threads() <= 200
        tasks = [
            await client.get(f"http://ok{number}.test:{server.port}/", timeout=20)
            for number in range(20)
            for client in (first, second, third)
        ]
        assert {response.status_code for response in await asyncio.gather(*tasks)} == {200}
        assert names.threads() <= 256


async def test_one_client_resolves_what_another_has_asked_for(names: NameServer) -> None:
    """Both wait for the same lookup."""
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient() as first,
        AsyncResilientClient() as second,
    ):
        url = f"http://a.hang.test:{server.port}/"
        tasks = [await client.get(url) for client in (first, second, first)]
        await run_pending()
        names.release.set()
        assert [(await task).status_code for task in tasks] == [200] * 3
    assert names.lookups["a.hang.test"] == 1


async def test_a_name_without_a_thread_is_reported_as_such(names: NameServer) -> None:
    """The message says what the threads were used for."""
    lookups = new_lookups(usual=3, most=3, reserved=0, hangs_after=60)
    hanging = resolve_all(lookups, "a.hang.test", "b.hang.test", "c.hang.test")
    resolution = Resolution("waiting.test", lookups=lookups)
    waiting = asyncio.ensure_future(resolution.addresses())
    await run_pending()
    assert resolution.describe() == "resolving waiting.test"
    waiting.cancel()
    await asyncio.wait({waiting})
    assert resolution.describe() == (
        "waiting to resolve waiting.test: 3 other lookups are running, 0 of which hang"
    )
    names.release.set()
    await asyncio.gather(*hanging)


async def test_a_lookup_that_hangs_times_out_and_says_so(names: NameServer) -> None:
    """The connect timeout includes name resolution."""
    connecting = asyncio.ensure_future(AsyncioBackend().connect_tcp("a.hang.test", 80, timeout=5))
    await run_pending()
    advance(5)
    with pytest.raises(httpcore.ConnectTimeout, match=r"timed out while resolving a\.hang\.test"):
        await connecting
    assert names.lookups == {"a.hang.test": 1}


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
    assert await Resolution(host).addresses() == [(family, host)]
    assert not names.lookups


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
async def test_localhost_is_loopback_without_a_lookup(names: NameServer, host: str) -> None:
    """RFC 6761 section 6.3 allows it; a server may listen on either address."""
    assert await Resolution(host).addresses() == [LOCALHOST, (socket.AF_INET6, "::1")]
    assert not names.lookups


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
async def test_an_old_notation_of_an_address_needs_no_thread(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The system parses it, and asks nobody."""
    monkeypatch.delattr("threading.Thread.start")
    assert await Resolution(host).addresses() == [LOCALHOST]


@pytest.mark.parametrize("host", ["host.1", "1.2.3.4.5", "0xhang"])
async def test_a_name_that_ends_in_a_number_is_looked_up(names: NameServer, host: str) -> None:
    """If the system can't parse it as an address."""
    real = socket.getaddrinfo
    flags: list[int] = []

    def look_up(name: str, port: None, **options: int) -> object:
        flags.append(options["flags"])
        if options["flags"]:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        return real(name, port, **options)

    names.release.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        assert await Resolution(host).addresses() == [LOCALHOST]
    assert flags == ([0] if host == "0xhang" else [socket.AI_NUMERICHOST, 0])


async def test_a_link_local_address_keeps_its_scope_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the address can't be connected to."""
    entry = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 2))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    assert await Resolution("printer.test").addresses() == [(socket.AF_INET6, "fe80::1%2")]


PROGRAM = """
import asyncio, socket, threading
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from typed_async_client.net.dns import Resolution

async def main():
    tasks = [asyncio.ensure_future(Resolution(f"{n}.hang.test").addresses()) for n in range(300)]
    await asyncio.sleep(0)
    print("done")

asyncio.run(main())
"""


def test_a_program_can_exit_while_lookups_hang() -> None:
    """The interpreter waits neither for the lookups nor for those that are queued."""
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "done\n", "")
