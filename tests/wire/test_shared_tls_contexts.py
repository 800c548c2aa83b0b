"""A TLS context that the caller shares: each pool speaks its own protocol, and nothing is changed."""

import asyncio
import ssl
from collections import Counter
from typing import Any

import httpx
import pytest
import trustme
from h2_servers import H2Wire
from proxy_handlers import tunnel_proxy

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.net.alpn import offered_protocols
from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("no_leaks")


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Create a context of a server that prefers HTTP/2, and one of a client with its own ALPN."""
    ca = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    client.set_alpn_protocols(["mqtt"])
    return server, client


async def serve_either(wire: Wire) -> None:
    """Answer with the protocol that was agreed on."""
    tls = wire.transport.get_extra_info("ssl_object")
    if tls.selected_alpn_protocol() == "h2":
        h2_wire = H2Wire(wire, 100)
        await h2_wire.start()
        await h2_wire.answer_remaining()
    while await wire.read_request():
        await wire.answer(200, b"ok")


@pytest.mark.parametrize("tunneled", [False, True], ids=["direct", "tunnel"])
async def test_pools_that_share_a_context_each_speak_their_protocol(*, tunneled: bool) -> None:
    """Although they connect at the same time; the caller's own list is the same afterwards."""
    server_context, shared = contexts()
    async with (
        FaultServer(serve_either, tls=server_context) as server,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        options: Any = {"proxy": f"http://127.0.0.1:{proxy.port}"} if tunneled else {}

        async def ask(*, http2: bool) -> tuple[bool, str]:
            transport = AsyncPoolTransport(verify=shared, http2=http2, **options)
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                return http2, (await client.get(server.url)).http_version

        answers = await asyncio.gather(*(ask(http2=number % 2 == 0) for number in range(20)))
        assert Counter(answers) == {(True, "HTTP/2"): 10, (False, "HTTP/1.1"): 10}
        assert proxy.connections == (20 if tunneled else 0)
    assert offered_protocols(shared) == ["mqtt"]


async def test_so_do_clients() -> None:
    """Their pools get the context that was passed as ``verify``."""
    server_context, shared = contexts()
    async with (
        FaultServer(serve_either, tls=server_context) as server,
        AsyncResilientClient(verify=shared, http2=True) as one,
        AsyncResilientClient(verify=shared) as other,
    ):
        tasks = [await client.get(server.url) for client in (one, other)]
        responses = await asyncio.gather(*tasks)
        assert [response.http_version for response in responses] == ["HTTP/2", "HTTP/1.1"]
    assert offered_protocols(shared) == ["mqtt"]


async def test_an_https_proxy_with_a_context_of_the_caller_leaves_it_as_it_is() -> None:
    """The connection to the proxy is one of TLS as well."""
    server_context, shared = contexts()
    async with (
        FaultServer(serve_either, tls=server_context) as server,
        FaultServer(tunnel_proxy(), tls=server_context) as proxy,
    ):
        transport = AsyncPoolTransport(
            verify=shared, proxy=httpx.Proxy(proxy.url, ssl_context=shared)
        )
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            assert (await client.get(server.url)).text == "ok"
        assert proxy.connections == 1
    assert offered_protocols(shared) == ["mqtt"]
