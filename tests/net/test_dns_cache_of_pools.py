"""The DNS cache of a pool: lookups are counted at ``getaddrinfo``, connections at real servers."""

import asyncio
import contextvars
import errno
import gc
import os
import socket
import weakref
from typing import Any

import httpcore
import httpx
import pytest
from name_server import LOCALHOST, NameServer, names, run_pending

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    DnsCache,
    refuse_private_addresses,
)
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.dns import HostAddress
from typed_async_client.net.dns_cache import DnsCacheOfPool
from typed_async_client.private import forget_task
from typed_async_client.testing import FaultServer, answer

__all__ = ["names"]

OTHER = (socket.AF_INET, "127.0.0.2")


class Clock:
    """A clock that only moves when ``now`` is set."""

    def __init__(self) -> None:
        self.now: float = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def new_cache(clock: Clock, **options: Any) -> DnsCacheOfPool:
    """Return a cache with that clock."""
    return DnsCacheOfPool(DnsCache(**options), now=clock)


async def addresses(cache: DnsCacheOfPool, host: str) -> list[HostAddress]:
    """Resolve a host once."""
    return await cache.resolution(host).addresses()


async def test_a_fresh_answer_needs_no_lookup(names: NameServer) -> None:
    """Ten connections to a host cost one."""
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(dns_cache=DnsCache(), force_close=True)
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(10):
                await client.get(f"http://api.test:{server.port}/")
    assert (names.lookups["api.test"], server.connections) == (1, 10)


async def test_without_the_option_each_connection_needs_a_lookup(names: NameServer) -> None:
    """As with ``getaddrinfo``, whose own cache decides."""
    async with FaultServer(answer()) as server, AsyncResilientClient(force_close=True) as client:
        for _ in range(3):
            await client.request("GET", f"http://api.test:{server.port}/")
    assert names.lookups["api.test"] == 3


async def test_each_transport_has_its_own_cache(names: NameServer) -> None:
    """It is an option of the client, too, and one value may be given to several."""
    shared = DnsCache()
    async with FaultServer(answer()) as server:
        for _ in range(2):
            async with AsyncResilientClient(dns_cache=shared, force_close=True) as client:
                for _ in range(2):
                    await client.request("GET", f"http://api.test:{server.port}/")
    assert names.lookups["api.test"] == 2


async def test_a_failed_lookup_is_not_remembered(names: NameServer) -> None:
    """The next connection asks again."""
    backend = AsyncioBackend(dns_cache=DnsCache())
    for _ in range(2):
        with pytest.raises(httpcore.ConnectError, match="no such name"):
            await backend.connect_tcp("unknown.test", 80)
    assert names.lookups["unknown.test"] == 2


async def test_addresses_and_localhost_are_not_remembered(names: NameServer) -> None:
    """They need no lookup."""
    cache = new_cache(Clock())
    for host in ("127.0.0.1", "::1", "localhost"):
        assert await addresses(cache, host)
    assert len(cache.known) == 0
    assert not names.lookups


async def test_a_stale_answer_is_served_at_once_while_one_lookup_refreshes_it(
    names: NameServer,
) -> None:
    """Ten callers don't wait for a resolver that hangs, and cause one lookup."""
    clock = Clock()
    cache = new_cache(clock, ttl=10.0, stale=60.0)
    names.release.set()
    await addresses(cache, "a.hang.test")
    names.release.clear()
    clock.now = 20.0
    for _ in range(10):
        assert await addresses(cache, "a.hang.test") == [LOCALHOST]
    await run_pending()
    assert names.lookups["a.hang.test"] == 2
    names.release.set()
    await asyncio.wait(cache._refreshes)
    clock.now = 29.0
    await addresses(cache, "a.hang.test")
    await run_pending()
    assert names.lookups["a.hang.test"] == 2
    await cache.aclose()


