"""One transport in several clients, as with httpx's own."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    HSTSTransport,
    ResilientTransport,
    for_httpx2,
)
from typed_async_client.testing import FaultServer, answer

MAKERS: tuple[Callable[[], httpx.AsyncBaseTransport], ...] = (
    AsyncPoolTransport,
    ResilientTransport,
    lambda: HSTSTransport(ResilientTransport(AsyncPoolTransport())),
)
each_transport = pytest.mark.parametrize("make", MAKERS, ids=["pool", "resilient", "nested"])


@each_transport
@pytest.mark.usefixtures("no_leaks")
async def test_clients_share_a_transport_one_after_another(
    make: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """Entering it opens it again, and so does a request of a client that isn't entered."""
    transport = make()
    async with FaultServer(answer()) as server:
        for _ in range(2):
            async with httpx.AsyncClient(transport=transport) as client:
                assert (await client.get(server.url)).status_code == 200
            async with AsyncResilientClient(transport=transport) as resilient:
                assert (await resilient.request("GET", server.url)).status_code == 200
            client = httpx.AsyncClient(transport=transport)
            assert (await client.get(server.url)).status_code == 200
            await client.aclose()


@pytest.mark.usefixtures("no_leaks")
async def test_a_transport_stays_open_until_its_last_client_has_left_it() -> None:
    """With its connections; the request of another client goes on."""
    transport = AsyncPoolTransport()
    async with FaultServer(answer()) as server:
        async with httpx.AsyncClient(transport=transport) as client:
            async with httpx.AsyncClient(transport=transport) as other:
                await other.get(server.url)
            async with AsyncResilientClient(mounts={"all://": transport}) as resilient:
                await resilient.request("GET", server.url)
            assert (await client.get(server.url)).status_code == 200
        assert transport.statistics().closed == {"pool closed": 1}


def test_a_transport_is_entered_again_on_another_event_loop() -> None:
    """A closed one belongs to none."""
    transport = AsyncPoolTransport()

    async def send() -> int:
        async with (
            FaultServer(answer()) as server,
            httpx.AsyncClient(transport=transport) as client,
        ):
            return (await client.get(server.url)).status_code

    assert [asyncio.run(send()) for _ in range(2)] == [200, 200]


async def test_an_adapter_of_the_wrong_kind_says_so() -> None:
    """It isn't for a kind of client that its transport isn't for."""
    client = httpx2.Client(transport=for_httpx2(AsyncPoolTransport()))  # type: ignore[arg-type]  # the mistake
    with pytest.raises(AttributeError, match=r"isn't for httpx2\.Client"):
        client.get("http://a.test/")
    adapter: Any = for_httpx2(httpx.HTTPTransport())
    assert not hasattr(adapter, "handle_async_request")
    assert not hasattr(copy.copy(adapter), "nothing")
    with pytest.raises(AttributeError, match=r"isn't for httpx2\.AsyncClient"):
        await httpx2.AsyncClient(transport=adapter).get("http://a.test/")
