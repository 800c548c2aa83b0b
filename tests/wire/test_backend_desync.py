"""A second answer to one request is never returned as the answer to the next."""

import asyncio

import pytest

from typed_async_client import AsyncResilientClient
from typed_async_client.options import BackendName
from typed_async_client.testing import FaultServer, Wire


@pytest.mark.parametrize("backend", ["aiohttp", "pyreqwest"])
async def test_a_surplus_answer_is_not_taken_for_the_next_one(backend: BackendName) -> None:
    """It arrived while the connection was idle, which isn't used again then."""
    sent = asyncio.Event()

    async def twice(wire: Wire) -> None:
        while (request := await wire.read_request()) is not None:
            name = request.target.encode()
            await wire.answer(200, name)
            await asyncio.sleep(0.01)
            await wire.answer(200, b"surplus of " + name)
            sent.set()

    async with FaultServer(twice) as server, AsyncResilientClient(transport=backend) as client:
        for name in ("a", "b", "c"):
            sent.clear()
            assert (await client.request("GET", server.url + name)).text == f"/{name}"
            await sent.wait()
            await asyncio.sleep(0.01)
