"""Clients, pools and transports that are dropped without being closed."""

import asyncio
import contextlib
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest
from h2_servers import h2_client_context, h2_server
from leak_checks import open_sockets, other_tasks
from proxy_handlers import Socks5Proxy, tunnel_proxy
from tls_contexts import client_context, server_context

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    ResilientTransport,
    for_httpx2,
)
from typed_async_client.testing import FaultServer, answer

Client = AsyncResilientClient | httpx.AsyncClient | httpx2.AsyncClient


def with_callback(**options: Any) -> AsyncResilientClient:
    """Create a client whose callback refers to it."""
    client = AsyncResilientClient(**options)
    client.add_event_callback("success", lambda event: (client, event))
    return client


KINDS: dict[str, tuple[str, Callable[[], Client]]] = {
    "client": ("AsyncResilientClient open", lambda: AsyncResilientClient(trust_env=False)),
    "callback": ("AsyncResilientClient open", lambda: with_callback(trust_env=False)),
    "client of a pool": (
        "AsyncPoolTransport on",
        lambda: AsyncResilientClient(transport=AsyncPoolTransport()),
    ),
    "llhttp": (
        "AsyncPoolTransport on",
        lambda: httpx.AsyncClient(transport=AsyncPoolTransport(http11="llhttp")),
    ),
    "h11": (
        "AsyncPoolTransport on",
        lambda: httpx.AsyncClient(transport=AsyncPoolTransport(http11="h11")),
    ),
    "resilient": (
        "ResilientTransport around its default transport",
        lambda: httpx.AsyncClient(transport=ResilientTransport()),
    ),
    "resilient pool": (
        "AsyncPoolTransport on",
        lambda: httpx.AsyncClient(transport=ResilientTransport(AsyncPoolTransport())),
    ),
    "hsts": (
        "HSTSTransport around its default transport",
        lambda: httpx.AsyncClient(transport=HSTSTransport()),
    ),
    "httpx2": (
        "AsyncPoolTransport on",
        lambda: httpx2.AsyncClient(transport=for_httpx2(AsyncPoolTransport())),
    ),
    "aiohttp": ("AsyncResilientClient", lambda: AsyncResilientClient(transport="aiohttp")),
    "pyreqwest": ("AsyncResilientClient", lambda: AsyncResilientClient(transport="pyreqwest")),
    "resilient aiohttp": (
        "ResilientTransport around",
        lambda: httpx.AsyncClient(transport=ResilientTransport("aiohttp")),
    ),
}


async def use(client: Client, url: str) -> None:
    """Send one request, whose connection stays open."""
    if isinstance(client, AsyncResilientClient):
        assert (await client.request("GET", url)).status_code == 200
    else:
        assert (await client.get(url)).status_code == 200


def in_cycle(clients: list[Any]) -> None:
    """Drop clients in a reference cycle."""
    clients.append(clients)


def in_thread(clients: list[Any]) -> None:
    """Drop clients in another thread."""
    thread = threading.Thread(target=clients.clear)
    thread.start()
    thread.join()


WAYS: dict[str, Callable[[list[Any]], None]] = {
    "at once": list.clear,
    "in a cycle": in_cycle,
    "in a thread": in_thread,
}


@contextlib.asynccontextmanager
async def warns_once(name: str, sockets: set[str]) -> AsyncIterator[None]:
    """Check that something dropped inside warns once, and leaves neither a socket nor a task."""
    tasks = other_tasks()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        assert await only_these_remain(sockets)
    assert len(caught) == 1
    assert f"unclosed <{name}" in str(caught[0].message)
    assert other_tasks() <= tasks


async def only_these_remain(sockets: set[str]) -> bool:
    """Wait until no other socket is open; return whether that is so."""
    for _ in range(2000):
        gc.collect()
        if open_sockets() <= sockets:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture(autouse=True)
