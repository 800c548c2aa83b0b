"""What is sent through proxies and to them: targets, headers, early bytes, server names, options."""

import asyncio
import logging
import socket
from typing import Any

import httpx
import pytest
from h2_servers import H2Wire
from pool_helpers import ip_url
from proxy_handlers import tunnel_proxy
from proxy_kinds import KINDS, PASSWORD, USER, through
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Wire, answer

pytestmark = pytest.mark.usefixtures("no_leaks")


# Targets


async def test_a_target_that_is_given_belongs_to_the_origin() -> None:
    """A forward proxy gets it in absolute form; a tunnel still leads to the host of the URL."""
    given: dict[str, Any] = {"extensions": {"target": b"/given?x"}}
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(answer()) as forwarding,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        transport = AsyncPoolTransport(proxy=ip_url(forwarding))
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("http://a.test/url", **given)
            await client.options("http://a.test/", extensions={"target": b"*"})
        targets = [request.target for request in forwarding.requests]
        assert targets == ["http://a.test/given?x", "http://a.test"]
        transport = AsyncPoolTransport(proxy=ip_url(proxy), verify=client_context())
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(server.url + "url", **given)
        assert [request.target for request in proxy.requests] == [f"localhost:{server.port}"]
        assert [request.target for request in server.requests] == ["/given?x"]


async def test_headers_for_the_proxy_reach_only_the_proxy() -> None:
    """A forward proxy gets those of the request as well, which win; a tunnel gets its own."""
    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(answer()) as forwarding,
        FaultServer(tunnel_proxy()) as proxy,
    ):
        for url, to in (("http://a.test/", forwarding), (server.url, proxy)):
            settings = httpx.Proxy(ip_url(to), headers={"X-Zone": "1", "Accept": "x/y"})
            transport = AsyncPoolTransport(proxy=settings, verify=client_context())
            async with httpx.AsyncClient(transport=transport) as client:
                await client.get(url, headers={"x-zone": "2", "Accept": "a/b"})
        assert forwarding.requests[0].headers["x-zone"] == "2"
        assert forwarding.requests[0].headers["accept"] == "a/b"
        assert proxy.requests[0].headers == {
            "host": f"localhost:{server.port}",
            "x-zone": "1",
            "accept": "x/y",
        }
        assert server.requests[0].headers["x-zone"] == "2"


@pytest.mark.parametrize("host", ["[::1]", "[fe80::1%25lo]", "A.test."])
async def test_http2_without_tls_asks_for_a_tunnel(host: str) -> None:
    """Its host is written as in any authority."""
    async with through(KINDS["tunnel to HTTP/2 without TLS"], answer(502)) as (client, _, proxy):
        with pytest.raises(httpx.ProxyError):
            await client.get(f"http://{host}/")
    written = {"A.test.": "a.test."}.get(host, host.replace("%25lo", ""))
    assert [(seen.method, seen.target) for seen in proxy.requests] == [("CONNECT", f"{written}:80")]


async def test_settings_that_arrive_with_the_answer_are_those_of_the_origin() -> None:
    """An HTTP/2 server may speak first, if there is no TLS handshake."""

    async def answer_with_settings(wire: Wire) -> None:
        await wire.read_request()
        origin = H2Wire(wire, 7)
        await origin.start(behind=b"HTTP/1.1 200 Connected\r\n\r\n")
        await origin.answer_remaining()

    kind = KINDS["tunnel to HTTP/2 without TLS"]
    async with through(kind, answer_with_settings) as (client, _, proxy):
        responses = await asyncio.gather(*(client.get("http://a.test/") for _ in range(5)))
        assert [response.text for response in responses] == ["ok"] * 5
        assert proxy.connections == 1


async def test_bytes_before_the_request_are_refused_where_http_1_speaks_second() -> None:
    """They would be read as the response: ``ws`` has no TLS handshake that shows it."""
    early = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with FaultServer(tunnel_proxy(reply=early, then=Wire.stall)) as proxy:
        transport = AsyncPoolTransport(proxy=ip_url(proxy))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectError, match="sent bytes before the request"):
                await client.get("ws://a.test/")


@pytest.mark.parametrize("kind", ["tunnel", "SOCKS"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_websockets_go_through_a_tunnel_and_use_tls_if_they_say_so(
    kind: str, scheme: str
) -> None:
    """RFC 6455 section 4.1."""
    used = KINDS[kind]
    tls = server_context() if scheme == "wss" else None
    async with (
        FaultServer(answer(), tls=tls) as server,
        through(used, used.handler()) as (client, _, proxy),
    ):
        response = await client.get(f"{scheme}://127.0.0.1:{server.port}/")
        assert (response.text, proxy.connections) == ("ok", 1)


# Options


async def test_the_server_name_of_a_request_is_not_the_one_of_the_proxy() -> None:
    """The proxy is verified for its own host, and asked for the tunnel."""
    kind = KINDS["tunnel over TLS"]
    async with kind.origin() as origin, through(kind, kind.handler()) as (client, _, proxy):
        with pytest.raises(httpx.ConnectError, match=r"not valid for 'b\.test'"):
            await client.get(origin.url, extensions={"sni_hostname": "b.test"})
        assert [request.method for request in proxy.requests] == ["CONNECT"]


@pytest.mark.parametrize("kind", ["forward", "tunnel", "SOCKS"])
async def test_options_of_sockets_apply_to_the_connection_to_a_proxy(kind: str) -> None:
    """And so does the local address."""
    used = KINDS[kind]
    peers: list[Any] = []

    async def note_peer(wire: Wire) -> None:
        peers.append(wire.transport.get_extra_info("peername")[0])
        await used.handler()(wire)

    keepalive = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options: dict[str, Any] = {"local_address": "127.0.0.2", "socket_options": keepalive}
    async with used.origin() as origin, through(used, note_peer, **options) as (client, _, _):
        response = await client.send(client.build_request("GET", ip_url(origin)), stream=True)
        try:
            stream = response.extensions["network_stream"]
            sock = stream.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        finally:
            await response.aclose()
    assert peers == ["127.0.0.2"]


@pytest.mark.parametrize("kind", ["forward", "tunnel", "SOCKS"])
async def test_credentials_are_not_logged(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """By no logger, at no level."""
    used = KINDS[kind]
    caplog.set_level(logging.DEBUG)
    user = f"{USER}:{PASSWORD}@"
    async with (
        used.origin() as origin,
        through(used, used.handler(with_auth=True), user=user) as (client, _, _),
    ):
        assert (await client.get(ip_url(origin))).text == "ok"
    assert "httpcore" in caplog.text
    assert USER not in caplog.text
    assert PASSWORD not in caplog.text


async def test_a_name_that_socks_cannot_carry_is_refused() -> None:
    """Its length is sent in one byte."""
    kind = KINDS["SOCKS"]
    host = ".".join(["a" * 60] * 5)
    async with through(kind, kind.handler()) as (client, _, _):
        with pytest.raises(httpx.ProxyError, match="at most 255 bytes"):
            await client.get(f"http://{host}/")
