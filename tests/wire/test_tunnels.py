"""Every kind of proxy that works, refuses, resets, closes half-way, stalls or lies."""

import dataclasses
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from proxy_kinds import KINDS, PASSWORD, USER, Kind, through

from typed_async_client.testing import Handler, Wire

pytestmark = pytest.mark.usefixtures("no_leaks")

ALL_KINDS = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())

OPENED = b"HTTP/1.1 200 Connected\r\n\r\n"


# Proxies that work


@ALL_KINDS
@pytest.mark.parametrize("with_auth", [False, True], ids=["no auth", "auth"])
async def test_two_requests_share_a_connection(kind: Kind, *, with_auth: bool) -> None:
    """With the credentials of the proxy's URL if it wants any; the origin doesn't see them."""
    user = f"{USER}:{PASSWORD}@" if with_auth else ""
    handler = kind.handler(with_auth=with_auth)
    async with kind.origin() as origin, through(kind, handler, user=user) as (client, pool, proxy):
        for _ in range(2):
            response = await client.get(origin.url.replace("localhost", "127.0.0.1"))
            assert (response.text, response.http_version) == (
                "ok",
                "HTTP/2" if kind.http2 else "HTTP/1.1",
            )
        assert (proxy.connections, pool.statistics().idle) == (1, 1)
        assert all("proxy-authorization" not in seen.headers for seen in origin.requests)


@ALL_KINDS
async def test_a_client_that_gives_no_credentials_fails_where_they_are_needed(kind: Kind) -> None:
    """Only a forward proxy can say so with a response; the others are asked before the request."""
    async with through(kind, kind.handler(with_auth=True)) as (client, _, proxy):
        if kind.family == "forward":
            assert (await client.get(kind.failing_url)).status_code == 407
        else:
            with pytest.raises(httpx.ProxyError):
                await client.get(kind.failing_url)
        assert proxy.connections == 1


@ALL_KINDS
async def test_answers_may_arrive_in_pieces(kind: Kind) -> None:
    """Byte by byte, and an interim response may precede the answer to CONNECT."""

    async def send_slowly(wire: Wire, data: bytes) -> None:
        for position in range(len(data)):
            await Wire.send(wire, data[position : position + 1])

    class Slow:
        """A wire that sends all it sends slowly, until the tunnel is open."""

        def __init__(self, wire: Wire) -> None:
            self._wire = wire

        async def send(self, data: bytes) -> None:
            if data == OPENED:
                data = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + data
            small = len(data) < 100
            await (send_slowly(self._wire, data) if small else self._wire.send(data))

        def __getattr__(self, name: str) -> object:
            return getattr(self._wire, name)

    handler = kind.handler()

    async def slow(wire: Wire) -> None:
        await handler(Slow(wire))  # type: ignore[arg-type]  # it has the same methods

    async with kind.origin() as origin, through(kind, slow) as (client, _, _):
        response = await client.get(origin.url.replace("localhost", "127.0.0.1"))
        assert response.text == "ok"


# Proxies that don't

Act = Callable[[Wire], Awaitable[None]]


def after(size: int, *actions: bytes | Act) -> Handler:
    """Read a request, then send bytes and do what else there is to do.

    Args:
        size: reads before that: one for the head of a request, more for the questions of SOCKS.
        actions: what to send, and what to do.
    """

    async def handler(wire: Wire) -> None:
        for _ in range(size - 1):
            await wire.read(1000)
            await wire.send(b"\x05\x00")
        await wire.read(1000)
        for action in actions:
            await (wire.send(action) if isinstance(action, bytes) else action(wire))

    return handler