def _no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_dropped_warns_once_and_closes_its_connections(kind: str, way: str) -> None:
    """It is what the user has made that the warning names."""
    name, make = KINDS[kind]
    async with FaultServer(answer(200, b"ok")) as server:
        await asyncio.sleep(0)
        sockets = open_sockets()
        clients: list[Any] = [make()]
        await use(clients[0], server.url)
        async with warns_once(name, sockets):
            WAYS[way](clients)
            del clients


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("http2", [False, True])
async def test_tls_connections_are_closed_too(way: str, *, http2: bool) -> None:
    """HTTP/2 ones as well."""
    verify = h2_client_context() if http2 else client_context()
    tls = FaultServer(answer(200, b"ok"), tls=server_context())
    async with h2_server() if http2 else tls as server:
        sockets = open_sockets()
        clients: list[Any] = [AsyncResilientClient(verify=verify, http2=http2, trust_env=False)]
        await use(clients[0], server.url)
        async with warns_once("AsyncResilientClient", sockets):
            WAYS[way](clients)
            del clients


async def test_connections_through_proxies_are_closed_too() -> None:
    """Those of a client that has a pool for its proxy, and those of httpcore in our pool."""
    async with (
        FaultServer(answer(200, b"ok"), tls=server_context()) as server,
        FaultServer(tunnel_proxy()) as tunnel,
        FaultServer(Socks5Proxy()) as socks,
    ):
        sockets = open_sockets()
        for proxy in (tunnel.url, socks.url.replace("http", "socks5").rstrip("/")):
            client = AsyncResilientClient(verify=client_context(), proxy=proxy)
            await use(client, server.url)
            async with warns_once("AsyncResilientClient", sockets):
                del client


async def test_a_response_that_is_being_read_keeps_its_connection() -> None:
    """As in httpx; it is closed with the response, without another warning."""
    async with FaultServer(answer(200, b"x" * 1_000_000)) as server:
        client = httpx.AsyncClient(transport=AsyncPoolTransport())
        sockets = open_sockets()
        response = await client.send(client.build_request("GET", server.url), stream=True)
        with pytest.warns(ResourceWarning, match="unclosed <AsyncPoolTransport"):
            del client
        assert len(await response.aread()) == 1_000_000
        assert await only_these_remain(sockets)


async def test_a_request_in_flight_keeps_its_client() -> None:
    """Which warns once its task has ended."""
    async with FaultServer(answer(200, b"ok")) as server:
        sockets = open_sockets()
        task = await AsyncResilientClient(trust_env=False).get(server.url)
        gc.collect()
        async with warns_once("AsyncResilientClient", sockets):
            assert (await task).text == "ok"
            del task


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_closed_or_never_used_does_not_warn(kind: str) -> None:
    """Warnings are errors here."""
    _, make = KINDS[kind]
    async with FaultServer(answer(200, b"ok")) as server:
        async with make() as client:
            await use(client, server.url)
        del client
        make()
        client = make()
        await use(client, server.url)
        await (client.close() if isinstance(client, AsyncResilientClient) else client.aclose())
        del client
        gc.collect()


async def test_a_connection_that_the_server_has_closed_is_not_warned_about() -> None:
    """Nothing is open any more."""
    sockets = open_sockets()
    async with FaultServer(answer(200, b"ok")) as server:
        client = AsyncResilientClient(trust_env=False)
        await use(client, server.url)
    assert await only_these_remain(sockets)
    del client
    gc.collect()


def test_a_constructor_that_raises_leaves_nothing_to_warn_about() -> None:
    """Nor does its destructor fail, which pytest would report."""
    for make in (
        lambda: AsyncResilientClient(max_retries=-1),
        lambda: AsyncPoolTransport(http11="bad"),  # type: ignore[arg-type]  # the point of the test
        lambda: ResilientTransport(max_retries=-1),
    ):
        with pytest.raises(ValueError, match=r"max_retries|http11"):
            make()
    gc.collect()


async def test_a_client_that_was_dropped_removes_its_hooks() -> None:
    """From the user's client, which stays open."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with httpx.AsyncClient(transport=transport) as external:
        client = AsyncResilientClient(http_client=external)
        await use(client, "http://a.test/")
        assert len(external.event_hooks["request"]) == 1
        del client
        gc.collect()
        assert external.event_hooks == {"request": [], "response": []}
