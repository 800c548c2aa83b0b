"""Circuits on real sockets: they open per origin, and only for what is the server's fault."""

import asyncio
import contextlib
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from policy_ways import ALL_WAYS, ASYNC_WAYS, CLIENTS, open_way

from typed_async_client import (
    Bulkhead,
    BulkheadFullError,
    CircuitBreaker,
    CircuitOpenError,
    CircuitState,
    DeadlineExceededError,
    Resilience,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request, stall

BREAKER = CircuitBreaker(minimum_calls=2, reset_timeout=60.0)

POLICIES = Resilience(circuit=BREAKER)

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_circuit_opens_for_one_origin_and_nothing_reaches_it(way: str) -> None:
    """Another origin isn't affected; the error says when to try again, and is no failure."""
    async with (
        FaultServer(answer(503)) as failing,
        FaultServer(answer(200)) as healthy,
        open_way(way, POLICIES) as client,
    ):
        for _ in range(2):
            assert (await client.request("GET", failing.url)).status_code == 503
        connections = failing.connections
        for _ in range(3):
            with pytest.raises(CircuitOpenError) as raised:
                await client.request("GET", failing.url)
        assert 40.0 <= (raised.value.retry_after or 0.0) <= 75.0
        assert raised.value.history[-1].rejection == "circuit_open"
        assert isinstance(raised.value, client.library.TransportError)
        assert (len(failing.requests), failing.connections) == (2, connections)
        assert (await client.request("GET", healthy.url)).status_code == 200
        assert client.kinds().count("circuit_opened") == 1
        assert client.kinds().count("rejected") == 3


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_probe_closes_the_circuit_of_a_host_that_has_recovered(way: str) -> None:
    """While it is in flight, all other requests are refused."""
    status, go_on = [503], asyncio.Event()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if status == [200]:
            await go_on.wait()
        await wire.answer(status[0])

    breaker = CircuitBreaker(minimum_calls=1, reset_timeout=0.05)
    async with (
        FaultServer(each_request(respond)) as server,
        open_way(way, Resilience(circuit=breaker)) as client,
    ):
        await client.request("GET", server.url)
        status[:] = [200]
        circuit = client.inner.circuit(server.url)
        assert circuit.state == "open"
        probe = asyncio.ensure_future(_retried_while_open(client.request, server.url))
        await wait_until(lambda: len(server.requests) == 2)
        assert circuit.state == "half_open"
        with pytest.raises(CircuitOpenError):
            await client.request("GET", server.url)
        go_on.set()
        assert (await probe).status_code == 200
        assert circuit.state == "closed"
        changes = [kind for kind in client.kinds() if kind.startswith("circuit")]
        assert changes == ["circuit_opened", "circuit_half_open", "circuit_closed"]


async def _retried_while_open(request: Any, url: str) -> httpx.Response:
    while True:
        with contextlib.suppress(CircuitOpenError):
            response: httpx.Response = await request("GET", url)
            return response
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_circuit_is_opened_and_closed_by_hand(way: str) -> None:
    """Nothing is sent in between."""
    async with FaultServer(answer(200)) as server, open_way(way, POLICIES) as client:
        client.inner.circuit(server.url).isolate()
        with pytest.raises(CircuitOpenError, match="by hand"):
            await client.request("GET", server.url)
        assert server.connections == 0
        client.inner.circuit(server.url).close()
        assert (await client.request("GET", server.url)).status_code == 200


@pytest.mark.parametrize("way", CLIENTS)
@pytest.mark.parametrize("fault", ["lost", "500"])
async def test_a_failure_behind_a_redirect_is_charged_to_the_host_that_failed(
    way: str, fault: str
) -> None:
    """The host that redirected has answered."""

    async def lose(wire: Wire) -> None:
        await wire.read_request()

    location: list[str] = []
    async with (
        FaultServer(lose if fault == "lost" else answer(500)) as second,
        FaultServer(each_request(lambda _, wire: wire.answer(307, b"", *location))) as first,
        open_way(way, POLICIES) as client,
    ):
        location.append(f"Location: {second.url}")
        for _ in range(4):
            with contextlib.suppress(httpx.TransportError, client.library.TransportError):
                await client.request("GET", first.url, follow_redirects=True)
        assert client.inner.circuit(first.url).state is CircuitState.CLOSED
        assert client.inner.circuit(second.url).state is CircuitState.OPEN


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_trouble_of_the_client_itself_never_opens_a_circuit(way: str) -> None:
    """A full pool, a full bulkhead, a deadline and a cancellation say nothing about the server."""
    policies = Resilience(
        circuit=CircuitBreaker(minimum_calls=1), bulkhead=Bulkhead(max_concurrent=2, max_wait=0.0)
    )
    limits = httpx.Limits(max_connections=1)
    async with FaultServer(stall) as server, open_way(way, policies, limits=limits) as client:
        first = asyncio.ensure_future(client.request("GET", server.url, deadline=1.0, timeout=30))
        await wait_until(lambda: bool(server.requests))
        timeout = client.library.Timeout(30.0, pool=0.05)
        with pytest.raises((httpx.PoolTimeout, client.library.PoolTimeout)):
            await client.request("GET", server.url, timeout=timeout)
        waiting = asyncio.ensure_future(client.request("GET", server.url, deadline=1.0, timeout=30))
        await wait_until(lambda: client.kinds().count("started") == 3)
        with pytest.raises(BulkheadFullError):
            await client.request("GET", server.url)
        for task in (first, waiting):
            with pytest.raises((DeadlineExceededError, httpx.PoolTimeout)):
                await task
        if way in ASYNC_WAYS:
            task = asyncio.ensure_future(client.request("GET", server.url, timeout=30))
            await wait_until(lambda: len(server.requests) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert client.inner.circuit(server.url).state is CircuitState.CLOSED


async def test_the_states_of_many_origins_stay_bounded() -> None:
    """5,000 hosts are asked; the client remembers the last 1,000, but those in use for sure."""
    policies = Resilience(
        circuit=CircuitBreaker(minimum_calls=1), bulkhead=Bulkhead(max_concurrent=2)
    )
    names = {f"http://h{number}.test" for number in range(5000)}

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500)

    async with open_way("client", policies, transport=httpx.MockTransport(respond)) as client:
        for name in sorted(names):
            await client.request("GET", name)
        lookups = client.inner._engine.policies.of(policies)._lookups
        assert {name: len(hosts) for name, hosts, _ in lookups} == {
            "circuit": 1000,
            "bulkhead": 1000,
        }
        assert client.inner.circuit(max(names)).state == "open"  # asked last
        assert client.inner.circuit(min(names)).state == "closed"  # forgotten
