"""Requests through proxies on real sockets: forward, tunnel, SOCKS5 and TLS in TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import httpx
import pytest
from leak_checks import count_sockets_to
from proxy_handlers import Socks5Proxy, basic_auth, forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context, unknown_issuer

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, refuse_private_addresses
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request, stall

pytestmark = pytest.mark.usefixtures("no_leaks")

BODY = bytes(range(256)) * 8000


async def echo_body(request: SeenRequest, wire: Wire) -> None:
    """Answer with the request body."""
    await wire.answer(200, request.body)


def client_through(proxy: "str | httpx.Proxy") -> AsyncResilientClient:
    """Create a client that uses a proxy and doesn't retry."""
    return AsyncResilientClient(proxy=proxy, verify=client_context(), max_retries=0)


def proxy_url(proxy: FaultServer, scheme: str, user: str = "") -> str:
    """Return the URL of a proxy."""
    return f"{scheme}://{user}127.0.0.1:{proxy.port}"


# Forward proxies


async def test_an_http_request_goes_through_a_forward_proxy() -> None:
    """Its target is absolute, and one connection to the proxy serves many origins."""
    async with (
        FaultServer(answer(200, b"first")) as first,
        FaultServer(answer(200, b"second")) as second,
        FaultServer(forward_proxy()) as proxy,
        client_through(proxy_url(proxy, "http")) as client,
    ):
        for server, body in [(first, b"first"), (second, b"second"), (first, b"first")]:
            assert (await (await client.get(server.url + "path"))).content == body
        assert [request.target for request in proxy.requests] == [
            f"{first.url}path",
            f"{second.url}path",
            f"{first.url}path",
        ]


async def test_a_forward_proxy_accepts_valid_credentials() -> None:
    """They come from the proxy's URL, and aren't sent to the server."""
    handler = forward_proxy(required_auth=basic_auth("ann", "s3cret"))
    async with (
        FaultServer(answer()) as server,
        FaultServer(handler) as proxy,
        client_through(proxy_url(proxy, "http", "ann:s3cret@")) as client,
    ):
        assert (await (await client.get(server.url))).status_code == 200
        assert "proxy-authorization" not in server.requests[0].headers


async def test_a_forward_proxy_answers_407_to_missing_credentials() -> None:
    """It's a response like any other, and nothing reaches the server."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(forward_proxy(required_auth="nobody")) as proxy,
        client_through(proxy_url(proxy, "http")) as client,
    ):
        assert (await (await client.get(server.url))).status_code == 407
        assert server.connections == 0


async def test_an_unreachable_proxy_is_a_connect_error() -> None:
    """The request isn't sent to the server directly."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(forward_proxy(), refusing=True) as proxy,
        client_through(proxy_url(proxy, "http")) as client,
    ):
        with pytest.raises(httpx.ConnectError):
            await (await client.get(server.url))
        assert server.connections == 0


# Tunnels


@pytest.mark.parametrize("secured_proxy", [False, True], ids=["http proxy", "https proxy"])
async def test_tls_passes_through_a_tunnel(*, secured_proxy: bool) -> None:
    """Large bodies both ways on one connection; with an https proxy, it's TLS in TLS."""
    async with (
        FaultServer(each_request(echo_body), tls=server_context()) as server,
        FaultServer(tunnel_proxy(), tls=server_context() if secured_proxy else None) as proxy,
    ):
        url = httpx.URL(proxy.url)
        async with client_through(httpx.Proxy(url, ssl_context=_context_for(url))) as client:
            for _ in range(3):
                assert (await (await client.post(server.url, content=BODY))).content == BODY
        assert (server.connections, proxy.connections) == (1, 1)
        assert [(seen.method, seen.target) for seen in proxy.requests] == [
            ("CONNECT", f"localhost:{server.port}")
        ]


def _context_for(url: httpx.URL) -> ssl.SSLContext | None:
    return client_context() if url.scheme == "https" else None


async def test_concurrent_requests_each_open_a_tunnel() -> None:
    """All of them are closed afterwards."""
    async with (
        FaultServer(each_request(echo_body), tls=server_context()) as server,
        FaultServer(tunnel_proxy(), tls=server_context()) as proxy,
    ):
        settings = httpx.Proxy(proxy.url, ssl_context=client_context())
        async with client_through(settings) as client:
            bodies = [str(number).encode() * 1000 for number in range(20)]
            tasks = [await client.post(server.url, content=body) for body in bodies]
            assert [(await task).content for task in tasks] == bodies


