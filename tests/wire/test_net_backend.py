"""The backend on real sockets: connecting, what it tells httpcore, what it leaves behind."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpcore
import httpx
import pytest
from fault_handlers import echo, echoes, never_read, until
from leftovers import full_backlog, leaving_nothing, other_tasks, sockets_to
from tls_contexts import trusted, trusting
from toy_names import resolve_to

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.backend import AsyncioBackend, _race
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, Wire, answer, stall

pytestmark = pytest.mark.usefixtures("nothing_left")


# Connecting


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_stream_reaches_a_server(host: str) -> None:
    """By address, and by the one name that needs no name server."""
    async with FaultServer(echo) as server:
        assert await echoes(await AsyncioBackend().connect_tcp(host, server.port, timeout=20))


@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
async def test_the_second_address_answers_when_the_first_one_refuses(
    monkeypatch: pytest.MonkeyPatch, dead: str
) -> None:
    """Whether the first one is of the same family or of the other one."""
    resolve_to(monkeypatch, {"two.test": [dead, "127.0.0.1"]})
    async with FaultServer(echo) as server:
        assert await echoes(await AsyncioBackend().connect_tcp("two.test", server.port, timeout=20))


async def test_the_second_address_answers_when_the_first_one_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hanging address has a head start, and no more; its socket is given up."""
    resolve_to(monkeypatch, {"two.test": ["127.0.0.2", "127.0.0.1"]})
    async with FaultServer(echo) as server:
        with full_backlog("127.0.0.2", server.port):
            stream = await AsyncioBackend().connect_tcp("two.test", server.port, timeout=20)
            assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
            assert await echoes(stream)


async def test_an_address_of_the_other_family_is_tried_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One family without a route must not cost a head start for each of its addresses."""
    families = [socket.AF_INET6] * 3 + [socket.AF_INET]
    addresses = ["::1", "::2", "::3", "127.0.0.1"]
    entries = [(f, 0, 0, "", (a, 0)) for f, a in zip(families, addresses, strict=True)]
    tried: list[str] = []

    async def refuse(_: object, __: object, address: str, *args: object, **kwargs: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
        patched.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp("four.test", 80, timeout=20)
    assert tried == ["::1", "127.0.0.1", "::2", "::3"]


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["::1", "127.0.0.2"]]
)
async def test_an_error_of_every_address_has_the_system_s_own_behind_it(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """It is the argument and the cause, where httpcore and people look for it."""
    resolve_to(monkeypatch, {"dead.test": addresses})
    async with FaultServer(answer(), refusing=True) as server:
        with pytest.raises(httpcore.ConnectError) as caught:
            await AsyncioBackend().connect_tcp("dead.test", server.port, timeout=20)
    origin = caught.value.args[0]
    assert isinstance(origin, OSError)
    assert caught.value.__cause__ is origin
    deepest = origin.__cause__ or origin
    assert isinstance(deepest, OSError)
    assert deepest.errno == errno.ECONNREFUSED


async def test_of_two_that_connect_at_the_same_moment_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that is not given to anybody."""
    monkeypatch.setattr("typed_async_client.net.backend._ATTEMPT_DELAY", 0.0)
    both = asyncio.Barrier(2)
    async with FaultServer(stall) as server:

        async def connect_together() -> AsyncioStream:
            stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port)
            await both.wait()
            return stream

        stream = await _race([connect_together, connect_together])
        await until(lambda: sockets_to(server.port) == 1)
        await stream.write(b"still open")
        await stream.aclose()


async def test_a_port_beyond_all_ports_is_a_connect_error() -> None:
    """It is an OverflowError to the system."""
    with pytest.raises(httpcore.ConnectError) as caught:
        await AsyncioBackend().connect_tcp("127.0.0.1", 65536, timeout=20)
    assert isinstance(caught.value.args[0], OverflowError)


async def test_a_name_that_can_be_none_is_a_connect_error() -> None:
    """A label has 63 characters at most."""
    with pytest.raises(httpcore.ConnectError) as caught:
        await AsyncioBackend().connect_tcp("x" * 64 + ".test", 80, timeout=20)
    assert isinstance(caught.value.args[0], UnicodeError)


