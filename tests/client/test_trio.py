"""Under trio: an error that says that asyncio is needed, and nothing left behind."""

import gc
from typing import Any

import httpx
import httpx2
import pytest
import trio

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    ResilientTransport,
    for_httpx2,
    simple_async_request,
)

URL = "http://service.test/"


async def resilient_client() -> None:
    """Open a client."""
    async with AsyncResilientClient():
        pass


async def request_without_opening() -> None:
    """Send a request, and close the client after it has failed."""
    client = AsyncResilientClient(transport=ResilientTransport())
    try:
        await client.get(URL)
    finally:
        await client.close()


async def external_client() -> None:
    """Send through a client of the user's."""
    async with httpx.AsyncClient() as external:
        await AsyncResilientClient(http_client=external).get(URL)


async def waiting() -> None:
    """Wait for a result that can't come."""
    await AsyncResilientClient().wait_for_request("r", timeout=1.0)


async def waiting_for_all() -> None:
    """Wait for results that can't come."""
    await AsyncResilientClient().wait_for_all_requests()


async def simple_request() -> None:
    """Send a single request."""
    await simple_async_request("GET", URL)


async def adapter() -> None:
    """Send with a client of httpx2."""
    async with httpx2.AsyncClient(transport=for_httpx2(ResilientTransport())) as client:
        await client.get(URL)


def with_transport(make: Any) -> Any:
    """Send with httpx's client and a transport of ours."""

    async def send() -> None:
        async with httpx.AsyncClient(transport=make()) as client:
            await client.get(URL)

    return send


WAYS = {
    "the client": resilient_client,
    "a request": request_without_opening,
    "an external client": external_client,
    "wait_for_request": waiting,
    "wait_for_all_requests": waiting_for_all,
    "simple_async_request": simple_request,
    "the adapter": adapter,
    "the pool": with_transport(AsyncPoolTransport),
    "the resilient transport": with_transport(ResilientTransport),
    "a sheltered transport": with_transport(lambda: ResilientTransport(httpx.AsyncHTTPTransport())),
    "a sheltered transport alone": with_transport(
        lambda: HSTSTransport(httpx.AsyncHTTPTransport())
    ),
    "a named backend": with_transport(lambda: ResilientTransport("aiohttp")),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_error_says_that_asyncio_is_needed(way: Any) -> None:
    """No coroutine stays unawaited and nothing stays open: warnings are errors here."""
    with pytest.raises(RuntimeError, match=r"needs asyncio, .* under trio, use httpx\.AsyncClient"):
        trio.run(way)
    gc.collect()


def test_what_needs_no_event_loop_works_under_trio() -> None:
    """A policy in front of httpx's own transport, which supports trio."""
    transport = HSTSTransport(httpx.MockTransport(lambda _: httpx.Response(204)))

    async def send() -> int:
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.get(URL)).status_code

    assert trio.run(send) == 204