async def reset(wire: Wire) -> None:
    """Reset the connection."""
    wire.reset()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a proxy does, and the error: its class, and its message after the name of the server."""

    family: str
    does: Handler
    error: type[Exception]
    message: str


NO_TUNNEL = "no tunnel to SERVER: "
LOST = "connection lost while waiting for a tunnel to SERVER: Connection reset by peer"
CLOSED = "Server disconnected without sending a response."
EARLY = "cannot connect to SERVER: the peer sent bytes before the TLS handshake"
SOCKS_OK = b"\x05\x00\x00\x01" + bytes(6)


def tunnel(does: Handler, error: type[Exception], message: str) -> Fault:
    """Return a fault of a proxy that is asked for a tunnel."""
    return Fault(family="tunnel", does=does, error=error, message=message)


def socks(does: Handler, error: type[Exception], message: str) -> Fault:
    """Return a fault of a SOCKS proxy."""
    return Fault(family="socks", does=does, error=error, message=message)


def forward(does: Handler, error: type[Exception], message: str) -> Fault:
    """Return a fault of a forward proxy."""
    return Fault(family="forward", does=does, error=error, message=message)


FAULTS = {
    "tunnel: 407": tunnel(
        after(1, b"HTTP/1.1 407 Who are you\r\nContent-Length: 3\r\n\r\nno!"),
        httpx.ProxyError,
        NO_TUNNEL + "407 Who are you",
    ),
    "tunnel: 502": tunnel(after(1, b"HTTP/1.1 502 \r\n\r\n"), httpx.ProxyError, NO_TUNNEL + "502"),
    "tunnel: a redirect": tunnel(
        after(1, b"HTTP/1.1 302 Found\r\nLocation: http://b.test/\r\n\r\n"),
        httpx.ProxyError,
        NO_TUNNEL + "302 Found",
    ),
    "tunnel: a long reason": tunnel(
        after(1, b"HTTP/1.1 502 " + b"x" * 9999 + b"\r\n\r\n"),
        httpx.ProxyError,
        NO_TUNNEL + "502 " + "x" * 100,
    ),
    "tunnel: resets": tunnel(after(1, reset), httpx.ReadError, LOST),
    "tunnel: closes": tunnel(after(1), httpx.RemoteProtocolError, NO_TUNNEL + CLOSED),
    "tunnel: closes half-way": tunnel(
        after(1, b"HTTP/1.1 200 Conn"), httpx.RemoteProtocolError, NO_TUNNEL + CLOSED
    ),
    "tunnel: closes after an interim response": tunnel(
        after(1, b"HTTP/1.1 102 Processing\r\n\r\n"),
        httpx.RemoteProtocolError,
        NO_TUNNEL + CLOSED,
    ),
    "tunnel: stalls": tunnel(
        after(1, Wire.stall), httpx.ReadTimeout, "no tunnel to SERVER within 0.05 s (read timeout)"
    ),
    "tunnel: stalls half-way": tunnel(
        after(1, b"HTTP/1.1 200 Conn", Wire.stall),
        httpx.ReadTimeout,
        "no tunnel to SERVER within 0.05 s (read timeout)",
    ),
    "tunnel: garbage": tunnel(
        after(1, b"\x05\x00\x00\r\n\r\n", Wire.stall), httpx.RemoteProtocolError, NO_TUNNEL
    ),
    "tunnel: another protocol": tunnel(
        after(1, b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
        httpx.RemoteProtocolError,
        NO_TUNNEL,
    ),
    "SOCKS: refuses the method": socks(
        after(1, b"\x05\xff"),
        httpx.ProxyError,
        NO_TUNNEL
        + "requested NO AUTHENTICATION REQUIRED from the proxy, but got NO ACCEPTABLE METHODS",
    ),
    "SOCKS: refuses": socks(
        after(2, b"\x05\x02\x00\x01" + bytes(6)),
        httpx.ProxyError,
        NO_TUNNEL + "the proxy could not connect: Connection not allowed by ruleset",
    ),
    "SOCKS: an unknown code": socks(
        after(2, b"\x05\xf4\x00\x01" + bytes(6)),
        httpx.ProxyError,
        NO_TUNNEL + "the proxy could not connect: code 244",
    ),
    "SOCKS: resets": socks(after(1, reset), httpx.ReadError, LOST),
    "SOCKS: resets later": socks(after(2, reset), httpx.ReadError, LOST),
    "SOCKS: closes": socks(
        after(1), httpx.ProxyError, NO_TUNNEL + "the proxy closed the connection"
    ),
    "SOCKS: closes half-way": socks(
        after(2, b"\x05\x00\x00"), httpx.ProxyError, NO_TUNNEL + "the proxy closed the connection"
    ),
    "SOCKS: stalls": socks(
        after(2, b"\x05\x00", Wire.stall),
        httpx.ConnectTimeout,
        "no connection to SERVER within 0.1 s (connect timeout): timed out during the SOCKS handshake",
    ),
    "SOCKS: speaks HTTP": socks(
        after(1, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        httpx.ProxyError,
        NO_TUNNEL + "no valid answer of a SOCKS proxy: Malformed reply",
    ),
    "SOCKS: another version": socks(
        after(2, b"\x04" + SOCKS_OK[1:]),
        httpx.ProxyError,
        NO_TUNNEL + "no valid answer of a SOCKS proxy: Malformed reply",
    ),
    "SOCKS: an unknown kind of address": socks(
        after(2, b"\x05\x00\x00\x09" + bytes(6)),
        httpx.ProxyError,
        NO_TUNNEL + "no valid answer of a SOCKS proxy: Malformed reply",
    ),
    "SOCKS: a name that is no text": socks(
        after(2, b"\x05\x00\x00\x03\x01\xff\x00\x50"),
        httpx.ProxyError,
        NO_TUNNEL + "no valid answer of a SOCKS proxy: Malformed reply",
    ),
    "forward: resets": forward(
        after(1, reset),
        httpx.ReadError,
        "connection to SERVER lost while waiting for the response: Connection reset by peer",
    ),
    "forward: closes": forward(
        after(1), httpx.RemoteProtocolError, "no valid response from SERVER: " + CLOSED
    ),
    "forward: closes half-way": forward(
        after(1, b"HTTP/1.1 200 O"),
        httpx.RemoteProtocolError,
        "no valid response from SERVER: " + CLOSED,
    ),
    "forward: stalls": forward(
        after(1, Wire.stall),
        httpx.ReadTimeout,
        "no response from SERVER within 0.05 s (read timeout)",
    ),
    "forward: garbage": forward(
        after(1, b"\x05\x00\x00\r\n\r\n", Wire.stall),
        httpx.RemoteProtocolError,
        "no valid response from SERVER: ",
    ),
}

EARLY_BYTES = {
    "tunnel: early bytes": tunnel(after(1, OPENED + b"bad", Wire.stall), httpx.ConnectError, EARLY),
    "tunnel: a successful answer with a body": tunnel(
        after(1, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", Wire.stall),
        httpx.ConnectError,
        EARLY,
    ),
    "tunnel: a chunked body": tunnel(
        after(1, b"HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Wire.stall),
        httpx.ConnectError,
        EARLY,
    ),
    "SOCKS: early bytes": socks(after(2, SOCKS_OK + b"bad", Wire.stall), httpx.ConnectError, EARLY),
}
"""What a proxy sends before the TLS handshake, as if it came from the origin."""

TABLE = {
    f"{name} ({label})": (fault, kind)
    for name, fault in (FAULTS | EARLY_BYTES).items()
    for label, kind in KINDS.items()
    if kind.family == fault.family and (kind.tls or name not in EARLY_BYTES)
}


@pytest.mark.parametrize(("fault", "kind"), TABLE.values(), ids=TABLE.keys())
async def test_a_proxy_that_fails_is_reported(fault: Fault, kind: Kind) -> None:
    """With the class and the words for what it did; it is asked once, and nothing stays open."""
    limit = {"connect": 0.1} if kind.family == "socks" else {"read": 0.05}
    timeout = httpx.Timeout(20.0, **limit) if "within" in fault.message else 20.0
    async with through(kind, fault.does, timeout=timeout) as (client, pool, proxy):
        with pytest.raises(fault.error) as raised:
            await client.get(kind.failing_url)
        text = re.sub(r":\d{4,5}\b", ":PORT", str(raised.value))
        port = 443 if kind.tls else 80
        server = f"a.test:{port} through the proxy 127.0.0.1:PORT"
        expected = "GET: " + fault.message.replace("SERVER", server)
        assert type(raised.value) is fault.error
        assert text == expected or (expected.endswith(": ") and text.startswith(expected))
        statistics = pool.statistics()
        assert (proxy.connections, statistics.active, statistics.idle) == (1, 0, 0)
