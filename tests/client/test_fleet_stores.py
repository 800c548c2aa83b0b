"""Which stores a client takes, and what it doesn't do to them."""

from typing import Any

import pytest
from fleet_kit import BREAKER, ORIGIN, Server, new_client, policies

from typed_async_client import Resilience
from typed_async_client.stores import LocalStore, SyncLocalStore


async def test_the_state_of_a_shared_circuit_is_not_in_the_hands_of_a_client() -> None:
    """Which the error says."""
    async with new_client(
        Server(200), resilience=Resilience.standard(), store=LocalStore()
    ) as client:
        with pytest.raises(ValueError, match="a store keeps the circuits"):
            client.circuit(ORIGIN)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (SyncLocalStore(), "SyncLocalStore is for the other kind of client: an asynchronous one"),
        (LocalStore, "store must be a StateStore, such as RedisStore"),
        ("redis://127.0.0.1:6379", "store must be a StateStore, such as RedisStore"),
        ({}, "got {}"),
    ],
)
def test_what_is_no_store_of_an_asynchronous_client_is_refused(store: Any, message: str) -> None:
    """When the client is made, before anything could be sent."""
    with pytest.raises(TypeError, match=message):
        new_client(Server(200), store=store)


async def test_the_store_of_the_caller_stays_open() -> None:
    """Other clients may use it."""

    class Watched(LocalStore):
        is_open = True

        async def aclose(self) -> None:
            self.is_open = False

    store = Watched()
    async with new_client(Server(200), resilience=policies(circuit=BREAKER), store=store) as client:
        await client.request("GET", "/")
    assert store.is_open