async def test_a_failed_refresh_keeps_the_stale_answer_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then the failure of the lookup is raised."""
    results: list[Any] = [[(*LOCALHOST[:1], 1, 6, "", ("127.0.0.1", 0))]]

    def look_up(*_: object, **__: object) -> Any:
        if results:
            return results.pop()
        raise socket.gaierror(socket.EAI_AGAIN, "the DNS server failed")

    monkeypatch.setattr("typed_async_client.net.dns.socket.getaddrinfo", look_up)
    clock = Clock()
    cache = new_cache(clock, ttl=10.0, stale=60.0)
    assert await addresses(cache, "api.test") == [LOCALHOST]
    clock.now = 20.0
    assert await addresses(cache, "api.test") == [LOCALHOST]
    await asyncio.wait(cache._refreshes)
    clock.now = 69.0
    assert await addresses(cache, "api.test") == [LOCALHOST]
    await asyncio.wait(cache._refreshes)
    clock.now = 70.0
    with pytest.raises(socket.gaierror, match="the DNS server failed"):
        await addresses(cache, "api.test")


async def test_closing_the_pool_ends_the_lookups_in_the_background(names: NameServer) -> None:
    """No task is left, although the lookup still hangs."""
    clock = Clock()
    names.release.set()
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(dns_cache=DnsCache(ttl=10.0), force_close=True)
        cache = transport._pool._backend._cache
        assert cache is not None
        cache._now = clock
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(f"http://a.hang.test:{server.port}/")
            names.release.clear()
            clock.now = 20.0
            await client.get(f"http://a.hang.test:{server.port}/")
            await run_pending()
            refreshes = set(cache._refreshes)
            assert len(refreshes) == 1
        assert all(task.cancelled() for task in refreshes)
        assert (len(cache.known), names.lookups["a.hang.test"]) == (0, 2)


async def test_a_refresh_keeps_no_context_variable_of_the_request_that_started_it(
    names: NameServer,
) -> None:
    """It may last longer than the request."""
    variable: contextvars.ContextVar[Clock] = contextvars.ContextVar("variable")
    clock = Clock()
    cache = new_cache(clock, ttl=10.0)
    names.release.set()
    await addresses(cache, "a.hang.test")
    names.release.clear()
    clock.now = 20.0

    async def request() -> "weakref.ref[Clock]":
        value = Clock()
        variable.set(value)
        await addresses(cache, "a.hang.test")
        return weakref.ref(value)

    value = await asyncio.create_task(request())
    await run_pending()
    gc.collect()
    assert (len(cache._refreshes), value()) == (1, None)
    await cache.aclose()


def test_a_refresh_of_a_loop_that_was_closed_does_not_disturb_the_next_one(
    names: NameServer,
) -> None:
    """The stale answer is served there, and can be refreshed again."""
    clock = Clock()
    cache = new_cache(clock, ttl=10.0, stale=600.0)

    async def resolve(now: float) -> int:
        clock.now = now
        assert await addresses(cache, "a.hang.test") == [LOCALHOST]
        await run_pending()
        return names.lookups["a.hang.test"]

    names.release.set()
    assert asyncio.run(resolve(0.0)) == 1
    names.release.clear()
    assert asyncio.run(resolve(20.0)) == 2
    names.finish_all()
    assert asyncio.run(resolve(60.0)) == 3
    asyncio.run(cache.aclose())


def test_closing_the_pool_forgets_the_refreshes_of_a_loop_that_was_closed(
    names: NameServer,
) -> None:
    """They can't be cancelled any more."""
    clock = Clock()
    cache = new_cache(clock, ttl=10.0, stale=600.0)
    names.release.set()
    asyncio.run(addresses(cache, "a.hang.test"))
    names.release.clear()
    clock.now = 20.0
    first = asyncio.new_event_loop()
    first.run_until_complete(addresses(cache, "a.hang.test"))
    first.close()
    (refresh,) = cache._refreshes
    asyncio.run(cache.aclose())
    assert (cache._refreshes, refresh.cancelled()) == (set(), False)
    coroutine: Any = refresh.get_coro()
    coroutine.close()
    forget_task(refresh)


