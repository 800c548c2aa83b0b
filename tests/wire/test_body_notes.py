"""A body that was read, and can be read only once, ends its request with a note on the error."""

import dataclasses
from typing import Any

import httpx
import pytest
from body_kinds import (
    ONCE,
    RETRYING,
    Make,
    async_generator,
    overloaded,
    resetting,
    with_client,
)

from typed_async_client import (
    AsyncResilientClient,
    EventType,
    GiveUp,
    GiveUpReason,
    ResilientTransport,
    RetryBudget,
)
from typed_async_client.testing import FaultServer


@pytest.mark.parametrize("kind", ONCE)
async def test_the_retry_budget_is_not_asked_for_a_body_that_was_read(
    kind: str, make: Make
) -> None:
    """Its balance is unchanged, no retry is announced, and the history has the reason."""
    retries: list[Any] = []
    resilience = dataclasses.replace(RETRYING, budget=RetryBudget(min_per_second=1, ttl=10))
    async with (
        FaultServer(resetting([])) as server,
        AsyncResilientClient(resilience=resilience) as client,
    ):
        client.add_event_callback(EventType.RETRY, retries.append)
        with pytest.raises(httpx.TransportError) as raised:
            await client.request(
                "PUT", server.url, client.new_context("upload"), content=make(kind)
            )
        result = await client.wait_for_request("upload")
    (record,) = result.history
    assert record.decision == GiveUp(GiveUpReason.NOT_REPLAYABLE)
    assert record.budget_left == 10.2  # all that it started with, and the deposit of the request
    assert retries == []
    (note,) = raised.value.__notes__
    assert str(record.facts.body) in note
    assert result.explain().splitlines()[-2:] == [
        f"  body: it comes from {record.facts.body}",
        "  ended: the body was read, and can be read only once",
    ]


async def test_the_note_tells_what_the_body_comes_from_and_what_to_do() -> None:
    """The error is the one of the connection, not one of ours."""
    async with FaultServer(resetting([])) as server:
        with pytest.raises(httpx.ReadError) as raised:
            await with_client(server.url, async_generator())
    (note,) = raised.value.__notes__
    assert note == (
        "not sent again: the body comes from an async generator, which can be read only once, and an "
        "earlier attempt has begun to read it; pass bytes, an open file, or an object that iterates "
        "from the start each time"
    )


async def test_a_note_gives_no_advice_that_would_not_help() -> None:
    """A POST that may have been processed isn't sent again, whatever its body is."""
    async with (
        FaultServer(resetting([])) as server,
        AsyncResilientClient(resilience=RETRYING) as client,
    ):
        with pytest.raises(httpx.ReadError) as raised:
            await client.request("POST", server.url, content=async_generator())
    (note,) = raised.value.__notes__
    assert note.endswith("an earlier attempt has begun to read it")


async def test_nested_policies_leave_one_note() -> None:
    """A transport with policies, in a client with policies."""
    async with (
        FaultServer(resetting([])) as server,
        httpx.AsyncClient(transport=ResilientTransport(resilience=RETRYING)) as own,
        AsyncResilientClient(http_client=own, resilience=RETRYING) as client,
    ):
        with pytest.raises(httpx.ReadError) as raised:
            await client.request("PUT", server.url, content=async_generator())
        assert len(raised.value.__notes__) == 1
        assert server.connections == 1


async def test_an_error_made_of_a_status_has_the_note_too() -> None:
    """It would have been followed by another attempt."""
    async with (
        FaultServer(overloaded([])) as server,
        AsyncResilientClient(resilience=RETRYING, raise_on_status=True) as client,
    ):
        with pytest.raises(httpx.HTTPStatusError) as raised:
            await client.request("PUT", server.url, content=async_generator())
    assert raised.value.__notes__[0].startswith("not sent again: the body comes from an async gen")
