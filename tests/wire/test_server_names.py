"""A connection serves only requests that ask for the server name that its handshake verified."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from h2_servers import h2_client_context, h2_server
from proxy_handlers import Socks5Proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient
from typed_async_client.testing import FaultServer, answer

pytestmark = pytest.mark.usefixtures("no_leaks")

ROUTES = ["direct", "tunnel", "https tunnel", "socks5"]


@contextlib.asynccontextmanager
async def proxy_options(route: str) -> AsyncIterator[dict[str, Any]]:
    """Serve the proxy of a route, and yield the options that lead through it."""
    if route == "direct":
        yield {}
        return
    handler = Socks5Proxy() if route == "socks5" else tunnel_proxy()
    tls = server_context() if route == "https tunnel" else None
    async with FaultServer(handler, tls=tls) as proxy:
        scheme = {"tunnel": "http", "https tunnel": "https", "socks5": "socks5"}[route]
        url = f"{scheme}://127.0.0.1:{proxy.port}"
        yield {"proxy": httpx.Proxy(url, ssl_context=client_context() if tls else None)}


def asking_for(name: Any) -> dict[str, Any]:
    """Return the option of a request that names another server."""
    return {"extensions": {"sni_hostname": name}}


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("route", ROUTES)
async def test_a_connection_verified_for_one_name_serves_no_other(
    route: str,
    http2: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The server has no certificate for the second one."""
    server = h2_server() if http2 else FaultServer(answer(), tls=server_context())
    verify = h2_client_context() if http2 else client_context()
    async with server, proxy_options(route) as options:
        transport = AsyncPoolTransport(verify=verify, http2=http2, **options)
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(2):
                assert (await client.get(server.url)).status_code == 200
                with pytest.raises(httpx.ConnectError, match=r"b\.test"):
                    await client.get(server.url, **asking_for("b.test"))
        assert len(server.requests) == (0 if http2 else 2)


@pytest.mark.parametrize("route", ROUTES)
async def test_each_name_has_connections_of_its_own(route: str) -> None:
    """They are reused for that name; its case doesn't matter, nor does naming the host itself."""
    names: list[str] = []
    tls = server_context.__wrapped__()  # not the cached one, since it is modified
    tls.sni_callback = lambda _, name, __: names.append(name)
    async with FaultServer(answer(), tls=tls) as server, proxy_options(route) as options:
        url = f"https://127.0.0.1:{server.port}/"
        async with AsyncResilientClient(verify=client_context(), **options) as client:
            for name in ("localhost", None, "LocalHost", b"localhost", "127.0.0.1", None):
                given = {} if name is None else asking_for(name)
                assert (await (await client.get(url, **given))).status_code == 200
        assert (names, server.connections) == (["localhost", None], 2)


async def test_the_name_says_nothing_about_plain_http() -> None:
    """There is no handshake."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        for name in ("a.test", "b.test"):
            await (await client.get(server.url, **asking_for(name)))
        assert server.connections == 1


@pytest.mark.parametrize("route", ROUTES)
async def test_a_name_may_be_given_as_bytes(route: str) -> None:
    """As those of httpcore may."""
    tls = server_context()
    async with FaultServer(answer(), tls=tls) as server, proxy_options(route) as options:
        url = f"https://127.0.0.1:{server.port}/"
        transport = AsyncPoolTransport(verify=client_context(), **options)
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get(url, **asking_for(b"localhost"))).status_code == 200
