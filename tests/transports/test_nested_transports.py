"""A ``ResilientTransport`` around another."""

import httpx
import pytest

from typed_async_client import CircuitBreaker, CircuitOpenError, Resilience, ResilientTransport
from typed_async_client.policies.retry import RetryPolicy


async def test_an_error_of_the_inner_transport_keeps_its_history() -> None:
    """The outer one made one attempt; the inner one knows the response before the rejection."""
    policies = Resilience(
        retry=RetryPolicy(max_retries=1, base_delay=0.0, statuses=(503,)),
        circuit=CircuitBreaker(minimum_calls=1),
    )
    busy = httpx.MockTransport(lambda request: httpx.Response(503))
    outer = ResilientTransport(ResilientTransport(busy, resilience=policies))
    async with httpx.AsyncClient(transport=outer) as client:
        with pytest.raises(CircuitOpenError) as raised:
            await client.get("http://a.test/")
    assert [record.status for record in raised.value.history] == [503, None]
