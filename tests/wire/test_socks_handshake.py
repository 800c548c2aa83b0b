"""A SOCKS proxy that stalls, closes the connection or doesn't speak SOCKS."""

import httpx
import pytest
from error_messages import message_of, secret_url
from fault_handlers import close_after_client_hello, echo, reset_after_client_hello

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, EventType
from typed_async_client.testing import FaultServer, Handler, Wire

_SERVER = "a.test:443 through the proxy 127.0.0.1:PORT"


async def _stall_after_auth(wire: Wire) -> None:
    await wire.read(100)
    await wire.send(b"\x05\x02")
    await wire.read(100)
    await wire.send(b"\x01\x00")
    await wire.stall()


_STALLED = f"GET: no connection to {_SERVER} within 0.4 s (connect timeout): timed out during the SOCKS handshake"

FAULTS: dict[str, tuple[Handler, type[Exception], str]] = {
    "stalls": (Wire.stall, httpx.ConnectTimeout, _STALLED),
    "stalls later": (_stall_after_auth, httpx.ConnectTimeout, _STALLED),
    "closes": (
        close_after_client_hello,
        httpx.ProxyError,
        f"GET: no tunnel to {_SERVER}: the proxy closed the connection",
    ),
    "resets": (
        reset_after_client_hello,
        httpx.ReadError,
        f"GET: connection lost while waiting for a tunnel to {_SERVER}: Connection reset by peer",
    ),
    "speaks something else": (
        echo,
        httpx.ProxyError,
        f"GET: no tunnel to {_SERVER}: no valid answer of a SOCKS proxy: Malformed reply",
    ),
}


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(("handler", "kind", "message"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_socks_proxy_that_fails_is_reported(
    handler: Handler, kind: type[Exception], message: str
) -> None:
    """Httpcore waits for it without a timeout, and lets errors of socksio out."""
    async with FaultServer(handler) as proxy:
        transport = AsyncPoolTransport(proxy=f"socks5://b-o-b:s3cret@127.0.0.1:{proxy.port}")
        timeout = httpx.Timeout(20, connect=0.4)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            assert await message_of(client.get(secret_url("https", "a.test")), kind) == message
            statistics = transport.statistics()
    assert (statistics.active, statistics.idle, statistics.connecting) == (0, 0, 0)


async def test_the_handshake_is_never_limited_without_a_connect_timeout() -> None:
    """As every other phase."""

    async def refuse(wire: Wire) -> None:
        await wire.read(100)
        await wire.send(b"\x05\xff")

    async with FaultServer(refuse) as proxy:
        transport = AsyncPoolTransport(proxy=f"socks5://127.0.0.1:{proxy.port}")
        async with httpx.AsyncClient(transport=transport, timeout=None) as client:
            with pytest.raises(httpx.ProxyError, match="got NO ACCEPTABLE METHODS"):
                await client.get("http://a.test/")


async def test_a_stalled_handshake_ends_as_a_timeout() -> None:
    """In the events of the client."""
    kinds: list[EventType] = []
    async with (
        FaultServer(Wire.stall) as proxy,
        AsyncResilientClient(
            proxy=f"socks5://127.0.0.1:{proxy.port}", timeout=httpx.Timeout(20, connect=0.2)
        ) as client,
    ):
        for kind in EventType:
            client.add_event_callback(kind, lambda event: kinds.append(event.event_type))
        with pytest.raises(httpx.ConnectTimeout):
            await client.request("GET", "http://a.test/")
    assert kinds == [EventType.TIMEOUT]
