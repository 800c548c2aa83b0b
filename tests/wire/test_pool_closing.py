"""Closing a pool ends its requests, and blames nobody else."""

import asyncio

import httpx
import pytest
from closed_bodies import error_of_reader
from fault_handlers import respond_with, wait_until
from pool_helpers import (
    HoldingHandler,
    expected_statistics,
    new_transport,
    other_tasks_end,
    pool_client,
    serve_requests,
)

from typed_async_client.testing import FaultServer, Wire, stall

pytestmark = pytest.mark.usefixtures("http11")


async def test_closing_a_pool_ends_every_wait_with_an_error() -> None:
    """Active requests lose their connection; waiting ones get an error."""
    async with FaultServer(stall) as server:
        transport = new_transport(connections=2)
        client = pool_client(transport)
        tasks = [asyncio.create_task(client.get(server.url)) for _ in range(10)]
        await wait_until(lambda: len(server.requests) == 2)
        await asyncio.gather(transport.aclose(), transport.aclose())
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results[:2]] == [httpx.ReadError] * 2
        assert [repr(result) for result in results[2:]] == [
            "RuntimeError('the connection pool was closed')"
        ] * 8
        assert transport.statistics() == expected_statistics(opened=2, pool_closed=2)
        with pytest.raises(RuntimeError, match="the connection pool is closed"):
            await transport._pool.request("GET", server.url)
    assert await other_tasks_end()


async def test_a_body_that_is_cut_off_by_its_own_client_says_so() -> None:
    """The server isn't to blame."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    async with FaultServer(respond_with(half, Wire.stall)) as server:
        client = pool_client(new_transport())
        async with client.stream("GET", server.url) as response:
            await client.aclose()
            with pytest.raises(httpx.ReadError, match="body: the client was closed meanwhile"):
                await response.aread()
        assert server.connections == 1


async def test_a_body_that_is_closed_by_another_task_while_it_is_read_says_so() -> None:
    """The server isn't to blame, although its connection has ended."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    async with (
        FaultServer(respond_with(half, Wire.stall)) as server,
        pool_client(new_transport()) as client,
        client.stream("GET", server.url) as response,
    ):
        error = await error_of_reader(response)
        assert isinstance(error, httpx.ReadError)
        assert str(error).endswith("lost while reading the response body: the response was closed")


async def test_a_request_on_a_reused_connection_is_not_resent_once_its_client_is_closed() -> None:
    """A connection that the server closes would be replaced."""
    handler = HoldingHandler()
    async with FaultServer(serve_requests(handler)) as server:
        transport = new_transport()
        client = pool_client(transport)
        first = asyncio.create_task(client.get(server.url))
        await wait_until(lambda: len(handler.held) == 1)
        handler.release()
        await first
        second = asyncio.create_task(client.get(server.url))
        await wait_until(lambda: len(handler.held) == 2)
        await transport.aclose()
        with pytest.raises(httpx.ReadError, match="response: the client was closed meanwhile"):
            await second
        assert server.connections == 1
