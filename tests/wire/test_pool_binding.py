"""A pool lives on one event loop; used on another, it says so at once."""

import asyncio

import httpx
import pytest
from pool_kit import address_of

from typed_async_client import AsyncPoolTransport, ClientBoundError, ResilientTransport
from typed_async_client.testing import FaultServer, answer


@pytest.mark.parametrize("new", [AsyncPoolTransport, ResilientTransport])
def test_a_second_event_loop_hears_whose_pool_it_is(
    new: type[AsyncPoolTransport | ResilientTransport],
) -> None:
    """An idle connection of a loop that is gone would never be heard of again."""
    transport = new()

    async def ask() -> int:
        async with FaultServer(answer()) as server:
            client = httpx.AsyncClient(transport=transport, timeout=20.0)
            return (await client.get(address_of(server))).status_code

    with asyncio.Runner() as home:
        assert home.run(ask()) == 200
        with asyncio.Runner() as abroad, pytest.raises(ClientBoundError, match="belongs to"):
            abroad.run(ask())
        home.run(transport.aclose())
