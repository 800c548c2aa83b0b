"""A pool is bound to one event loop; using it on another one raises an error."""

import asyncio

import httpx
import pytest
from pool_helpers import ip_url

from typed_async_client import AsyncPoolTransport, ClientBoundError, ResilientTransport
from typed_async_client.testing import FaultServer, answer


@pytest.mark.parametrize("new", [AsyncPoolTransport, ResilientTransport])
def test_using_a_pool_on_a_second_event_loop_is_an_error(
    new: type[AsyncPoolTransport | ResilientTransport],
) -> None:
    """Idle connections of a closed loop could never be used again."""
    transport = new()

    async def fetch_status() -> int:
        async with FaultServer(answer()) as server:
            client = httpx.AsyncClient(transport=transport, timeout=20.0)
            return (await client.get(ip_url(server))).status_code

    with asyncio.Runner() as first_runner:
        assert first_runner.run(fetch_status()) == 200
        with asyncio.Runner() as second_runner, pytest.raises(ClientBoundError, match="belongs to"):
            second_runner.run(fetch_status())
        first_runner.run(transport.aclose())
