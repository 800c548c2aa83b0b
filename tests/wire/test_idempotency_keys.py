"""Which idempotency keys make a processed POST safe to repeat, and which don't."""

import itertools
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, ConnectError, RequestContext
from typed_async_client.testing import FaultServer, answer

CONTEXT = RequestContext(max_retries=2, base_delay=0.001)


async def sends_of(client: AsyncResilientClient, **options: Any) -> int:
    """Send a POST that is redirected to a dead port; return how often the first server got it."""
    async with (
        FaultServer(answer(), refusing=True) as dead,
        FaultServer(answer(307, b"", f"Location: {dead.url}")) as first,
        client,
    ):
        task = await client.post(first.url, CONTEXT, content=b"pay 5", **options)
        with pytest.raises(httpx.ConnectError):
            await task
        return len(first.requests)


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "8f2a"},
        {b"idempotency-key": b"8f2a"},
        [("IDEMPOTENCY-KEY", "8f2a")],
        httpx.Headers({"Idempotency-Key": "8f2a"}),
    ],
    ids=["mapping", "bytes", "list", "Headers"],
)
async def test_a_key_that_the_caller_passes_counts_in_any_form(headers: Any) -> None:
    """Every attempt sends the same one."""
    assert await sends_of(AsyncResilientClient(follow_redirects=True), headers=headers) == 3


async def test_a_key_that_a_hook_generates_does_not_count() -> None:
    """Each attempt has another one, so the server couldn't recognize the second."""
    keys = itertools.count()

    async def add_key(request: httpx.Request) -> None:
        request.headers["Idempotency-Key"] = str(next(keys))

    client = AsyncResilientClient(follow_redirects=True, event_hooks={"request": [add_key]})
    assert await sends_of(client) == 1


async def test_a_post_without_a_key_is_sent_once() -> None:
    """The first server has already acted on it."""
    assert await sends_of(AsyncResilientClient(follow_redirects=True)) == 1


@pytest.mark.parametrize(("headers", "sends"), [({"Idempotency-Key": "8f2a"}, 3), ({}, 1)])
async def test_a_key_counts_for_a_client_that_reports_nothing(
    headers: dict[str, str], sends: int
) -> None:
    """Without event hooks, any request may have been processed before the failure."""
    attempts = 0

    class Unhooked:
        async def request(self, *_: Any, **__: Any) -> httpx.Response:
            nonlocal attempts
            attempts += 1
            raise httpx.ConnectError("refused")

    async with AsyncResilientClient(http_client=Unhooked()) as client:
        task = await client.post("http://pay.test/", CONTEXT, headers=headers)
        with pytest.raises(httpx.ConnectError) as raised:
            await task
    assert attempts == sends
    assert isinstance(raised.value, ConnectError) is (sends == 3)