@pytest.mark.parametrize("names", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_a_connection_that_hangs_ends_with_a_timeout(
    monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """The server's queue is full and nobody takes from it."""
    resolve_to(monkeypatch, {"full.test": names})
    with (
        full_backlog() as port,
        full_backlog("127.0.0.2", port),
        pytest.raises(httpcore.ConnectTimeout),
    ):
        await AsyncioBackend().connect_tcp("full.test", port, timeout=0.05)


async def test_the_local_address_is_the_one_asked_for() -> None:
    """The server sees the connection come from it."""
    async with FaultServer(echo) as server:
        stream = await AsyncioBackend().connect_tcp(
            "127.0.0.1", server.port, timeout=20, local_address="127.0.0.3"
        )
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.3"
        assert await echoes(stream)


async def test_a_local_address_of_nobody_is_a_connect_error() -> None:
    """The system refuses to bind to it."""
    async with FaultServer(echo) as server:
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp(
                "127.0.0.1", server.port, timeout=20, local_address="192.0.2.1"
            )


async def test_socket_options_are_set() -> None:
    """Each of them, on the socket itself."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    async with FaultServer(echo) as server:
        stream = await AsyncioBackend().connect_tcp(
            "127.0.0.1", server.port, timeout=20, socket_options=options
        )
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert await echoes(stream)


async def test_a_socket_option_that_the_system_refuses_is_a_connect_error() -> None:
    """The connection, which is there by then, is closed."""
    async with FaultServer(echo) as server:
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp(
                "127.0.0.1", server.port, socket_options=[(socket.SOL_SOCKET, 9999, 1)]
            )
        await asyncio.sleep(0)
        assert sockets_to(server.port) == 0


# Unix sockets


async def test_a_client_talks_to_a_server_on_a_unix_socket(tmp_path: Path) -> None:
    """Two requests, one connection."""
    path = str(tmp_path / "server")

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, [])
        await answer(200, b"by file")(wire)
        await wire.finish()

    transport = AsyncPoolTransport(uds=path)
    async with (
        await asyncio.start_unix_server(accept, path),
        httpx.AsyncClient(transport=transport) as client,
    ):
        for _ in range(2):
            assert (await client.get("http://any.test/")).content == b"by file"
        assert transport.statistics().opened == 1


async def test_a_unix_socket_that_is_not_there_is_a_connect_error(tmp_path: Path) -> None:
    """The system's own error is behind it."""
    with pytest.raises(httpcore.ConnectError) as caught:
        await AsyncioBackend().connect_unix_socket(str(tmp_path / "nothing"), timeout=20)
    assert isinstance(caught.value.args[0], FileNotFoundError)


# What httpcore asks


async def test_a_stream_tells_what_httpcore_asks_for() -> None:
    """Both addresses, the socket, the TLS object once there is one, nothing for other names."""
    async with FaultServer(echo, tls=trusted()) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        assert stream.get_extra_info("ssl_object") is None
        secure = await stream.start_tls(trusting(), "localhost", timeout=20)
        tls = secure.get_extra_info("ssl_object")
        assert tls.version() in {"TLSv1.2", "TLSv1.3"}
        sock = secure.get_extra_info("socket")
        assert secure.get_extra_info("server_addr") == ("127.0.0.1", server.port)
        assert secure.get_extra_info("client_addr") == sock.getsockname()
        assert secure.get_extra_info("whatever") is None
        assert await echoes(secure)


@pytest.mark.parametrize("tls", [None, trusted])
async def test_a_stream_is_readable_when_bytes_or_the_end_have_come(
    tls: Callable[[], ssl.SSLContext] | None,
) -> None:
    """It is not before; ``has_ended`` waits for the end."""
    go_on = asyncio.Event()

    async def two_steps(wire: Wire) -> None:
        await wire.read(1)
        await wire.send(b"x")
        await go_on.wait()

    async with FaultServer(two_steps, tls=tls and tls()) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        if tls:
            stream = await stream.start_tls(trusting(), "localhost", timeout=20)
        ask = stream.get_extra_info
        assert (ask("is_readable"), ask("has_ended")) == (False, False)
        await stream.write(b"?")
        await until(lambda: stream.received == 1)
        assert (ask("is_readable"), ask("has_ended")) == (True, False)
        assert await stream.read(10) == b"x"
        assert ask("is_readable") is False
        go_on.set()
        await until(lambda: bool(ask("has_ended")))
        assert ask("is_readable") is True
        assert await stream.read(10) == b""
        await stream.aclose()


# Cancelled at any point


async def connect(host: str, port: int) -> None:
    """Connect, and hang up if that works."""
    stream = await AsyncioBackend().connect_tcp(host, port)
    stream.abort()


async def shake_hands(_: str, port: int) -> None:
    """Connect and shake hands."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
    await stream.start_tls(trusting(), "localhost")


async def read(_: str, port: int) -> None:
    """Connect, shake hands and read."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
    try:
        stream = await stream.start_tls(trusting(), "localhost")
        await stream.read(1)
    finally:
        stream.abort()


async def write(_: str, port: int) -> None:
    """Connect, shake hands and write more than anybody takes."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
    try:
        stream = await stream.start_tls(trusting(), "localhost")
        await stream.write(bytes(20_000_000))
    finally:
        stream.abort()


async def cancel_after(turns: int, work: Awaitable[None]) -> None:
    """Begin, let the loop turn, and cancel."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


TURNS = pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 21, 34, 55, 300])


