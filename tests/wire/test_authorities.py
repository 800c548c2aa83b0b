"""How hosts are written on the wire: in Host, in the targets of proxies, and in TLS."""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trustme
from fake_dns import resolve_to
from proxy_handlers import Socks5Proxy, forward_proxy

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("no_leaks")

BOTH_PARSERS = pytest.mark.usefixtures("http11")


@functools.cache
def authority() -> trustme.CA:
    """Return the issuer of the certificates."""
    return trustme.CA()


def trusting() -> ssl.SSLContext:
    """Return a client's context that trusts it."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


class Server:
    """A server on ``::1`` or 127.0.0.1 that records the heads of its requests.

    Attributes:
        port: its port.
        hosts: the Host of each request.
        names: the server name (SNI) of each TLS handshake.
    """

    def __init__(self, *certified: str) -> None:
        self.port = 0
        self.hosts: list[str] = []
        self.names: list[str | None] = []
        self._tls = self._context(certified) if certified else None

    @contextlib.asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator["Server"]:
        """Accept connections."""
        server = await asyncio.start_server(self._serve, address, 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    def _context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority().issue_cert(*names).configure_cert(context)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                self.hosts += [
                    line[6:] for line in head.split("\r\n") if line.lower().startswith("host: ")
                ]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


async def get(url: str, **options: Any) -> httpx.Response:
    """Send a request with our client."""
    async with AsyncResilientClient(timeout=20, **options) as client:
        return await client.request("GET", url)


# Without a proxy


@BOTH_PARSERS
async def test_an_ipv6_address_stays_in_brackets() -> None:
    """In the Host of our client, and of an httpx client on our transport."""
    async with Server().listening("::1") as server:
        url = f"http://[::1]:{server.port}/"
        assert (await get(url)).status_code == 200
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            await client.get(url)
        assert server.hosts == [f"[::1]:{server.port}"] * 2


async def test_an_ipv6_address_is_verified_in_a_certificate() -> None:
    """Without brackets."""
    async with Server("::1").listening("::1") as server:
        await get(f"https://[::1]:{server.port}/", verify=trusting())
        assert server.hosts == [f"[::1]:{server.port}"]


@BOTH_PARSERS
@pytest.mark.parametrize("url", ["http://[fe80::1%25lo]:{}/", "http://[fe80::1%lo]:{}/"])
async def test_the_zone_of_an_address_stays_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The system gets it, decoded; the server must not, RFC 6874 section 4."""
    real, asked = socket.getaddrinfo, []

    def look_up(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return real("::1" if host == "fe80::1%lo" else host, *args, **options)

    async with Server().listening("::1") as server:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        await get(url.format(server.port))
        assert server.hosts == [f"[fe80::1]:{server.port}"]
    assert set(asked) == {"fe80::1%lo"}


async def test_the_zone_of_an_address_is_no_part_of_its_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address is."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *args, **kw: real("::1", *args, **kw))
    async with Server("fe80::1").listening("::1") as server:
        await get(f"https://[fe80::1%25lo]:{server.port}/", verify=trusting())
        assert server.hosts == [f"[fe80::1]:{server.port}"]


@BOTH_PARSERS
async def test_a_host_that_was_set_by_hand_is_sent_as_it_is() -> None:
    """Whatever the URL contains."""
    async with Server().listening("::1") as server:
        transport = AsyncPoolTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(f"http://[::1]:{server.port}/", headers={"Host": "a.test"})
        assert server.hosts == ["a.test"]


@pytest.mark.parametrize("http2", [False, True])
async def test_the_dot_of_the_root_is_in_the_host_but_not_in_tls(
    monkeypatch: pytest.MonkeyPatch, *, http2: bool
) -> None:
    """RFC 6066 section 3; certificates contain no dot either."""
    asked = resolve_to(monkeypatch, {"a.test.": ["127.0.0.1"]})
    async with Server("a.test").listening("127.0.0.1") as server:
        await get(f"https://A.Test.:{server.port}/", verify=trusting(), http2=http2)
        assert (server.hosts, server.names) == ([f"a.test.:{server.port}"], ["a.test"])
    assert "a.test." in asked


async def test_a_server_name_that_was_chosen_is_written_without_the_dot_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the extension ``sni_hostname``; the connection is the same."""
    resolve_to(monkeypatch, {"b.test": ["127.0.0.1"]})
    async with (
        Server("a.test").listening("127.0.0.1") as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(verify=trusting())) as client,
    ):
        url = f"https://b.test:{server.port}/"
        for name in ("a.test.", "A.test"):
            await client.get(url, extensions={"sni_hostname": name})
        assert (server.hosts, server.names) == ([f"b.test:{server.port}"] * 2, ["a.test"])


@BOTH_PARSERS
async def test_an_international_name_is_sent_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Host, in TLS and to the resolver."""
    name = "xn--bcher-kva.test"
    resolve_to(monkeypatch, {name: ["127.0.0.1"]})
    async with Server(name).listening("127.0.0.1") as server:
        await get(f"https://bücher.test:{server.port}/", verify=trusting())
        assert (server.hosts, server.names) == ([f"{name}:{server.port}"], [name])


async def test_a_name_in_upper_case_uses_the_same_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names are compared without regard to case."""
    resolve_to(monkeypatch, {"a.test": ["127.0.0.1"]})
    transport = AsyncPoolTransport()
    async with (
        Server().listening("127.0.0.1") as server,
        httpx.AsyncClient(transport=transport) as client,
    ):
        for host in ("a.test", "A.TEST", "a.Test"):
            await client.get(f"http://{host}:{server.port}/")
        assert (transport.statistics().opened, set(server.hosts)) == (1, {f"a.test:{server.port}"})


# Through a proxy


HOSTS = [
    ("[::1]", "[::1]"),
    ("[fe80::1%25lo]", "[fe80::1]"),
    ("127.0.0.1", "127.0.0.1"),
    ("A.test.", "a.test."),
    ("bücher.test", "xn--bcher-kva.test"),
]
"""The host in a URL, and in an authority."""


async def answer_all(wire: Wire) -> None:
    """Answer every request."""
    while await wire.read_request() is not None:
        await wire.answer()


@pytest.mark.parametrize(("host", "written"), HOSTS)
async def test_a_forward_proxy_gets_a_valid_target(host: str, written: str) -> None:
    """And the same host in Host."""
    async with FaultServer(answer_all) as proxy:
        for port in ("", ":8080"):
            await get(f"http://{host}{port}/a?b", proxy=proxy.url)
            request = proxy.requests[-1]
            assert request.target == f"http://{written}{port}/a?b"
            assert request.headers["host"] == f"{written}{port}"


async def test_a_forward_proxy_reaches_an_ipv6_address() -> None:
    """A real one, which has to understand the target."""
    async with Server().listening("::1") as server, FaultServer(forward_proxy()) as proxy:
        assert (await get(f"http://[::1]:{server.port}/", proxy=proxy.url)).status_code == 200


def tunnel_to(port: int) -> Any:
    """Return a handler of CONNECT that always connects to that port of ``::1``."""

    async def copy(read: Any, write: Any) -> None:
        while data := await read(65536):
            await write(data)

    async def handler(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        reader, writer = await asyncio.open_connection("::1", port)

        async def send(data: bytes) -> None:
            writer.write(data)

        up = asyncio.ensure_future(copy(wire.read, send))
        try:
            await copy(reader.read, wire.send)
        finally:
            up.cancel()
            writer.transport.abort()

    return handler


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(("host", "written"), HOSTS)
async def test_a_tunnel_gets_a_valid_target(host: str, written: str, *, http2: bool) -> None:
    """What is inside is verified as it would be without a proxy."""
    name = written.strip("[]").removesuffix(".")
    async with (
        Server(name).listening("::1") as server,
        FaultServer(tunnel_to(server.port)) as proxy,
    ):
        await get(f"https://{host}/", proxy=proxy.url, verify=trusting(), http2=http2)
        (connect,) = proxy.requests
        assert (connect.method, connect.target) == ("CONNECT", f"{written}:443")
        assert connect.headers["host"] == f"{written}:443"
        assert server.hosts == [written]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize(
    ("host", "target"), [(host, written.strip("[]")) for host, written in HOSTS]
)
async def test_a_socks_proxy_gets_the_address_or_the_name(
    scheme: str, host: str, target: str
) -> None:
    """An address as an address, which the proxy needs no resolver for; a name as it is."""
    handler = Socks5Proxy(reply=1)
    async with FaultServer(handler) as proxy:
        with pytest.raises(httpx.ProxyError):
            await get(f"http://{host}:81/", proxy=f"{scheme}://127.0.0.1:{proxy.port}")
    assert handler.targets == [(target, 81)]


async def test_a_socks_proxy_reaches_an_ipv6_address() -> None:
    """With TLS inside, verified for the address."""
    async with Server("::1").listening("::1") as server, FaultServer(Socks5Proxy()) as proxy:
        url = f"socks5://127.0.0.1:{proxy.port}"
        await get(f"https://[::1]:{server.port}/", proxy=url, verify=trusting())
        assert server.hosts == [f"[::1]:{server.port}"]
