"""What ``client.health()`` says of a client in each state, without sending anything."""

import asyncio
import pickle
from typing import Any

import httpx
import pytest

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    CircuitBreaker,
    CircuitState,
    ClientHealth,
    HealthStatus,
    Resilience,
    ResilientTransport,
)
from typed_async_client.pool.slots import PoolStatistics
from typed_async_client.stores.local import LocalStore

UNUSED = PoolStatistics(active=0, idle=0, connecting=0, waiting=0, opened=0, closed={})

BREAKING = Resilience(circuit=CircuitBreaker(minimum_calls=1))


def fail(request: httpx.Request) -> httpx.Response:
    """Answer 500 on one host only."""
    return httpx.Response(500 if request.url.host == "bad.test" else 200)


def client_of(resilience: Resilience | None = BREAKING, **options: Any) -> AsyncResilientClient:
    """Return a client whose server fails."""
    return AsyncResilientClient(
        transport=httpx.MockTransport(fail), resilience=resilience, **options
    )


async def test_a_client_goes_from_unstarted_to_closed() -> None:
    """It is healthy from the start, because it can send."""
    client = AsyncResilientClient(trust_env=False)
    unstarted = ClientHealth(
        status=HealthStatus.HEALTHY,
        is_started=False,
        active=0,
        backlog=0,
        pool=UNUSED,
        circuits=None,
    )
    assert client.health() == unstarted
    assert (unstarted.is_healthy, unstarted.is_closed) == (True, False)
    async with client:
        assert (client.health().is_started, client.health().is_healthy) == (True, True)
    health = client.health()
    assert (health.status, health.is_closed, health.is_healthy) == ("closed", True, False)


async def test_an_open_circuit_degrades_the_client() -> None:
    """It is named; the others aren't."""
    async with client_of() as client:
        for host in ("bad.test", "good.test"):
            await client.request("GET", f"http://{host}/")
        health = client.health()
        assert (health.status, health.circuits) == (
            "degraded",
            {"http://bad.test": CircuitState.OPEN},
        )
        client.circuit("http://bad.test").close()
        assert (client.health().status, client.health().circuits) == ("healthy", {})
        client.circuit("http://good.test").isolate()
        assert client.health().circuits == {"http://good.test": CircuitState.ISOLATED}


async def test_the_circuit_of_a_view_counts() -> None:
    """It shares the client's connections, and refuses requests."""
    async with client_of(None) as client:
        view = client.with_options(resilience=BREAKING)
        assert client.health().circuits == {}
        await view.request("GET", "http://bad.test/")
        assert client.health().circuits == {"http://bad.test": CircuitState.OPEN}


async def test_a_circuit_for_the_whole_client_has_a_star_for_a_name() -> None:
    """It belongs to no origin."""
    resilience = Resilience(circuit=CircuitBreaker(minimum_calls=1, per="client"))
    async with client_of(resilience) as client:
        await client.request("GET", "http://bad.test/")
        assert client.health().circuits == {"*": CircuitState.OPEN}


async def test_circuits_in_a_store_are_not_known() -> None:
    """Other clients use them too."""
    async with client_of(store=LocalStore()) as client:
        await client.request("GET", "http://bad.test/")
        assert (client.health().status, client.health().circuits) == ("healthy", None)


async def test_requests_in_flight_and_events_that_wait_are_counted() -> None:
    """Neither is a problem by itself."""
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hold(_: httpx.Request) -> httpx.Response:
        arrived.set()
        await release.wait()
        return httpx.Response(200)

    async with AsyncResilientClient(transport=httpx.MockTransport(hold)) as client:
        task = await client.get("http://a.test/")
        await arrived.wait()
        health = client.health()
        assert (health.active, health.status, health.pool) == (1, "healthy", None)
        release.set()
        await task
        assert client.health().backlog == client.event_queue_size


@pytest.mark.parametrize(
    ("transport", "pool"),
    [
        (httpx.MockTransport(fail), None),
        (httpx.AsyncHTTPTransport(), None),
        (ResilientTransport(httpx.MockTransport(fail)), None),
        (AsyncPoolTransport(), UNUSED),
        (ResilientTransport(AsyncPoolTransport()), UNUSED),
    ],
    ids=["mock", "httpx", "wrapped mock", "pool", "wrapped pool"],
)
async def test_the_pool_is_found_in_the_transports(
    transport: Any, pool: PoolStatistics | None
) -> None:
    """Also below a transport that wraps it, and in an external client; others don't tell."""
    async with AsyncResilientClient(transport=transport) as client:
        assert client.health().pool == pool
    async with (
        httpx.AsyncClient(transport=transport) as external,
        AsyncResilientClient(http_client=external) as client,
    ):
        assert client.health().pool == pool


async def test_an_external_client_of_another_kind_has_no_pool() -> None:
    """Only what the resilient client knows is told."""

    class Other:
        async def request(self, *_: Any, **__: Any) -> httpx.Response:
            return httpx.Response(200)

    async with AsyncResilientClient(http_client=Other()) as client:
        assert (client.health().pool, client.health().status) == (None, "healthy")


async def test_the_health_can_be_asked_for_in_a_thread_and_pickled() -> None:
    """A health check often runs in another thread, or is passed on."""
    async with client_of() as client:
        await client.request("GET", "http://bad.test/")
        health = await asyncio.to_thread(client.health)
        assert pickle.loads(pickle.dumps(health)) == health == client.health()