@TURNS
@pytest.mark.parametrize("host", ["127.0.0.1", "twice.test"])
async def test_a_cancelled_connect_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch, host: str, turns: int
) -> None:
    """To one address that hangs, or to two."""
    resolve_to(monkeypatch, {"twice.test": ["127.0.0.1", "127.0.0.2"]})
    with full_backlog() as port, full_backlog("127.0.0.2", port):
        async with leaving_nothing():
            await cancel_after(turns, connect(host, port))


async def test_a_race_cancelled_while_both_addresses_hang_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second one has been tried by then, and both are given up."""
    resolve_to(monkeypatch, {"twice.test": ["127.0.0.1", "127.0.0.2"]})
    with full_backlog() as port, full_backlog("127.0.0.2", port):
        async with leaving_nothing():
            idle = len(other_tasks())
            task = asyncio.ensure_future(connect("twice.test", port))
            await until(lambda: len(other_tasks()) == idle + 3)
            task.cancel()
            await asyncio.wait({task})


@TURNS
@pytest.mark.parametrize(
    ("work", "handler", "tls"),
    [(shake_hands, stall, None), (read, stall, trusted), (write, never_read, trusted)],
)
async def test_what_is_cancelled_leaves_no_socket(
    work: Callable[[str, int], Awaitable[None]],
    handler: Callable[[Wire], Awaitable[None]],
    tls: Callable[[], ssl.SSLContext] | None,
    turns: int,
) -> None:
    """After any turn of the loop, in a handshake, a read and a write."""
    async with FaultServer(handler, tls=tls and tls()) as server:
        await cancel_after(turns, work("", server.port))
        await until(lambda: sockets_to(server.port) == 0)


@pytest.mark.parametrize("turns", range(12))
async def test_a_connect_cancelled_as_it_succeeds_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """A server that is there, alone or as one of two addresses: connected or not, none is left."""
    resolve_to(monkeypatch, {"twice.test": ["127.0.0.2", "127.0.0.1"]})
    async with FaultServer(stall) as server:
        for host in ("127.0.0.1", "twice.test"):
            async with leaving_nothing():
                task = asyncio.ensure_future(AsyncioBackend().connect_tcp(host, server.port))
                for _ in range(turns):
                    time.sleep(0.0005)  # noqa: ASYNC251 - the loop has everything ready at once
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    task.result().abort()
                    del task
                await until(lambda: not server._serving)
