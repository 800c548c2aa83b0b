"""An event loop that is blocked for longer than a timeout: the server isn't to blame for it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fake_dns import resolve_to
from h2_servers import h2_client_context, h2_server
from proxy_handlers import Socks5Proxy, forward_proxy, tunnel_proxy
from steady_loop import advance
from tls_contexts import at_most_tls_1_2, client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, Handler, answer

ROUTES = ["direct", "two addresses", "TLS", "TLS 1.2", "HTTP/2", "forward", "tunnel", "SOCKS"]
"""How a request reaches its server."""

TIMEOUT = 1.0
"""Seconds, for each phase."""


@contextlib.asynccontextmanager
async def opened(route: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Open a server, perhaps a proxy, and a client; return the client and a URL."""
    tls = {"TLS": server_context, "TLS 1.2": at_most_tls_1_2, "tunnel": server_context}.get(route)
    handlers: dict[str, Callable[[], Handler]] = {
        "forward": forward_proxy,
        "tunnel": tunnel_proxy,
        "SOCKS": Socks5Proxy,
    }
    options: dict[str, Any] = {"verify": client_context()}
    server = FaultServer(answer(), tls=tls and tls())
    if route == "HTTP/2":
        server, options = h2_server(), {"verify": h2_client_context(), "http2": True}
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        if route in handlers:
            proxy = await stack.enter_async_context(FaultServer(handlers[route]()))
            scheme = "socks5" if route == "SOCKS" else "http"
            options["proxy"] = f"{scheme}://127.0.0.1:{proxy.port}"
        transport = AsyncPoolTransport(**options)
        client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT)
        # Only the routes without TLS look a name up: certificates are for localhost.
        url = server.url.replace("//127.0.0.1:", "//server.test:")
        yield await stack.enter_async_context(client), url


async def status_when_blocked(route: str, turns: int, block: Callable[[], None]) -> int:
    """Block the loop after a number of its turns, while a request is made; return its status."""
    async with opened(route) as (client, url):
        task = asyncio.ensure_future(client.get(url))
        for _ in range(turns):
            await asyncio.sleep(0)
        block()
        return (await task).status_code


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("route", ROUTES)
async def test_a_request_succeeds_whenever_the_loop_is_blocked(
    monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """In each turn of the loop: while a name is resolved, in a handshake, before the response."""
    addresses = ["127.0.0.1", "::1"] if route == "two addresses" else ["127.0.0.1"]
    resolve_to(monkeypatch, {"server.test": addresses})
    for turns in range(60):
        status = await status_when_blocked(route, turns, lambda: advance(1.5 * TIMEOUT))
        assert status == 200, turns


async def test_a_request_that_waits_for_a_connection_gets_it_whenever_the_loop_is_blocked() -> None:
    """The request before it has ended by then."""
    limits = httpx.Limits(max_connections=1)
    for turns in range(30):
        async with (
            FaultServer(answer()) as server,
            httpx.AsyncClient(
                transport=AsyncPoolTransport(limits=limits), timeout=TIMEOUT
            ) as client,
        ):
            tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            advance(1.5 * TIMEOUT)
            responses = await asyncio.gather(*tasks)
            assert [response.status_code for response in responses] == [200] * 3, turns


@pytest.mark.parametrize("route", ["direct", "TLS", "tunnel"])
def test_a_request_succeeds_on_a_blocked_uvloop(
    monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """Which fires its timers before it looks at its sockets."""
    uvloop = pytest.importorskip("uvloop")
    resolve_to(monkeypatch, {"server.test": ["127.0.0.1"]})
    monkeypatch.setattr(f"{__name__}.TIMEOUT", 0.05)
    for turns in (1, 3, 6, 10):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            blocked = status_when_blocked(route, turns, lambda: time.sleep(0.1))
            assert runner.run(blocked) == 200, turns
