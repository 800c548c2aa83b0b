"""Retries over HTTP/2: what the server says it hasn't processed is sent again, whatever its method."""

from typing import Any

import httpx
import pytest
from h2_servers import H2Wire, Script
from h2_setups import ALL_SETUPS, H2Setup

from typed_async_client import (
    AsyncResilientClient,
    CircuitBreaker,
    CircuitState,
    Resilience,
    ResilientTransport,
    RetryPolicy,
)

POLICIES = Resilience(
    retry=RetryPolicy(max_retries=5, base_delay=0.001), circuit=CircuitBreaker(minimum_calls=1)
)

pytestmark = [ALL_SETUPS, pytest.mark.usefixtures("no_leaks")]


def refuse_first(count: int) -> Script:
    """Refuse so many streams (REFUSED_STREAM), then answer."""

    async def script(wire: H2Wire) -> None:
        for number in range(1, count + 1):
            await wire.refuse((await wire.receive(number))[-1])
        await wire.answer_remaining()

    return script


async def go_away(wire: H2Wire) -> None:
    """Say that no stream was or will be processed, and close the connection."""
    await wire.receive(1)
    await wire.go_away(0)


async def abort(wire: H2Wire) -> None:
    """Reset the stream with a code that says nothing about what was processed; then answer."""
    await wire.abort_stream((await wire.receive(1))[0])
    await wire.answer_remaining()


UNPROCESSED: dict[str, list[Script]] = {
    "refused": [refuse_first(4), H2Wire.answer_remaining],
    "GOAWAY": [go_away, go_away, go_away, H2Wire.answer_remaining],
}


@pytest.mark.parametrize("fault", UNPROCESSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_was_not_processed_is_sent_again(
    setup: H2Setup, method: str, fault: str
) -> None:
    """By the pool first, then by the policy; the circuit isn't charged."""
    async with setup.server(*UNPROCESSED[fault]) as server:
        options: dict[str, Any] = {"resilience": POLICIES, "transport": setup.transport()}
        async with AsyncResilientClient(**options) as client:
            response = await client.request(method, server.url, content=b"once")
            assert response.text == "ok"
            assert client.circuit(server.url).state is CircuitState.CLOSED


@pytest.mark.parametrize("way", ["client", "transport"])
@pytest.mark.parametrize("kind", ["GET", "POST", "POST with a key"])
async def test_a_stream_that_was_reset_may_have_been_processed(
    setup: H2Setup, kind: str, way: str
) -> None:
    """A POST without a key isn't sent again."""
    policies = Resilience(retry=POLICIES.retry)
    headers = {"Idempotency-Key": "order-17"} if kind == "POST with a key" else {}
    method = kind.split(maxsplit=1)[0]
    opened: Any = (
        AsyncResilientClient(resilience=policies, transport=setup.transport())
        if way == "client"
        else httpx.AsyncClient(transport=ResilientTransport(setup.transport(), resilience=policies))
    )
    async with setup.server(abort) as server, opened as client:
        request = client.request(method, server.url, content=b"x", headers=headers)
        if kind == "POST":
            with pytest.raises(httpx.RemoteProtocolError):
                await request
        else:
            assert (await request).text == "ok"
