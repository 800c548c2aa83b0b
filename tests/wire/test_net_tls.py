"""TLS on backend streams: failed handshakes, SNI and ALPN."""

import ssl
from collections.abc import Awaitable, Callable

import httpcore
import httpx
import pytest
from fault_handlers import (
    close_after_client_hello,
    echo,
    is_echoing,
    reset_after_client_hello,
    wait_until,
)
from leak_checks import count_sockets_to
from tls_contexts import client_context, server_context, unknown_issuer

from typed_async_client import AsyncPoolTransport
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.testing import FaultServer, Wire, answer, stall

pytestmark = pytest.mark.usefixtures("no_leaks")


async def connect_tls(server: FaultServer, *, handshake_timeout: float = 20) -> AsyncioStream:
    """Connect, and complete a TLS handshake within ``handshake_timeout`` seconds."""
    stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
    return await stream.start_tls(client_context(), "localhost", timeout=handshake_timeout)


async def test_a_stream_supports_tls() -> None:
    """An echo server returns what was sent."""
    async with FaultServer(echo, tls=server_context()) as server:
        assert await is_echoing(await connect_tls(server))


async def test_a_stalled_handshake_times_out() -> None:
    """The server accepts the connection and sends nothing."""
    async with FaultServer(stall) as server:
        with pytest.raises(httpcore.ConnectTimeout):
            await connect_tls(server, handshake_timeout=0.05)
        await wait_until(lambda: count_sockets_to(server.port) == 0)


async def test_a_certificate_of_an_unknown_authority_is_a_connect_error() -> None:
    """The error of the ssl module is its argument."""
    async with FaultServer(echo, tls=unknown_issuer()) as server:
        with pytest.raises(httpcore.ConnectError) as caught:
            await connect_tls(server)
    assert isinstance(caught.value.args[0], ssl.SSLCertVerificationError)


@pytest.mark.parametrize("handler", [close_after_client_hello, reset_after_client_hello])
async def test_a_handshake_that_the_server_aborts_is_a_connect_error(
    handler: Callable[[Wire], Awaitable[None]],
) -> None:
    """Whether it closes or resets the connection."""
    async with FaultServer(handler) as server:
        with pytest.raises(httpcore.ConnectError):
            await connect_tls(server)


async def test_a_handshake_is_refused_if_data_was_received_before_it() -> None:
    """An attacker could have injected it, to be read as if it were encrypted."""

    async def send_first(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await wire.stall()

    async with FaultServer(send_first) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        await wait_until(lambda: stream.received > 0)
        with pytest.raises(httpcore.ConnectError, match="before the TLS handshake"):
            await stream.start_tls(client_context(), "localhost", timeout=20)
        await wait_until(lambda: count_sockets_to(server.port) == 0)


async def test_a_handshake_on_a_closed_stream_is_a_connect_error() -> None:
    """Immediately."""
    async with FaultServer(stall) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        stream.abort()
        with pytest.raises(httpcore.ConnectError, match="lost before the TLS handshake"):
            await stream.start_tls(client_context(), "localhost", timeout=20)


async def test_a_handshake_after_the_server_closed_is_a_connect_error() -> None:
    """Immediately; asyncio would wait for the server until a timeout."""

    async def handler(wire: Wire) -> None:
        """Return immediately, which closes the connection."""

    async with FaultServer(handler) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        await wait_until(lambda: bool(stream.get_extra_info("has_ended")))
        with pytest.raises(httpcore.ConnectError, match="lost before the TLS handshake"):
            await stream.start_tls(client_context(), "localhost", timeout=None)


async def test_an_invalid_server_name_is_a_connect_error() -> None:
    """The event loop raises a UnicodeError for it."""
    async with FaultServer(stall) as server:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", server.port, timeout=20)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(client_context(), "a..b", timeout=20)
        await wait_until(lambda: count_sockets_to(server.port) == 0)


async def test_the_sni_hostname_of_a_request_is_sent_and_verified() -> None:
    """The server receives it, and its certificate must match it."""
    context, server_names = (
        server_context.__wrapped__(),
        [],
    )  # not the cached one, since it is modified
    context.sni_callback = lambda _, name, __: server_names.append(name)
    async with (
        FaultServer(answer(), tls=context) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(verify=client_context())) as client,
    ):
        with pytest.raises(httpx.ConnectError, match=r"other\.test"):
            await client.get(server.url, extensions={"sni_hostname": "other.test"})
        assert (await client.get(server.url)).status_code == 200
        assert server_names == ["other.test", "localhost"]


async def test_http_2_is_only_offered_if_enabled() -> None:
    """A server that supports both would choose it."""
    context = server_context.__wrapped__()  # not the cached one, since it is modified
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        FaultServer(answer(), tls=context) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(verify=client_context())) as client,
    ):
        response = await client.get(server.url)
        assert response.http_version == "HTTP/1.1"
        secure = response.extensions["network_stream"].get_extra_info("ssl_object")
        assert secure.selected_alpn_protocol() == "http/1.1"
