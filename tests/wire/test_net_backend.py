"""The network backend on real sockets: connecting, reporting to httpcore, cleaning up."""

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
from fake_dns import resolve_to
from fault_handlers import echo, is_echoing, never_read, wait_until
from leak_checks import count_sockets_to, full_backlog, no_leaks, other_tasks
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.backend import AsyncioBackend, _race
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, Wire, answer, stall

pytestmark = pytest.mark.usefixtures("no_leaks")


# Connecting


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_stream_connects_to_a_server(host: str) -> None:
    """By IP address, and by the one name that needs no DNS server."""
    async with FaultServer(echo) as server:
        assert await is_echoing(await AsyncioBackend().connect_tcp(host, server.port, timeout=20))


@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
async def test_the_second_address_is_used_if_the_first_one_refuses(
    monkeypatch: pytest.MonkeyPatch, dead: str
) -> None:
    """Whether or not both are of the same family."""
    resolve_to(monkeypatch, {"two.test": [dead, "127.0.0.1"]})
    async with FaultServer(echo) as server:
        assert await is_echoing(
            await AsyncioBackend().connect_tcp("two.test", server.port, timeout=20)
        )


async def test_the_second_address_is_used_if_the_first_one_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first one only gets a head start; its socket is closed."""
    resolve_to(monkeypatch, {"two.test": ["127.0.0.2", "127.0.0.1"]})
    async with FaultServer(echo) as server:
        with full_backlog("127.0.0.2", server.port):
            stream = await AsyncioBackend().connect_tcp("two.test", server.port, timeout=20)
            assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
            assert await is_echoing(stream)


async def test_an_address_of_the_other_family_is_tried_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unreachable family mustn't cost a delay for each of its addresses."""
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
async def test_a_connect_error_has_the_operating_systems_error_as_its_cause(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """It's the argument as well, as in httpcore's own backends."""
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


async def test_if_two_attempts_connect_at_the_same_time_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that isn't returned."""
    monkeypatch.setattr("typed_async_client.net.backend._ATTEMPT_DELAY", 0.0)
    both = asyncio.Barrier(2)
    async with FaultServer(stall) as server:

        async def connect_together() -> AsyncioStream:
            stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port)
            await both.wait()
            return stream

        stream = await _race([connect_together, connect_together])
        await wait_until(lambda: count_sockets_to(server.port) == 1)
        await stream.write(b"still open")
        await stream.aclose()


async def test_a_port_out_of_range_is_a_connect_error() -> None:
    """The socket module raises an OverflowError for it."""
    with pytest.raises(httpcore.ConnectError) as caught:
        await AsyncioBackend().connect_tcp("127.0.0.1", 65536, timeout=20)
    assert isinstance(caught.value.args[0], OverflowError)


async def test_an_invalid_host_name_is_a_connect_error() -> None:
    """A label has 63 characters at most."""
    with pytest.raises(httpcore.ConnectError) as caught:
        await AsyncioBackend().connect_tcp("x" * 64 + ".test", 80, timeout=20)
    assert isinstance(caught.value.args[0], UnicodeError)


