"""Connections that are opened early through a proxy."""

import asyncio
from collections.abc import Callable

import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, h2_client_context, h2_server
from pool_helpers import pool_client
from proxy_handlers import Socks5Proxy, forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context
from warm_up_reports import report_of

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
)
from typed_async_client.testing import FaultServer, Handler, answer

pytestmark = pytest.mark.usefixtures("no_leaks")

PROXIES: list[tuple[str, Callable[[], Handler], bool]] = [
    ("http", forward_proxy, False),
    ("http", tunnel_proxy, True),
    ("socks5", Socks5Proxy, False),
    ("socks5", Socks5Proxy, True),
]


@pytest.mark.parametrize(("scheme", "proxy_of", "tls"), PROXIES)
async def test_connections_are_opened_through_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, scheme: str, proxy_of: Callable[[], Handler], *, tls: bool
) -> None:
    """With the tunnel and the TLS handshake in it, and without a request."""
    async with (
        FaultServer(answer(), tls=server_context() if tls else None) as server,
        FaultServer(proxy_of()) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        async with AsyncResilientClient(verify=client_context()) as client:
            reports = await client.warm_up([server.url], connections=2)
            assert reports == [report_of(server, opened=2)]
            assert (server.requests, proxy.connections) == ([], 2)
            tasks = [await client.get(server.url) for _ in range(2)]
            assert [(await task).status_code for task in tasks] == [200] * 2
            assert proxy.connections == 2


@pytest.mark.parametrize(("scheme", "proxy_of"), [("http", tunnel_proxy), ("socks5", Socks5Proxy)])
async def test_an_http2_connection_is_opened_through_a_proxy(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """One, for as many requests as there are; a second call finds it."""
    async with h2_server() as server, FaultServer(proxy_of()) as proxy:
        transport = AsyncPoolTransport(
            http2=True, verify=h2_client_context(), proxy=f"{scheme}://127.0.0.1:{proxy.port}"
        )
        async with pool_client(transport) as client:
            for opened in (1, 0):
                reports = await transport.warm_up([server.url], connections=2)
                assert reports == [report_of(server, opened=opened)]
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(5)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert proxy.connections == 1


async def test_a_request_that_joins_a_proxied_http2_connection_does_not_hold_up_the_warm_up() -> (
    None
):
    """The warm-up needs no stream, so it doesn't wait for one."""
    async with (
        h2_server(H2Wire.read_to_end, max_streams=1) as server,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        transport = AsyncPoolTransport(
            http2=True, verify=h2_client_context(), proxy=f"http://127.0.0.1:{proxy.port}"
        )
        async with pool_client(transport) as client:
            warming = asyncio.ensure_future(transport.warm_up([server.url]))
            await wait_until(lambda: transport.statistics().connecting == 1)
            request = asyncio.ensure_future(client.get(server.url))
            assert await warming == [report_of(server, opened=1)]
            request.cancel()
            await asyncio.wait([request])
