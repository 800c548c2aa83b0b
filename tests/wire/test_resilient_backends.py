"""``ResilientTransport`` over other libraries: named, or by the httpx transports they bring."""

import contextlib
from typing import Any

import httpx
import pytest
from both_clients import mounted

from typed_async_client import AsyncEvent, AsyncResilientClient, EventType, ResilientTransport
from typed_async_client.testing import FaultServer, answer, drop, reset
from typed_async_client.transports.resilient import ATTEMPTS

BROUGHT = [
    pytest.importorskip("httpx_aiohttp").AiohttpTransport,
    pytest.importorskip("pyreqwest.compatibility.httpx").HttpxTransport,
]
"""The httpx transports that the libraries bring."""


@pytest.mark.parametrize("engine", ["aiohttp", "pyreqwest"])
async def test_a_named_engine_is_retried_until_its_port_opens(engine: Any) -> None:
    """A POST, and the server is asked once."""
    async with FaultServer(answer(), refusing=True) as server:

        async def open_in_time(event: AsyncEvent) -> None:
            if event.event_type is EventType.RETRY and event.attempts == 2:
                await server.open()

        transport = ResilientTransport(
            engine, max_retries=5, base_delay=0.05, on_event=open_in_time
        )
        async with httpx.AsyncClient(**mounted(transport)) as client:
            response = await client.post(server.url, content=b"5")
        assert response.extensions[ATTEMPTS].attempts >= 3
        assert [request.body for request in server.requests] == [b"5"]


def test_an_engine_that_nobody_knows_is_refused() -> None:
    """With the names that are known."""
    with pytest.raises(ValueError, match="unknown transport 'curl': use one of aiohttp, pyreqwest"):
        ResilientTransport("curl")  # type: ignore[arg-type]  # what a typing mistake would give


@pytest.mark.parametrize("new", BROUGHT)
@pytest.mark.parametrize("handler", [reset, drop])
async def test_a_post_that_was_lost_on_its_way_is_not_sent_again(new: Any, handler: Any) -> None:
    """Pyreqwest's own transport calls that a failed connection; it may have been processed."""
    async with FaultServer(handler) as server:
        transport = ResilientTransport(new(), base_delay=0.01)
        async with httpx.AsyncClient(**mounted(transport)) as client:
            with contextlib.suppress(httpx.HTTPError):
                await client.post(server.url, content=b"5")
        assert len(server.requests) == 1
        async with AsyncResilientClient(transport=new(), base_delay=0.01) as resilient:
            with contextlib.suppress(httpx.HTTPError):
                await (await resilient.post(server.url, content=b"5"))
        assert len(server.requests) == 2
        async with (
            httpx.AsyncClient(transport=new()) as theirs,
            AsyncResilientClient(http_client=theirs, base_delay=0.01) as resilient,
        ):
            with contextlib.suppress(httpx.HTTPError):
                await (await resilient.post(server.url, content=b"5"))
        assert len(server.requests) == 3
