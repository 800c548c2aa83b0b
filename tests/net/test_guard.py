"""Which addresses ``refuse_private_addresses`` allows, and when the client calls it."""

import ipaddress
import socket

import httpcore
import httpx
import pytest

from typed_async_client import (
    AddressRefusedError,
    AsyncPoolTransport,
    AsyncResilientClient,
    RequestContext,
    refuse_private_addresses,
)
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.guard import Address
from typed_async_client.testing import FaultServer, answer

REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "link-local": ["169.254.0.1", "fe80::1"],
    "metadata of AWS": ["169.254.169.254", "fd00:ec2::254", "169.254.170.2", "fd00:ec2::23"],
    "metadata of Google": ["fd20:ce::254"],
    "metadata of Alibaba": [
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "::100.100.100.200",
        "64:ff9b::100.100.100.200",
        "64:ff9b:1::6464:64c8",
        "2002:6464:64c8::",
    ],
    "metadata of Oracle": ["192.0.0.192", "::ffff:192.0.0.192", "fd00:c1::a9fe:a9fe"],
    "metadata of OpenStack": ["fe80::a9fe:a9fe"],
    "metadata of Azure": [
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "::168.63.129.16",
        "::ffff:0:a83f:8110",  # translated, RFC 2765
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::a83f:8110",
        "2002:a83f:8110::1",
        "2001:0:a83f:8110::f7f7:f7f7",
    ],
    "private": ["10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "IPv4 mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"],
    "IPv4 compatible": ["::127.0.0.1", "::10.0.0.1", "::169.254.169.254"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1"],
    "Teredo": [
        "2001:0:7f00:1::f7f7:f7f7",  # the server address is 127.0.0.1
        "2001:0:808:808::80ff:fffe",  # the client address is 127.0.0.1, inverted
    ],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254"],
    "NAT64, local": ["64:ff9b:1::1", "64:ff9b:1::a00:1"],
    "unique local": ["fc00::1", "fd12:3456:789a::1"],
    "site-local": ["fec0::1"],
    "protocols": ["192.0.0.1", "192.0.0.9", "192.0.0.170", "100::1", "5f00::1", "2001:20::1"],
}

ALLOWED = {
    "IPv4": ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.128.0.0"],
    "next to Azure's": ["168.63.129.15", "168.63.129.17", "64:ff9b::168.63.129.17"],
    "IPv6": ["2606:4700:4700::1111", "2001:4860:4860::8888"],
    "IPv4 mapped": ["::ffff:8.8.8.8"],
    "NAT64": ["64:ff9b::8.8.8.8"],
}


def _cases(table: dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(text, id=f"{kind} {text}") for kind, texts in table.items() for text in texts
    ]


@pytest.mark.parametrize("text", _cases(REFUSED))
def test_an_address_that_is_not_global_is_refused(text: str) -> None:
    """So is one that embeds such an address."""
    assert refuse_private_addresses(ipaddress.ip_address(text)) is False


@pytest.mark.parametrize("text", _cases(ALLOWED))
def test_a_global_address_is_allowed(text: str) -> None:
    """Right next to the refused ranges too."""
    assert refuse_private_addresses(ipaddress.ip_address(text)) is True


# With a client and a real server


async def _error_of(host: str, server: FaultServer) -> httpx.ConnectError:
    """Return the error of a request to a host that the guard refuses.

    It must be made after one attempt, before a connection reaches the server.
    """
    transport = AsyncPoolTransport(address_guard=refuse_private_addresses)
    async with AsyncResilientClient(transport=transport, base_delay=60) as client:
        context = RequestContext(max_retries=3)
        task = await client.get(f"http://{host}:{server.port}/", context)
        with pytest.raises(httpx.ConnectError) as caught:
            await task
        result = client.get_result(context.request_id)
        assert result is not None
        assert result.attempts == 1
        statistics = transport.statistics()
    assert (statistics.active, statistics.idle, statistics.waiting) == (0, 0, 0)
    assert (server.connections, server.requests) == (0, [])
    return caught.value


def _causes(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.1",
        "127.1",
        "0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
    ],
)
async def test_no_spelling_of_loopback_reaches_a_server(host: str) -> None:
    """The guard checks the resolved address."""
    async with FaultServer(answer()) as server:
        error = await _error_of(host, server)
    assert any(isinstance(cause, AddressRefusedError) for cause in _causes(error))


async def test_the_guard_checks_the_address_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name may resolve to a different address each time (DNS rebinding)."""
    answers = iter(["8.8.8.8", "127.0.0.1"])

    def rebind(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    assert socket.getaddrinfo("rebound.test", 80)[0][4][0] == "8.8.8.8"
    async with FaultServer(answer()) as server:
        error = await _error_of("rebound.test", server)
    assert "rebound.test resolves to 127.0.0.1" in str(error)


async def test_one_refused_address_among_several_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address is suspicious; neither is connected to."""
    entries = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
        for address in ("8.8.8.8", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    async with FaultServer(answer()) as server:
        await _error_of("both.test", server)


async def test_a_redirect_to_a_refused_address_is_not_followed() -> None:
    """The guard checks every connection, also those made for a redirect."""
    checked: list[Address] = []

    def only_the_first_server(address: Address) -> bool:
        checked.append(address)
        return str(address) == "127.0.0.1"

    async with FaultServer(answer()) as inner:
        away = answer(302, b"", f"Location: http://127.0.0.2:{inner.port}/")
        transport = AsyncPoolTransport(address_guard=only_the_first_server)
        async with (
            FaultServer(away) as outer,
            AsyncResilientClient(transport=transport, follow_redirects=True) as client,
        ):
            with pytest.raises(httpx.ConnectError):
                await (await client.get(outer.url))
        assert (len(outer.requests), inner.connections) == (1, 0)
    assert [str(address) for address in checked] == ["127.0.0.1", "127.0.0.2"]


async def test_a_scope_id_does_not_hide_an_address() -> None:
    """A link-local address with a scope ID is still link-local."""
    backend = AsyncioBackend(address_guard=refuse_private_addresses)
    with pytest.raises(httpcore.ConnectError) as caught:
        await backend.connect_tcp("fe80::1%lo", 80, timeout=5)
    assert isinstance(caught.value.args[0], AddressRefusedError)


async def test_a_guard_that_allows_every_address_changes_nothing() -> None:
    """The request succeeds."""
    transport = AsyncPoolTransport(address_guard=lambda _: True)
    async with FaultServer(answer()) as server, httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(server.url)).content == b"ok"
