"""The connections of synchronous clients: every wait ends at the deadline of its thread."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest
from fault_handlers import echo, never_read, reset_mid_upload, trickle_handshake
from leak_checks import full_backlog
from proxy_handlers import tunnel_proxy
from tls_contexts import client_context, server_context, unknown_issuer

from typed_async_client.net.sync_backend import SyncDeadlineBackend
from typed_async_client.net.thread_deadline import EndsBy
from typed_async_client.testing import FaultServer, Wire, answer

pytestmark = pytest.mark.usefixtures("no_leaks")


def later() -> EndsBy:
    """Set a deadline that no wait reaches."""
    return EndsBy(time.monotonic() + 60.0)


def soon() -> EndsBy:
    """Set a deadline that a wait for something that never happens reaches."""
    return EndsBy(time.monotonic() + 0.2)


def over() -> EndsBy:
    """Set a deadline that has passed."""
    return EndsBy(time.monotonic())


@contextlib.contextmanager
def connected(port: int, host: str = "127.0.0.1") -> Iterator[httpcore.NetworkStream]:
    """Connect with a deadline, and close at the end."""
    with later():
        stream = SyncDeadlineBackend().connect_tcp(host, port, timeout=30.0)
    try:
        yield stream
    finally:
        stream.close()


def resolve_to(*addresses: str) -> Any:
    """Return a replacement for ``socket.getaddrinfo``."""

    def look_up(host: str, port: int | None, *_: Any, **__: Any) -> list[Any]:
        found = addresses if host == "two.test" else [host]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in found
        ]

    return look_up


async def test_a_deadline_leaves_nothing_behind_on_a_connection() -> None:
    """What it has ended may be tried again without it."""

    def use(port: int) -> None:
        with connected(port) as stream:
            with over(), pytest.raises(httpcore.WriteTimeout):
                stream.write(b"a")
            with over(), pytest.raises(httpcore.ReadTimeout):
                stream.read(10)
            with soon(), pytest.raises(httpcore.ReadTimeout):
                stream.read(10, 30.0)
            stream.write(b"b")
            assert stream.read(10) == b"b"
            with later():
                stream.write(b"c")
            assert stream.read(10, 30.0) == b"c"

    async with FaultServer(echo) as server:
        await asyncio.to_thread(use, server.port)


async def test_each_part_of_a_write_heeds_the_deadline() -> None:
    """The buffer of the system takes the first part at once; the timeout alone is longer."""

    def use(port: int) -> None:
        with connected(port) as stream:
            with soon(), pytest.raises(httpcore.WriteTimeout):
                stream.write(b"x" * 100_000_000, 30.0)
            with later(), pytest.raises(httpcore.WriteTimeout):
                stream.write(b"x" * 100_000_000, 0.05)

    async with FaultServer(never_read) as server:
        await asyncio.to_thread(use, server.port)


async def test_a_connection_that_is_lost_is_a_write_error() -> None:
    """As without a deadline."""

    def use(port: int) -> None:
        with connected(port) as stream, later(), pytest.raises(httpcore.WriteError):
            stream.write(b"x" * 100_000_000)

    async with FaultServer(reset_mid_upload) as server:
        await asyncio.to_thread(use, server.port)


async def test_a_connect_heeds_the_deadline() -> None:
    """Whether it waits, or may not begin any more."""

    def use(port: int) -> None:
        for limit in (soon(), over()):
            with limit, pytest.raises(httpcore.ConnectTimeout):
                SyncDeadlineBackend().connect_tcp("127.0.0.1", port, timeout=60.0)

    with full_backlog() as port:
        await asyncio.to_thread(use, port)


async def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the last is raised if all fail, as by ``socket.create_connection``."""

    def use(port: int) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", resolve_to("127.0.0.2", "127.0.0.1"))
        with connected(port, "two.test") as stream:
            assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        monkeypatch.setattr(socket, "getaddrinfo", resolve_to("127.0.0.2", "127.0.0.3"))
        with later(), pytest.raises(httpcore.ConnectError):
            SyncDeadlineBackend().connect_tcp("two.test", port, timeout=30.0)

    async with FaultServer(echo) as server:
        await asyncio.to_thread(use, server.port)


def test_a_name_that_is_unknown_is_a_connect_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a deadline."""

    def look_up(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with later(), pytest.raises(httpcore.ConnectError, match="no such name"):
        SyncDeadlineBackend().connect_tcp("unknown.test", 80)


async def test_a_handshake_that_may_not_begin_closes_the_connection() -> None:
    """As one that fails does."""

    def use(port: int) -> None:
        with connected(port) as stream:
            with over(), pytest.raises(httpcore.ConnectTimeout):
                stream.start_tls(client_context(), "localhost", 30.0)
            with later(), pytest.raises(httpcore.WriteError):
                stream.write(b"a")

    async with FaultServer(echo, tls=server_context()) as server:
        await asyncio.to_thread(use, server.port)


# TLS inside TLS


def fetch(proxy: FaultServer, server: FaultServer) -> bytes:
    """Fetch a page through a proxy that is reached over TLS."""
    proxy_url = f"https://localhost:{proxy.port}"
    with (
        httpcore.ConnectionPool(
            ssl_context=client_context(),
            proxy=httpcore.Proxy(proxy_url, ssl_context=client_context()),
            network_backend=SyncDeadlineBackend(),
        ) as pool,
        pool.stream("POST", server.url, content=b"x" * 1_000_000) as response,
    ):
        network = response.extensions["network_stream"]
        assert network.get_extra_info("ssl_object").getpeercert()
        assert network.get_extra_info("server_addr")[1] == proxy.port
        return response.read()


@contextlib.asynccontextmanager
async def proxied(handler: Any = None, **options: Any) -> Any:
    """Start a server behind a proxy that is reached over TLS."""
    server = FaultServer(handler or answer(200, b"y" * 1_000_000), **options)
    proxy = FaultServer(tunnel_proxy(), tls=server_context())
    async with server, proxy:
        yield proxy, server


@pytest.mark.parametrize("limit", [later, contextlib.nullcontext])
async def test_tls_passes_through_a_proxy_with_tls(limit: Any) -> None:
    """With and without a deadline, in both directions."""

    def use(proxy: FaultServer, server: FaultServer) -> bytes:
        with limit():
            return fetch(proxy, server)

    async with proxied(tls=server_context()) as ends:
        assert await asyncio.to_thread(use, *ends) == b"y" * 1_000_000
        assert ends[1].requests[0].body == b"x" * 1_000_000


async def test_a_handshake_that_trickles_through_a_proxy_ends_at_the_deadline() -> None:
    """Each wait for a part of it is shorter than any timeout."""

    def use(proxy: FaultServer, server: FaultServer) -> None:
        server._tls = server_context()  # for its URL only
        with soon(), pytest.raises(httpcore.TimeoutException):
            fetch(proxy, server)

    async with proxied(trickle_handshake) as ends:
        await asyncio.to_thread(use, *ends)


@pytest.mark.parametrize("tls", [unknown_issuer, None])
async def test_a_handshake_that_fails_through_a_proxy_is_a_connect_error(tls: Any) -> None:
    """The certificate isn't trusted, or the server closes the connection."""

    def use(proxy: FaultServer, server: FaultServer) -> None:
        server._tls = server_context()  # for its URL only
        with later(), pytest.raises(httpcore.ConnectError):
            fetch(proxy, server)

    async with proxied(Wire.finish, tls=tls and tls()) as ends:
        await asyncio.to_thread(use, *ends)
