"""HTTP/2 and proxies together: who multiplexes is found out behind the proxy."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio
from h2_servers import speaking_h2, trusting_h2
from leftovers import leaving_nothing
from tls_contexts import trusted, trusting
from toy_proxies import Socks5Proxy, tunnelling

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Handler, SeenRequest, Wire, each_request

PROXIES = pytest.mark.parametrize(
    ("scheme", "proxy_of"), [("http", tunnelling), ("socks5", Socks5Proxy)]
)


@pytest_asyncio.fixture(autouse=True)
async def _nothing_left() -> AsyncIterator[None]:
    async with leaving_nothing():
        yield


@PROXIES
async def test_many_requests_share_one_connection_through_a_proxy(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """Thirty at once, after a first one; the proxy carries one connection."""
    async with speaking_h2() as server, FaultServer(proxy_of()) as proxy:
        transport = AsyncPoolTransport(
            http2=True, verify=trusting_h2(), proxy=f"{scheme}://127.0.0.1:{proxy.port}"
        )
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            assert (await client.get(server.url)).http_version == "HTTP/2"
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(30)))
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert transport.statistics().opened == proxy.connections == 1


@PROXIES
async def test_a_server_of_http_1_behind_a_proxy_serves_as_many_at_once_as_ever(
    scheme: str, proxy_of: Callable[[], Handler]
) -> None:
    """None is lost and none waits for another: the server answers when all of them are there."""
    together = asyncio.Barrier(10)

    async def answer_together(request: SeenRequest, wire: Wire) -> None:
        await together.wait()
        await wire.answer(200, request.body)

    async with (
        FaultServer(each_request(answer_together), tls=trusted()) as server,
        FaultServer(proxy_of()) as proxy,
    ):
        transport = AsyncPoolTransport(
            http2=True, verify=trusting(), proxy=f"{scheme}://127.0.0.1:{proxy.port}"
        )
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            bodies = [f"body {number}".encode() for number in range(10)]
            responses = await asyncio.gather(
                *(client.post(server.url, content=body) for body in bodies)
            )
            assert [response.content for response in responses] == bodies
            assert transport.statistics().opened == 10