@pytest.mark.parametrize("names", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_a_connection_attempt_that_hangs_times_out(
    monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """The server's backlog is full, and it accepts no connection."""
    resolve_to(monkeypatch, {"full.test": names})
    with (
        full_backlog() as port,
        full_backlog("127.0.0.2", port),
        pytest.raises(httpcore.ConnectTimeout),
    ):
        await AsyncioBackend().connect_tcp("full.test", port, timeout=0.05)


async def test_the_requested_local_address_is_used() -> None:
    """The socket is bound to it."""
    async with FaultServer(echo) as server:
        stream = await AsyncioBackend().connect_tcp(
            "127.0.0.1", server.port, timeout=20, local_address="127.0.0.3"
        )
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.3"
        assert await is_echoing(stream)


async def test_an_unavailable_local_address_is_a_connect_error() -> None:
    """The system refuses to bind to it."""
    async with FaultServer(echo) as server:
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp(
                "127.0.0.1", server.port, timeout=20, local_address="192.0.2.1"
            )


async def test_socket_options_are_set() -> None:
    """On the socket itself."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    async with FaultServer(echo) as server:
        stream = await AsyncioBackend().connect_tcp(
            "127.0.0.1", server.port, timeout=20, socket_options=options
        )
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert await is_echoing(stream)


async def test_an_invalid_socket_option_is_a_connect_error() -> None:
    """The connection, established by then, is closed."""
    async with FaultServer(echo) as server:
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp(
                "127.0.0.1", server.port, socket_options=[(socket.SOL_SOCKET, 9999, 1)]
            )
        await asyncio.sleep(0)
        assert count_sockets_to(server.port) == 0


# Unix sockets


async def test_a_client_connects_to_a_unix_socket(tmp_path: Path) -> None:
    """Two requests share one connection."""
    path = str(tmp_path / "server")

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, [])
        await answer(200, b"over uds")(wire)
        await wire.finish()

    transport = AsyncPoolTransport(uds=path)
    async with (
        await asyncio.start_unix_server(serve_connection, path),
        httpx.AsyncClient(transport=transport) as client,
    ):
        for _ in range(2):
            assert (await client.get("http://any.test/")).content == b"over uds"
        assert transport.statistics().opened == 1


async def test_a_missing_unix_socket_is_a_connect_error(tmp_path: Path) -> None:
    """The operating system's error is its argument."""
    with pytest.raises(httpcore.ConnectError) as caught:
        await AsyncioBackend().connect_unix_socket(str(tmp_path / "nothing"), timeout=20)
    assert isinstance(caught.value.args[0], FileNotFoundError)


# Extra information for httpcore


async def test_a_stream_provides_the_extra_information_that_httpcore_uses() -> None:
    """Both addresses, the socket, the TLS object if any; None for unknown names."""
    async with FaultServer(echo, tls=server_context()) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        assert stream.get_extra_info("ssl_object") is None
        secure = await stream.start_tls(client_context(), "localhost", timeout=20)
        tls = secure.get_extra_info("ssl_object")
        assert tls.version() in {"TLSv1.2", "TLSv1.3"}
        sock = secure.get_extra_info("socket")
        assert secure.get_extra_info("server_addr") == ("127.0.0.1", server.port)
        assert secure.get_extra_info("client_addr") == sock.getsockname()
        assert secure.get_extra_info("whatever") is None
        assert await is_echoing(secure)


@pytest.mark.parametrize("tls", [None, server_context])
async def test_a_stream_is_readable_once_data_or_eof_has_arrived(
    tls: Callable[[], ssl.SSLContext] | None,
) -> None:
    """Not before; ``has_ended`` is only true after EOF."""
    proceed = asyncio.Event()

    async def send_then_close(wire: Wire) -> None:
        await wire.read(1)
        await wire.send(b"x")
        await proceed.wait()

    async with FaultServer(send_then_close, tls=tls and tls()) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        if tls:
            stream = await stream.start_tls(client_context(), "localhost", timeout=20)
        get_info = stream.get_extra_info
        assert (get_info("is_readable"), get_info("has_ended")) == (False, False)
        await stream.write(b"?")
        await wait_until(lambda: stream.received == 1)
        assert (get_info("is_readable"), get_info("has_ended")) == (True, False)
        assert await stream.read(10) == b"x"
        assert get_info("is_readable") is False
        proceed.set()
        await wait_until(lambda: bool(get_info("has_ended")))
        assert get_info("is_readable") is True
        assert await stream.read(10) == b""
        await stream.aclose()


# Cancellation at any point


async def connect(host: str, port: int) -> None:
    """Connect, and abort the connection on success."""
    stream = await AsyncioBackend().connect_tcp(host, port)
    stream.abort()


async def handshake(_: str, port: int) -> None:
    """Connect and complete a TLS handshake."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
    await stream.start_tls(client_context(), "localhost")


async def read(_: str, port: int) -> None:
    """Connect, complete a TLS handshake and read."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
    try:
        stream = await stream.start_tls(client_context(), "localhost")
        await stream.read(1)
    finally:
        stream.abort()


async def write(_: str, port: int) -> None:
    """Connect, complete a TLS handshake and write more than the server reads."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
    try:
        stream = await stream.start_tls(client_context(), "localhost")
        await stream.write(bytes(20_000_000))
    finally:
        stream.abort()


async def cancel_after(turns: int, work: Awaitable[None]) -> None:
    """Start a task, let the loop turn, and cancel the task."""
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
    """Whether one address hangs, or two."""
    resolve_to(monkeypatch, {"twice.test": ["127.0.0.1", "127.0.0.2"]})
    with full_backlog() as port, full_backlog("127.0.0.2", port):
        async with no_leaks():
            await cancel_after(turns, connect(host, port))


async def test_a_race_cancelled_while_both_addresses_hang_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second one is being tried by then, and both sockets are closed."""
    resolve_to(monkeypatch, {"twice.test": ["127.0.0.1", "127.0.0.2"]})
    with full_backlog() as port, full_backlog("127.0.0.2", port):
        async with no_leaks():
            idle = len(other_tasks())
            task = asyncio.ensure_future(connect("twice.test", port))
            await wait_until(lambda: len(other_tasks()) == idle + 3)
            task.cancel()
            await asyncio.wait({task})


@TURNS
@pytest.mark.parametrize(
    ("work", "handler", "tls"),
    [
        (handshake, stall, None),
        (read, stall, server_context),
        (write, never_read, server_context),
    ],
)
async def test_a_cancelled_operation_leaves_no_socket(
    work: Callable[[str, int], Awaitable[None]],
    handler: Callable[[Wire], Awaitable[None]],
    tls: Callable[[], ssl.SSLContext] | None,
    turns: int,
) -> None:
    """After any number of loop turns, in a handshake, a read or a write."""
    async with FaultServer(handler, tls=tls and tls()) as server:
        await cancel_after(turns, work("", server.port))
        await wait_until(lambda: count_sockets_to(server.port) == 0)


@pytest.mark.parametrize("turns", range(12))
async def test_a_connect_cancelled_as_it_succeeds_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """To one address or the second of two, whether or not the connection was established."""
    resolve_to(monkeypatch, {"twice.test": ["127.0.0.2", "127.0.0.1"]})
    async with FaultServer(stall) as server:
        for host in ("127.0.0.1", "twice.test"):
            async with no_leaks():
                task = asyncio.ensure_future(AsyncioBackend().connect_tcp(host, server.port))
                for _ in range(turns):
                    time.sleep(0.0005)  # noqa: ASYNC251 - everything is ready in one loop turn
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    task.result().abort()
                    del task
                await wait_until(lambda: not server._serving)
