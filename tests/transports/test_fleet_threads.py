"""``ResilientTransport`` with a store: threads, both kinds of client, and the wrong kind of store."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fleet_kit import BREAKER, ORIGIN, SLOW, Server, policies
from redis_server import RedisServer, running_redis

from typed_async_client import CircuitOpenError, RateLimit, ResilientTransport
from typed_async_client.stores import (
    LocalStore,
    RedisStore,
    SyncLocalStore,
    SyncRedisStore,
    SyncStateStore,
)

LIMIT = RateLimit(rate=40, burst=5)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Run a Redis for these tests."""
    with running_redis() as running:
        yield running


@pytest.fixture(params=["local", "Redis"])
def store(request: pytest.FixtureRequest, redis: RedisServer) -> Iterator[SyncStateStore]:
    """Return an empty store of each kind."""
    if request.param == "local":
        yield SyncLocalStore()
        return
    with redis.client() as client:
        client.flushall()
    with SyncRedisStore(redis.url, timeout=30.0) as shared:
        yield shared


def wrapped(server: Server, store: Any, **chosen: Any) -> ResilientTransport:
    """Return a transport with a store that sends to a server."""
    return ResilientTransport(
        httpx.MockTransport(server), resilience=policies(**chosen), store=store
    )


def test_threads_share_the_limits_of_a_store(store: SyncStateStore) -> None:
    """Eight of them, with a transport each, send no more than one of them may."""
    server = Server(200, clock=time.monotonic)
    began = time.monotonic()

    def send(_: int) -> None:
        with httpx.Client(
            transport=wrapped(server, store, rate_limit=LIMIT, circuit=BREAKER)
        ) as client:
            for _ in range(5):
                client.get(ORIGIN)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))
    arrived = sorted(server.times)
    assert len(arrived) == 40
    assert max(n - (at - began) * LIMIT.rate for n, at in enumerate(arrived, 1)) <= LIMIT.burst


def test_a_circuit_that_one_transport_has_opened_rejects_the_requests_of_another(
    store: SyncStateStore,
) -> None:
    """Nothing is sent."""
    server, other_server = Server(500), Server(200)
    with (
        httpx.Client(transport=wrapped(server, store, circuit=BREAKER)) as one,
        httpx.Client(transport=wrapped(other_server, store, circuit=BREAKER)) as other,
    ):
        for _ in range(2):
            one.get(ORIGIN)
        with pytest.raises(CircuitOpenError):
            other.get(ORIGIN)
    assert not other_server.seen


async def test_clients_of_both_kinds_share_what_redis_keeps(redis: RedisServer) -> None:
    """Each with the store of its kind."""
    with redis.client() as client:
        client.flushall()
    server = Server(500)
    async with (
        RedisStore(redis.url, timeout=30.0) as store,
        httpx.AsyncClient(transport=wrapped(server, store, circuit=BREAKER)) as one,
    ):
        for _ in range(2):
            await one.get(ORIGIN)
    with (
        SyncRedisStore(redis.url, timeout=30.0) as sync_store,
        httpx.Client(transport=wrapped(server, sync_store, circuit=BREAKER)) as other,
        pytest.raises(CircuitOpenError),
    ):
        await asyncio.to_thread(other.get, ORIGIN)


async def test_a_transport_of_both_kinds_refuses_the_store_of_the_other_when_it_is_used() -> None:
    """Nothing is sent."""
    server = Server(200)
    with (
        httpx.Client(transport=wrapped(server, LocalStore(), rate_limit=SLOW)) as client,
        pytest.raises(TypeError, match=r"a synchronous one needs a store such as SyncRedisStore"),
    ):
        await asyncio.to_thread(client.get, ORIGIN)
    async with httpx.AsyncClient(
        transport=wrapped(server, SyncLocalStore(), rate_limit=SLOW)
    ) as client_too:
        with pytest.raises(TypeError, match=r"an asynchronous one needs a store such as Redis"):
            await client_too.get(ORIGIN)
    assert not server.seen


@pytest.mark.parametrize(
    ("transport", "wrong"),
    [
        (httpx.HTTPTransport, LocalStore()),
        (httpx.AsyncHTTPTransport, SyncLocalStore()),
        (httpx.HTTPTransport, SyncLocalStore),
        (lambda: None, "redis://127.0.0.1"),
        (lambda: None, object()),
    ],
)
def test_a_transport_is_not_made_with_a_store_it_can_not_use(transport: Any, wrong: Any) -> None:
    """The error says what to pass."""
    with pytest.raises(TypeError, match=r"RedisStore"):
        ResilientTransport(transport(), store=wrong)


def test_a_store_that_passes_calls_on_is_told_by_how_it_is_closed() -> None:
    """Its functions needn't be declared as async."""

    class Passing:
        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            target = getattr(self._store, name)

            def call(*arguments: Any, **options: Any) -> Any:
                return target(*arguments, **options)

            return call

    ResilientTransport(httpx.HTTPTransport(), store=Passing(SyncLocalStore())).close()
    with pytest.raises(TypeError, match="Passing is for the other kind of client"):
        ResilientTransport(httpx.HTTPTransport(), store=Passing(LocalStore()))
