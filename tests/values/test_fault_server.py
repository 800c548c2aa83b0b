"""The loopback server of the testing module, when it closes."""

import asyncio
import contextlib
import gc

import pytest

from typed_async_client.testing import FaultServer, Wire


@pytest.mark.parametrize("turns", range(12))
async def test_no_handler_starts_once_the_server_is_closed(turns: int) -> None:
    """However far the connection has come; a client that has reached the server sees it end."""
    started: list[bool] = []
    is_open = True

    async def handle(wire: Wire) -> None:
        started.append(is_open)
        await wire.read_request()

    async with FaultServer(handle) as server:
        connecting = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", server.port))
        for _ in range(turns):
            await asyncio.sleep(0)
        is_open = False
    with contextlib.suppress(ConnectionError):
        reader, writer = await connecting
        assert await reader.read() == b""
        writer.transport.abort()
    assert False not in started
    gc.collect()


async def test_a_server_is_closed_even_if_leaving_it_is_cancelled() -> None:
    """Its socket would stay open."""
    server = await FaultServer(Wire.finish).__aenter__()
    leaving = asyncio.ensure_future(server.__aexit__(None, None, None))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
