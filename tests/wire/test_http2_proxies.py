"""HTTP/2 through proxies: the protocol is negotiated with the server behind the proxy."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from h2_servers import H2Wire, h2_client_context, h2_server
from proxy_handlers import Socks5Proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import REFUSALS
from typed_async_client.testing import FaultServer, Handler, SeenRequest, Wire, each_request

pytestmark = pytest.mark.usefixtures("no_leaks")

PROXIES = pytest.mark.parametrize(
    ("scheme", "proxy_of"), [("http", tunnel_proxy), ("socks5", Socks5Proxy)]
)


def h2_transport(scheme: str, proxy: FaultServer) -> AsyncPoolTransport:
    """Create a transport that uses HTTP/2 through a proxy."""
    return AsyncPoolTransport(
        http2=True, verify=h2_client_context(), proxy=f"{scheme}://127.0.0.1:{proxy.port}"
    )


@PROXIES
async def test_many_requests_share_one_connection_through_a_proxy(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """Thirty concurrent requests after a first one; the proxy carries one connection."""
    async with h2_server() as server, FaultServer(proxy_of()) as proxy:
        transport = h2_transport(scheme, proxy)
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            assert (await client.get(server.url)).http_version == "HTTP/2"
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(30)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert transport.statistics().opened == proxy.connections == 1


@PROXIES
async def test_concurrent_requests_share_a_proxied_connection_being_established(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """Thirty requests that start at the same time."""
    async with h2_server() as server, FaultServer(proxy_of()) as proxy:
        transport = h2_transport(scheme, proxy)
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(30)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert transport.statistics().opened == proxy.connections == 1


@PROXIES
async def test_a_goaway_through_a_proxy_is_honored(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """Accepted requests are answered; the others are resent through the proxy."""

    async def go_away_after_two(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.go_away(requests[1].stream_id)
        for request in requests[:2]:
            await wire.answer(request)
        await wire.read_to_end()

    async with h2_server(go_away_after_two) as server, FaultServer(proxy_of()) as proxy:
        transport = h2_transport(scheme, proxy)
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            tasks = [client.post(server.url, content=b"x") for _ in range(5)]
            responses = await asyncio.gather(*tasks)
            refusals = sorted(response.extensions.get(REFUSALS, 0) for response in responses)
            assert refusals == [0, 0, 1, 1, 1]
            assert transport.statistics().opened == proxy.connections == 2


async def test_a_proxy_that_refuses_the_tunnel_fails_every_waiting_request() -> None:
    """They were waiting for the same connection; each fails promptly."""
    refusing = tunnel_proxy(reply=b"HTTP/1.1 403 Forbidden\r\n\r\n", then=Wire.finish)
    async with FaultServer(refusing) as proxy:
        transport = AsyncPoolTransport(http2=True, proxy=f"http://127.0.0.1:{proxy.port}")
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            tasks = [client.get("https://behind.test/") for _ in range(20)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(result) for result in results} == {httpx.ProxyError}


@PROXIES
async def test_requests_to_an_http_1_server_behind_a_proxy_run_concurrently(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """None is lost or waits for another: the server responds once all have arrived."""
    together = asyncio.Barrier(10)

    async def answer_together(request: SeenRequest, wire: Wire) -> None:
        await together.wait()
        await wire.answer(200, request.body)

    async with (
        FaultServer(each_request(answer_together), tls=server_context()) as server,
        FaultServer(proxy_of()) as proxy,
    ):
        transport = AsyncPoolTransport(
            http2=True, verify=client_context(), proxy=f"{scheme}://127.0.0.1:{proxy.port}"
        )
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            bodies = [f"body {number}".encode() for number in range(10)]
            responses = await asyncio.gather(
                *(client.post(server.url, content=body) for body in bodies)
            )
            assert [response.content for response in responses] == bodies
            assert transport.statistics().opened == 10


@PROXIES
async def test_a_read_timeout_ends_only_its_own_request(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """As on a direct connection: the others, and later ones, are answered on it."""

    async def answer_others(wire: H2Wire) -> None:
        answered = 0
        while True:
            for request in (await wire.receive(answered + 1))[answered:]:
                answered += 1
                if request.path != "/slow":
                    await wire.answer(request)

    async with h2_server(answer_others) as server, FaultServer(proxy_of()) as proxy:
        transport = h2_transport(scheme, proxy)
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            slow = client.get(f"{server.url}slow", timeout=httpx.Timeout(20, read=0.1))
            slow_task = asyncio.ensure_future(slow)
            while not slow_task.done():
                assert (await client.get(server.url)).text == "ok"
            assert type(slow_task.exception()) is httpx.ReadTimeout
            assert (await client.get(server.url)).text == "ok"
            assert transport.statistics().opened == proxy.connections == 1
