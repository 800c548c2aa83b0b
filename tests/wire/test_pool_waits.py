"""How long a request waits for a connection of our own pool: without a limit, unless one is given."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from pool_helpers import result_type
from steady_loop import advance

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HTTPSRedirectTransport,
    ResilientTransport,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

ONE = httpx.Limits(max_connections=1)


class HeldServer:
    """Answers once it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def __call__(self, _: SeenRequest, wire: Wire) -> None:
        """Wait, then answer."""
        await self.released.wait()
        await wire.answer(200, b"late")


async def results_after_a_minute(client: AsyncResilientClient, **options: Any) -> list[Any]:
    """Hold the only connection for a minute; return the result of the request that waits for it."""
    held = HeldServer()
    async with FaultServer(each_request(held)) as server, client:
        first = await client.get(server.url, timeout=None)
        await wait_until(lambda: len(server.requests) == 1)
        second = await client.get(server.url, **options)
        await wait_until(lambda: client._client._transport.statistics().waiting == 1)
        advance(60.0)
        await asyncio.wait({second}, timeout=0.01)
        held.released.set()
        return [*await asyncio.gather(first, second, return_exceptions=True)]


async def test_by_default_a_request_waits_as_long_as_it_takes() -> None:
    """It stands in our own queue, and hasn't failed."""
    responses = await results_after_a_minute(AsyncResilientClient(limits=ONE))
    assert [response.text for response in responses] == ["late", "late"]


async def test_the_same_holds_for_a_pool_that_is_passed_along() -> None:
    """It is our pool as well."""
    transport = AsyncPoolTransport(limits=ONE)
    responses = await results_after_a_minute(AsyncResilientClient(transport=transport))
    assert [response.text for response in responses] == ["late", "late"]


@pytest.mark.parametrize("given", [5.0, httpx.Timeout(5.0), httpx.Timeout(None, pool=5.0)])
async def test_a_given_timeout_is_obeyed(given: Any) -> None:
    """Of the client, or of a request: one number applies to the pool as well."""
    for client, options in (
        (AsyncResilientClient(limits=ONE, timeout=given), {}),
        (AsyncResilientClient(limits=ONE), {"timeout": given}),
    ):
        _, result = await results_after_a_minute(client, **options)
        assert type(result) is httpx.PoolTimeout


def mounting(**transports: httpx.AsyncBaseTransport) -> AsyncResilientClient:
    """Create a client with transports for some schemes."""
    return AsyncResilientClient(mounts={f"{name}://": it for name, it in transports.items()})


OURS: dict[str, Callable[[], AsyncResilientClient]] = {
    "default": AsyncResilientClient,
    "pool": lambda: AsyncResilientClient(transport=AsyncPoolTransport()),
    "retries": lambda: AsyncResilientClient(transport=ResilientTransport()),
    "mounted": lambda: mounting(http=HTTPSRedirectTransport(), https=AsyncPoolTransport()),
}
OTHERS: dict[str, Callable[[], AsyncResilientClient]] = {
    "aiohttp": lambda: AsyncResilientClient(transport="aiohttp"),
    "pyreqwest": lambda: AsyncResilientClient(transport="pyreqwest"),
    "httpx": lambda: AsyncResilientClient(transport=httpx.AsyncHTTPTransport()),
    "retries on httpx": lambda: AsyncResilientClient(
        transport=ResilientTransport(httpx.AsyncHTTPTransport())
    ),
    "httpx mounted": lambda: mounting(http=httpx.AsyncHTTPTransport()),
}


@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
async def test_the_default_timeout_on_our_pool(make: Callable[[], AsyncResilientClient]) -> None:
    """Httpx's 5 s, except for the pool."""
    async with make() as client:
        assert client._client.timeout == httpx.Timeout(5.0, pool=None)


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
async def test_the_default_timeout_on_other_pools(
    make: Callable[[], AsyncResilientClient],
) -> None:
    """Httpx's, since what happens in their queues isn't up to us."""
    async with make() as client:
        assert client._client.timeout == httpx.Timeout(5.0)


async def test_no_timeout_at_all_can_be_given() -> None:
    """``None`` isn't taken for a timeout that wasn't given."""
    async with AsyncResilientClient(timeout=None) as client:
        assert client._client.timeout == httpx.Timeout(None)


@pytest.mark.parametrize(("options", "all_answered"), [({}, True), ({"timeout": 5.0}, False)])
async def test_many_requests_at_once_are_all_answered(
    options: dict[str, Any],
    all_answered: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Each answer takes 100 ms, so that the last request waits for 20 s."""

    async def answer_slowly(_: SeenRequest, wire: Wire) -> None:
        advance(0.1)
        await wire.answer(200, b"late")

    async with (
        FaultServer(each_request(answer_slowly)) as server,
        AsyncResilientClient(limits=httpx.Limits(max_connections=5), **options) as client,
    ):
        tasks = [await client.get(server.url) for _ in range(200)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = {result_type(result) for result in results}
        assert kinds == {httpx.Response} | (set() if all_answered else {httpx.PoolTimeout})
