"""The numbers and limits that the prose of the README tells are those of the client."""

import asyncio

import httpx
from readmes import ROOT

from typed_async_client import (
    AsyncResilientClient,
    RequestContext,
    ResultStatus,
    create_async_resilient_client,
)
from typed_async_client.testing import FaultServer, Wire


async def test_httpx_sets_the_default_timeouts() -> None:
    """5 s for each of connect, read, write and pool."""
    async with create_async_resilient_client() as client:
        assert client._client.timeout == httpx.Timeout(5.0)


async def test_a_request_that_gets_no_connection_ends_as_timeout_and_is_not_retried() -> None:
    """With PoolTimeout, after the pool timeout, though retries were left."""

    async def hold(wire: Wire) -> None:
        await wire.read_request()
        connected.set()
        await wire.stall()

    connected = asyncio.Event()
    limits = httpx.Limits(max_connections=1)
    timeout = httpx.Timeout(20.0, pool=0.1)
    async with (
        FaultServer(hold) as server,
        create_async_resilient_client(limits=limits, timeout=timeout, trust_env=False) as client,
    ):
        await client.get(server.url)
        await connected.wait()
        await client.get(server.url, context=client.new_context("second"))
        result = await client.wait_for_request("second")
    assert (result.status, result.attempts) == (ResultStatus.TIMEOUT, 1)
    assert type(result.error) is httpx.PoolTimeout


async def test_a_context_replaces_all_limits_and_a_new_context_keeps_them() -> None:
    """What is not set in a context by hand is its own default: 2 retries, 1 s."""
    async with AsyncResilientClient(max_retries=5, base_delay=0.1, max_delay=9.0) as client:
        by_hand, by_client = RequestContext(), client.new_context("orders", {"page": 1})
    assert (by_hand.max_retries, by_hand.base_delay) == (2, 1.0)
    assert (by_client.max_retries, by_client.base_delay, by_client.max_delay) == (5, 0.1, 9.0)
    assert (by_client.request_id, by_client.metadata) == ("orders", {"page": 1})


def test_the_oldest_python_is_the_one_of_the_package() -> None:
    """Both READMEs name the version that pyproject.toml requires."""
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert "Python 3.11 or later" in (ROOT / "README.md").read_text("utf-8")
    assert "Python 3.11 ou plus récent" in (ROOT / "README.fr.md").read_text("utf-8")
