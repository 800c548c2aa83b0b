"""TLS on the streams of the backend: handshakes that fail, and what a server is told in one."""

import ssl
from collections.abc import Awaitable, Callable

import httpcore
import httpx
import pytest
from fault_handlers import close_at_client_hello, cut_at_client_hello, echo, echoes, until
from leftovers import sockets_to
from tls_contexts import issued_by_a_stranger, trusted, trusting

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, Wire, answer, stall

pytestmark = pytest.mark.usefixtures("nothing_left")


async def secured(server: FaultServer, *, patience: float = 20) -> AsyncioStream:
    """Connect, and shake hands within ``patience`` seconds."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
    return await stream.start_tls(trusting(), "localhost", timeout=patience)


async def test_a_stream_speaks_tls() -> None:
    """What is sent comes back."""
    async with FaultServer(echo, tls=trusted()) as server:
        assert await echoes(await secured(server))


async def test_a_handshake_that_stalls_ends_with_a_timeout() -> None:
    """The server takes the connection and says nothing."""
    async with FaultServer(stall) as server:
        with pytest.raises(httpcore.ConnectTimeout):
            await secured(server, patience=0.05)
        await until(lambda: sockets_to(server.port) == 0)


async def test_a_certificate_of_a_stranger_is_a_connect_error() -> None:
    """The error of the ssl module is behind it."""
    async with FaultServer(echo, tls=issued_by_a_stranger()) as server:
        with pytest.raises(httpcore.ConnectError) as caught:
            await secured(server)
    assert isinstance(caught.value.args[0], ssl.SSLCertVerificationError)


@pytest.mark.parametrize("leave", [close_at_client_hello, cut_at_client_hello])
async def test_a_handshake_that_the_server_leaves_is_a_connect_error(
    leave: Callable[[Wire], Awaitable[None]],
) -> None:
    """In good order or not."""
    async with FaultServer(leave) as server:
        with pytest.raises(httpcore.ConnectError):
            await secured(server)


async def test_no_handshake_is_made_over_bytes_that_came_before_it() -> None:
    """Somebody in between could have put them there, to be read as if they were secured."""

    async def speak_first(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await wire.stall()

    async with FaultServer(speak_first) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        await until(lambda: stream.received > 0)
        with pytest.raises(httpcore.ConnectError, match="before the TLS handshake"):
            await stream.start_tls(trusting(), "localhost", timeout=20)
        await until(lambda: sockets_to(server.port) == 0)


async def test_no_handshake_is_made_on_a_stream_that_was_closed() -> None:
    """It is an error at once."""
    async with FaultServer(stall) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        stream.abort()
        with pytest.raises(httpcore.ConnectError, match="lost before the TLS handshake"):
            await stream.start_tls(trusting(), "localhost", timeout=20)


async def test_no_handshake_is_made_with_a_peer_that_has_gone() -> None:
    """It fails at once; asyncio would wait for an answer until a timeout."""

    async def leave(wire: Wire) -> None:
        """Do nothing, so that the connection is closed."""

    async with FaultServer(leave) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        await until(lambda: bool(stream.get_extra_info("has_ended")))
        with pytest.raises(httpcore.ConnectError, match="lost before the TLS handshake"):
            await stream.start_tls(trusting(), "localhost", timeout=None)


async def test_a_server_name_that_is_none_is_a_connect_error() -> None:
    """It is a UnicodeError to asyncio."""
    async with FaultServer(stall) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(trusting(), "a..b", timeout=20)
        await until(lambda: sockets_to(server.port) == 0)


async def test_the_server_name_that_a_request_asks_for_is_the_one_that_is_checked() -> None:
    """It is told to the server, and its certificate must be for that name."""
    context, named = trusted.__wrapped__(), []  # its own: it is changed
    context.sni_callback = lambda _, name, __: named.append(name)
    async with (
        FaultServer(answer(), tls=context) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(verify=trusting())) as client,
    ):
        with pytest.raises(httpx.ConnectError, match=r"other\.test"):
            await client.get(server.url, extensions={"sni_hostname": "other.test"})
        assert (await client.get(server.url)).status_code == 200
        assert named == ["other.test", "localhost"]


async def test_http_2_is_not_offered_to_a_server_where_it_is_not_wanted() -> None:
    """A server that speaks both would choose it."""
    context = trusted.__wrapped__()  # its own: it is changed
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        FaultServer(answer(), tls=context) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(verify=trusting())) as client,
    ):
        response = await client.get(server.url)
        assert response.http_version == "HTTP/1.1"
        secure = response.extensions["network_stream"].get_extra_info("ssl_object")
        assert secure.selected_alpn_protocol() == "http/1.1"