async def test_a_tunnel_is_opened_with_credentials() -> None:
    """They are sent with CONNECT, but not with the request inside."""
    handler = tunnel_proxy(required_auth=basic_auth("ann", "s3cret"))
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(handler) as proxy,
        client_through(proxy_url(proxy, "http", "ann:s3cret@")) as client,
    ):
        assert (await (await client.get(server.url))).status_code == 200
        assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "handler",
    [
        tunnel_proxy(required_auth="nobody"),
        tunnel_proxy(reply=b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    ],
    ids=["407", "502"],
)
async def test_a_refused_tunnel_is_a_proxy_error(
    handler: Callable[[Wire], Awaitable[None]],
) -> None:
    """Nothing reaches the server."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(handler) as proxy,
        client_through(proxy_url(proxy, "http")) as client,
    ):
        with pytest.raises(httpx.ProxyError):
            await (await client.get(server.url))
        assert server.connections == 0


async def _close(wire: Wire) -> None:
    """Return immediately, which closes the connection."""


async def _reset(wire: Wire) -> None:
    wire.reset()


@pytest.mark.parametrize("then", [_close, _reset])
async def test_a_tunnel_that_closes_immediately_is_a_connect_error(
    then: Callable[[Wire], Awaitable[None]],
) -> None:
    """Which is noticed without a timeout."""
    async with (
        FaultServer(tunnel_proxy(then=then)) as proxy,
        AsyncResilientClient(
            proxy=proxy_url(proxy, "http"), verify=client_context(), max_retries=0, timeout=None
        ) as client,
    ):
        with pytest.raises((httpx.ConnectError, httpx.ReadError)):
            await (await client.get("https://localhost:1/"))


async def test_data_injected_by_a_proxy_before_the_handshake_is_refused() -> None:
    """It is never read as if the server had sent it over TLS, and nothing is sent to the server."""
    reply = b"HTTP/1.1 200 Connected\r\n\r\n"
    injected = reply + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
    async with (
        FaultServer(answer(200, b"good"), tls=server_context()) as server,
        FaultServer(tunnel_proxy(reply=injected)) as proxy,
        client_through(proxy_url(proxy, "http")) as client,
    ):
        with pytest.raises(httpx.ConnectError, match="sent bytes before the TLS handshake"):
            await (await client.get(server.url))
        assert server.requests == []


@pytest.mark.parametrize("secured_proxy", [False, True], ids=["http proxy", "https proxy"])
async def test_an_untrusted_certificate_behind_a_tunnel_is_rejected(*, secured_proxy: bool) -> None:
    """A tunnel doesn't change which certificates are trusted, nor what the error says."""
    async with (
        FaultServer(answer(), tls=unknown_issuer()) as server,
        FaultServer(tunnel_proxy(), tls=server_context() if secured_proxy else None) as proxy,
    ):
        url = httpx.URL(proxy.url)
        async with client_through(httpx.Proxy(url, ssl_context=_context_for(url))) as client:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await (await client.get(server.url))
        assert server.requests == []


@pytest.mark.parametrize("turns", [1, 3, 5, 8, 13, 21, 34, 55, 89])
async def test_a_cancelled_tunnel_leaves_no_socket(turns: int) -> None:
    """At any point: before or after CONNECT, or in the inner TLS handshake."""
    async with (
        FaultServer(tunnel_proxy(then=stall), tls=server_context()) as proxy,
        client_through(httpx.Proxy(proxy.url, ssl_context=client_context())) as client,
    ):
        task = await client.get("https://localhost:1/")
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        for _ in range(5):
            await asyncio.sleep(0)
        assert count_sockets_to(proxy.port) == 0


async def test_the_address_guard_checks_the_proxy() -> None:
    """The client connects to the proxy, not to the server."""
    async with FaultServer(forward_proxy()) as proxy:
        transport = AsyncPoolTransport(
            proxy=proxy_url(proxy, "http"), address_guard=refuse_private_addresses
        )
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("http://93.184.216.34/")
        assert proxy.connections == 0


# SOCKS5


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_request_goes_through_a_socks_proxy(scheme: str, *, tls: bool) -> None:
    """The proxy receives the server's name, and the connection is reused."""
    socks = Socks5Proxy()
    async with (
        FaultServer(each_request(echo_body), tls=server_context() if tls else None) as server,
        FaultServer(socks) as proxy,
        client_through(proxy_url(proxy, scheme)) as client,
    ):
        for _ in range(2):
            assert (await (await client.post(server.url, content=BODY))).content == BODY
        assert socks.targets == [("localhost" if tls else "127.0.0.1", server.port)]


async def test_a_socks_proxy_accepts_valid_credentials() -> None:
    """They come from the proxy's URL."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(Socks5Proxy(credentials=("ann", "s3cret"))) as proxy,
        client_through(proxy_url(proxy, "socks5", "ann:s3cret@")) as client,
    ):
        assert (await (await client.get(server.url))).status_code == 200


@pytest.mark.parametrize(
    ("socks", "reason"),
    [
        (Socks5Proxy(credentials=("ann", "s3cret")), "Invalid username/password"),
        (
            Socks5Proxy(credentials=("ann", "wrong"), reply=5),
            "could not connect: Connection refused",
        ),
    ],
    ids=["a wrong password", "a closed port"],
)
async def test_a_request_refused_by_a_socks_proxy_is_a_proxy_error(
    socks: Socks5Proxy, reason: str
) -> None:
    """The error says why."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(socks) as proxy,
        client_through(proxy_url(proxy, "socks5", "ann:wrong@")) as client,
    ):
        with pytest.raises(httpx.ProxyError, match=reason):
            await (await client.get(server.url))
        assert server.connections == 0
