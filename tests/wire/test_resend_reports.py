"""What a user is told when the pool has sent a request a second time."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fault_handlers import answer_then
from pool_helpers import in_order, new_transport

from typed_async_client import AsyncEvent, AsyncResilientClient, EventType, ResilientTransport
from typed_async_client.testing import FaultServer, Wire, answer
from typed_async_client.transports.resilient import ATTEMPTS

pytestmark = pytest.mark.usefixtures("http11")


async def close_after_request(wire: Wire) -> None:
    """Read a request, then close the connection."""
    await wire.read_request()


WRAPPERS: list[Callable[[Any], Any]] = [lambda pool: pool, ResilientTransport]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["pool", "retries"])
@pytest.mark.parametrize(
    ("second", "kind"), [(answer(), "success"), (close_after_request, "error")], ids=["ok", "lost"]
)
async def test_events_and_results_tell_how_often_a_request_was_resent(
    second: Any, kind: str, wrap: Callable[[Any], Any]
) -> None:
    """And not of others, although ``max_retries`` is 0: the server has seen two DELETEs."""
    seen: list[AsyncEvent] = []
    async with (
        FaultServer(in_order(answer_then(close_after_request), second)) as server,
        AsyncResilientClient(transport=wrap(new_transport()), max_retries=0) as client,
    ):
        for each in EventType:
            client.add_event_callback(each, seen.append)
        await client.request("GET", server.url)
        task = await client.delete(server.url)
        results = await client.wait_for_all_requests()
        assert [request.method for request in server.requests] == ["GET", "DELETE", "DELETE"]
        assert task.done()
    assert [(event.event_type, event.resends) for event in seen] == [("success", 0), (kind, 1)]
    assert [(each.status, each.resends) for each in results.values()] == [
        ("success", 0),
        (kind, 1),
    ]
    assert {each.attempts for each in results.values()} == {1}


async def test_the_history_of_a_transport_tells_it_too() -> None:
    """For whoever uses the transport in a client of httpx."""
    async with (
        FaultServer(in_order(answer_then(close_after_request), answer())) as server,
        httpx.AsyncClient(transport=ResilientTransport(new_transport())) as client,
    ):
        first = await client.get(server.url)
        second = await client.delete(server.url)
    assert first.extensions[ATTEMPTS].resends == 0
    assert (second.extensions[ATTEMPTS].resends, second.extensions[ATTEMPTS].attempts) == (1, 1)