@pytest.mark.parametrize("refusing", ["127.0.0.2", "192.0.2.1"])
async def test_an_address_that_refuses_is_tried_last_from_then_on(
    monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    """The other address gets the next connection without trying the first one again."""
    entries = [(socket.AF_INET, 1, 6, "", (each, 0)) for each in (refusing, "127.0.0.1")]
    monkeypatch.setattr(
        "typed_async_client.net.dns.socket.getaddrinfo", lambda *_, **__: list(entries)
    )
    tried: list[str] = []
    loop = asyncio.get_running_loop()
    original = loop.create_connection

    async def connect(factory: Any, host: str, port: int, **options: Any) -> Any:
        tried.append(host)
        if host == "192.0.2.1":
            raise OSError(113, "No route to host")
        return await original(factory, host, port, **options)

    monkeypatch.setattr(loop, "create_connection", connect)
    async with FaultServer(answer()) as server:
        transport = AsyncPoolTransport(dns_cache=DnsCache(), force_close=True)
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(2):
                await client.get(f"http://api.test:{server.port}/")
    assert tried == [refusing, "127.0.0.1", "127.0.0.1"]


async def test_a_fault_of_this_machine_demotes_no_address(names: NameServer) -> None:
    """Too many open files say nothing about the server."""
    cache = new_cache(Clock())
    cache.store("api.test", [LOCALHOST, OTHER])
    resolution = cache.resolution("api.test")
    resolution.record_failure(LOCALHOST, OSError(24, "Too many open files"))
    assert await resolution.addresses() == [LOCALHOST, OTHER]
    resolution.record_failure(LOCALHOST, ConnectionRefusedError(111, "Connection refused"))
    assert await resolution.addresses() == [OTHER, LOCALHOST]
    assert not names.lookups


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EAFNOSUPPORT])
async def test_an_address_that_cannot_be_reached_is_demoted(number: int) -> None:
    """As an IPv6 address on a machine without IPv6."""
    cache = new_cache(Clock())
    cache.store("api.test", [LOCALHOST, OTHER])
    resolution = cache.resolution("api.test")
    resolution.record_failure(LOCALHOST, OSError(number, os.strerror(number)))
    assert await resolution.addresses() == [OTHER, LOCALHOST]


async def test_a_host_none_of_whose_addresses_works_is_looked_up_again(names: NameServer) -> None:
    """It may have moved."""
    async with FaultServer(answer(), refusing=True) as server:
        backend = AsyncioBackend(dns_cache=DnsCache())
        with pytest.raises(httpcore.ConnectError, match="Connection refused"):
            await backend.connect_tcp("api.test", server.port)
        await server.open()
        await (await backend.connect_tcp("api.test", server.port)).aclose()
    assert names.lookups["api.test"] == 2


async def test_the_guard_judges_remembered_addresses_as_well(names: NameServer) -> None:
    """At each connection: what it says may change, and so may what a name resolves to."""
    allowed = [True, False]
    backend = AsyncioBackend(address_guard=lambda _: allowed.pop(0), dns_cache=DnsCache())
    async with FaultServer(answer()) as server:
        await (await backend.connect_tcp("api.test", server.port)).aclose()
        with pytest.raises(httpcore.ConnectError, match="address guard refuses"):
            await backend.connect_tcp("api.test", server.port)
    assert (names.lookups["api.test"], server.connections, allowed) == (1, 1, [])


async def test_an_answer_that_the_guard_refuses_is_forgotten(names: NameServer) -> None:
    """An attacker can't block a name for the time of the cache."""
    backend = AsyncioBackend(address_guard=refuse_private_addresses, dns_cache=DnsCache())
    for _ in range(2):
        with pytest.raises(httpcore.ConnectError, match="address guard refuses"):
            await backend.connect_tcp("api.test", 80)
    assert names.lookups["api.test"] == 2


@pytest.mark.parametrize("value", [True, 300.0, "on", {"ttl": 1.0}])
def test_something_else_than_a_dns_cache_is_refused(value: Any) -> None:
    """The message says what to pass."""
    for make in (AsyncPoolTransport, AsyncResilientClient):
        with pytest.raises(TypeError, match=r"dns_cache must be a DnsCache or None, got .*ttl="):
            make(dns_cache=value)


def test_no_cache_is_the_default() -> None:
    """None is what it says."""
    assert AsyncPoolTransport(dns_cache=None)._pool._backend._cache is None
