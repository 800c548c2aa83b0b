"""How connections through proxies are opened: cancellation, connect attempts, tools that patch."""

import asyncio
import itertools
from collections.abc import Awaitable
from typing import Any

import httpcore
import httpx
import pytest
from fault_handlers import wait_until
from leak_checks import count_sockets_to
from pool_helpers import ip_url, run_loop_turns
from proxy_handlers import Socks5Proxy, forward_proxy, tunnel_proxy
from proxy_kinds import KINDS, Kind, through
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, Resilience, RetryPolicy
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.pool.pool import ConnectionPool
from typed_async_client.testing import FaultServer, Wire, answer

pytestmark = pytest.mark.usefixtures("no_leaks")

ALL_KINDS = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


# Cancellation


def is_open(transport: AsyncPoolTransport) -> bool:
    """Whether a transport has a connection that is open."""
    pool: Any = transport._pool
    return any(connection.exchange is not None for connection in pool.connections)


@ALL_KINDS
async def test_an_opening_can_be_cancelled_at_every_turn(kind: Kind) -> None:
    """No socket and no slot is lost, and the next request opens a connection of its own."""
    async with (
        kind.origin() as origin,
        FaultServer(kind.handler(), tls=kind.proxy_context) as proxy,
    ):
        for turns in itertools.count():
            transport = kind.transport(proxy)
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                task = asyncio.ensure_future(client.get(ip_url(origin)))
                await run_loop_turns(turns)
                was_open = is_open(transport)
                task.cancel()
                await asyncio.wait({task})
                await run_loop_turns(5)
                statistics = transport.statistics()
                assert (statistics.active, statistics.waiting) == (0, 0)
                assert count_sockets_to(proxy.port) == statistics.idle <= 1
                assert turns % 4 or (await client.get(ip_url(origin))).text == "ok"
            if was_open:
                break
        assert turns > 5


@ALL_KINDS
async def test_another_request_opens_what_a_cancelled_one_has_begun(kind: Kind) -> None:
    """It had joined the connection, which might have served both; otherwise it has its own."""
    async with kind.origin() as origin, through(kind, kind.handler()) as (client, pool, proxy):
        first = asyncio.ensure_future(client.get(ip_url(origin)))
        second = asyncio.ensure_future(client.get(ip_url(origin)))
        await wait_until(lambda: proxy.connections > 0)
        first.cancel()
        assert (await second).text == "ok"
        assert pool.statistics().idle == 1


# Connect attempts


class Unreachable(AsyncioBackend):
    """A network backend that can't connect the first times.

    Attributes:
        hosts: the hosts it was asked to connect to.
        waits: the seconds it was asked to sleep.
    """

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.hosts: list[str] = []
        self.waits: list[float] = []
        self._failures = failures

    async def connect_tcp(self, host: str, *args: Any, **options: Any) -> Any:
        """Connect, or raise."""
        self.hosts.append(host)
        if len(self.hosts) <= self._failures:
            raise httpcore.ConnectTimeout("no answer")
        return await super().connect_tcp(host, *args, **options)

    async def sleep(self, seconds: float) -> None:
        """Don't sleep."""
        self.waits.append(seconds)


@pytest.mark.parametrize("scheme", ["", "http", "socks5"])
@pytest.mark.parametrize(("failures", "retries"), [(0, 5), (1, 1), (5, 5), (6, 5)])
async def test_connect_attempts_are_repeated_with_a_growing_delay(
    scheme: str, failures: int, retries: int
) -> None:
    """Those to a proxy as well; the last error is raised."""
    handler = Socks5Proxy() if scheme == "socks5" else forward_proxy()
    backend = Unreachable(failures)
    async with FaultServer(answer()) as server, FaultServer(handler) as proxy:
        through = httpcore.Proxy(f"{scheme}://127.0.0.1:{proxy.port}") if scheme else None
        async with ConnectionPool(proxy=through, retries=retries, network_backend=backend) as pool:
            if failures > retries:
                with pytest.raises(httpcore.ConnectTimeout):
                    await pool.request("GET", ip_url(server))
            else:
                assert (await pool.request("GET", ip_url(server))).status == 200
    assert backend.waits == [0.0, 0.5, 1.0, 2.0, 4.0][: min(failures, retries)]
    assert len(backend.hosts) == min(failures, retries) + 1


async def test_a_request_that_cannot_be_repeated_is_sent_again_if_no_tunnel_was_opened() -> None:
    """Nothing of it was sent; the question for the tunnel isn't a part of it."""
    attempts = 0

    async def reset_once(wire: Wire) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await wire.read_request()
            wire.reset()
        else:
            await tunnel_proxy()(wire)

    async with (
        FaultServer(answer(), tls=server_context()) as server,
        FaultServer(reset_once) as proxy,
        AsyncResilientClient(
            proxy=ip_url(proxy),
            verify=client_context(),
            resilience=Resilience(retry=RetryPolicy(base_delay=0.001)),
        ) as client,
    ):
        assert (await (await client.post(server.url, content=b"x"))).status_code == 200
        assert (proxy.connections, len(server.requests)) == (2, 1)


# The pool of httpcore


@ALL_KINDS
async def test_a_tool_that_patches_the_pool_gets_the_same_connections(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its requests are served, also after one that was cancelled while it opened a connection."""
    original = httpcore.AsyncConnectionPool.handle_async_request

    def patched(*args: Any) -> Awaitable[Any]:
        return original(*args)

    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", patched)
    async with (
        kind.origin() as origin,
        FaultServer(kind.handler(), tls=kind.proxy_context) as proxy,
    ):
        transport = kind.transport(proxy, limits=httpx.Limits(max_connections=1))
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            for turns in () if kind.http2 else (3, 10, 20):
                task = asyncio.ensure_future(client.get(ip_url(origin)))
                await run_loop_turns(turns)
                task.cancel()
                await asyncio.wait({task})
            for _ in range(2):
                assert (await client.get(ip_url(origin))).text == "ok"
