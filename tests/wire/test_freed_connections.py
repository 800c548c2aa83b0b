"""Closed connections, and requests that have failed, are freed without the garbage collector."""

import asyncio
import contextlib
import gc
import logging
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from h2_setups import ALL_SETUPS, H2Setup
from proxy_handlers import Socks5Proxy, forward_proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.pool.connector import Http11
from typed_async_client.testing import FaultServer, Wire, answer

PACKAGES = ("typed_async_client", "httpcore", "httpx", "h11", "ssl")


@pytest.fixture(autouse=True)
def _no_collection(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Find reference cycles: without the collector, they are never freed."""
    caplog.set_level(logging.CRITICAL)  # captured records hold the errors that they are about
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living() -> Counter[str]:
    """Count the objects of a connection or a request that exist."""
    return Counter(
        type(each).__name__
        for each in gc.get_objects()
        if str(type(each).__module__).partition(".")[0] in PACKAGES
        and not type(each).__module__.startswith("typed_async_client.testing")
        and not getattr(each, "server_side", False)
    )


async def frees_all(use: Callable[[], Awaitable[None]]) -> bool:
    """Whether using something again and again leaves no object behind."""
    await use()
    await asyncio.sleep(0.05)
    before = living()
    for _ in range(3):
        await use()
    for _ in range(500):
        if not living() - before:
            return True
        await asyncio.sleep(0.01)
    return False


def requesting(transport: AsyncPoolTransport, url: str) -> Callable[[], Awaitable[None]]:
    """Return what sends a request on a new connection, and closes it."""

    async def use() -> None:
        async with httpx.AsyncClient(transport=transport, timeout=10) as client:
            with contextlib.suppress(httpx.TransportError):
                await client.get(url)

    return use


@pytest.mark.parametrize("http11", ["llhttp", "h11"])
async def test_closed_connections_are_freed(http11: Http11) -> None:
    """With and without TLS, and if the handshake failed."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(answer(), tls=server_context()) as tls_server,
    ):
        trusting = AsyncPoolTransport(verify=client_context(), http11=http11)
        assert await frees_all(requesting(trusting, server.url))
        assert await frees_all(requesting(trusting, tls_server.url))
        assert await frees_all(requesting(AsyncPoolTransport(http11=http11), tls_server.url))
        assert await frees_all(requesting(trusting, "http://127.0.0.1:1/"))


@ALL_SETUPS
async def test_closed_http2_connections_are_freed(setup: H2Setup) -> None:
    """Although h2's own state has a cycle."""
    async with setup.server() as server:
        assert await frees_all(requesting(setup.transport(), server.url))


async def test_closed_connections_through_proxies_are_freed() -> None:
    """Those that the proxy refused included."""
    async with (
        FaultServer(answer()) as server,
        FaultServer(answer(), tls=server_context()) as tls_server,
    ):
        refusal = b"HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n"
        for handler, url in (
            (forward_proxy(), server.url),
            (tunnel_proxy(), tls_server.url),
            (tunnel_proxy(reply=refusal), tls_server.url),
            (Socks5Proxy(), server.url),
            (Socks5Proxy(reply=5), server.url),
        ):
            async with FaultServer(handler) as proxy:
                scheme = "socks5" if isinstance(handler, Socks5Proxy) else "http"
                through = proxy.url.replace("http", scheme).rstrip("/")
                transport = AsyncPoolTransport(proxy=through, verify=client_context())
                assert await frees_all(requesting(transport, url))


async def cut(wire: Wire) -> None:
    """Send a part of a response."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut")


async def garbage(wire: Wire) -> None:
    """Send no HTTP."""
    await wire.read_request()
    await wire.send(b"nonsense\r\n\r\n")


async def silence(wire: Wire) -> None:
    """Send nothing."""
    await wire.read_request()
    await wire.stall()


async def half(wire: Wire) -> None:
    """Send a part of a response, and no more."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    await wire.stall()


KINDS: dict[str, Callable[[Http11], Any]] = {
    "client": lambda http11: AsyncResilientClient(
        transport=AsyncPoolTransport(http11=http11), max_results=0, max_retries=0
    ),
    "pool": lambda http11: httpx.AsyncClient(transport=AsyncPoolTransport(http11=http11)),
    "resilient": lambda http11: httpx.AsyncClient(
        transport=ResilientTransport(AsyncPoolTransport(http11=http11), max_retries=0)
    ),
}


@pytest.mark.parametrize("http11", ["llhttp", "h11"])
@pytest.mark.parametrize("kind", KINDS)
async def test_failed_requests_are_freed_with_their_error(kind: str, http11: Http11) -> None:
    """No frame of its traceback refers back to it."""
    async with KINDS[kind](http11) as client:

        async def use(url: str, error: type[Exception]) -> "weakref.ref[Exception]":
            try:
                await client.request("POST", url, content=b"x", timeout=0.05)
            except error as failure:  # pytest's own record of it has a cycle
                return weakref.ref(failure)
            raise AssertionError("the request hasn't failed")

        for handler, error in (
            (cut, httpx.RemoteProtocolError),
            (garbage, httpx.RemoteProtocolError),
            (silence, httpx.ReadTimeout),
            (half, httpx.ReadTimeout),
        ):
            async with FaultServer(handler) as server:
                failed = await use(server.url, error)
                await asyncio.sleep(0.01)  # for asyncio to close the socket
                assert failed() is None
        for url in ("http://127.0.0.1:1/", "http://unknown.invalid/"):
            failed = await use(url, httpx.ConnectError)
            await asyncio.sleep(0.01)
            assert failed() is None


@pytest.mark.parametrize("kind", KINDS)
async def test_streamed_responses_are_freed(kind: str) -> None:
    """In httpx, a response and its stream refer to each other."""
    async with FaultServer(answer(200, b"x" * 1000)) as server, KINDS[kind]("llhttp") as client:
        inner = getattr(client, "_client", client)
        for reads in (True, False):
            async with inner.stream("GET", server.url) as response:
                if reads:
                    assert [part async for part in response.aiter_bytes()] == [b"x" * 1000]
            streamed = weakref.ref(response)
            del response
            assert streamed() is None


async def test_cancelled_requests_are_freed() -> None:
    """With the connection that they were using."""
    async with FaultServer(silence) as server, KINDS["client"]("llhttp") as client:

        async def use() -> None:
            task = await client.get(server.url)
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})

        assert await frees_all(use)
