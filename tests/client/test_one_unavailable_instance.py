"""A 503 with Retry-After holds back all requests to a host, unless the host serves others meanwhile."""

import asyncio

import httpx
import pytest

from typed_async_client import (
    AsyncResilientClient,
    RateLimitedLocallyError,
    Resilience,
    RetryAfterTooLongError,
)


class _Host:
    """A host of two instances, one of which answers 503 when it is told to."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/well":
            return httpx.Response(200)
        self.asked.set()
        await self.may_answer.wait()
        return httpx.Response(503, headers={"Retry-After": "50"})

    def client(self) -> AsyncResilientClient:
        transport = httpx.MockTransport(self.answer)
        return AsyncResilientClient(
            transport=transport, base_url="http://host.test", resilience=Resilience.standard()
        )


async def test_a_request_served_meanwhile_shows_that_the_host_is_available() -> None:
    """It was sent after the one that was refused, which alone has to wait."""
    host = _Host()
    async with host.client() as client:
        refused = await client.get("/sick")
        await host.asked.wait()
        assert (await client.request("GET", "/well")).status_code == 200
        host.may_answer.set()
        with pytest.raises(RetryAfterTooLongError):
            await refused
        assert (await client.request("GET", "/well")).status_code == 200


async def test_without_such_a_request_nothing_more_is_sent_to_the_host() -> None:
    """A request whose deadline is earlier than the end of the hold fails at once."""
    host = _Host()
    host.may_answer.set()
    async with host.client() as client:
        with pytest.raises(RetryAfterTooLongError):
            await client.request("GET", "/sick")
        with pytest.raises(RateLimitedLocallyError):
            await client.request("GET", "/well")
