"""``ResilientTransport`` over other libraries, by name or through their httpx transports."""

import contextlib
from typing import Any

import httpx
import pytest
from client_kinds import options_for

from typed_async_client import AsyncEvent, AsyncResilientClient, EventType, ResilientTransport
from typed_async_client.testing import FaultServer, answer, drop, reset
from typed_async_client.transports.resilient import ATTEMPTS

LIBRARY_TRANSPORTS = [
    pytest.importorskip("httpx_aiohttp").AiohttpTransport,
    pytest.importorskip("pyreqwest.compatibility.httpx").HttpxTransport,
]
"""The httpx transports that the libraries provide."""


@pytest.mark.parametrize("backend", ["aiohttp", "pyreqwest"])
async def test_a_named_backend_is_retried_until_the_port_opens(backend: Any) -> None:
    """The server receives the POST once."""
    async with FaultServer(answer(), refusing=True) as server:

        async def open_in_time(event: AsyncEvent) -> None:
            if event.event_type is EventType.RETRY and event.attempts == 2:
                await server.open()

        transport = ResilientTransport(
            backend, max_retries=5, base_delay=0.05, on_event=open_in_time
        )
        async with httpx.AsyncClient(**options_for(transport)) as client:
            response = await client.post(server.url, content=b"5")
        assert response.extensions[ATTEMPTS].attempts >= 3
        assert [request.body for request in server.requests] == [b"5"]


def test_an_unknown_backend_is_rejected() -> None:
    """The message lists the known ones."""
    with pytest.raises(ValueError, match="unknown transport 'curl': use one of aiohttp, pyreqwest"):
        ResilientTransport("curl")  # type: ignore[arg-type]  # deliberately wrong


@pytest.mark.parametrize("new", LIBRARY_TRANSPORTS)
@pytest.mark.parametrize("handler", [reset, drop])
async def test_a_post_whose_connection_was_lost_is_not_retried(new: Any, handler: Any) -> None:
    """With pyreqwest's transport it is a connect error, but the POST may have been processed."""
    async with FaultServer(handler) as server:
        transport = ResilientTransport(new(), base_delay=0.01)
        async with httpx.AsyncClient(**options_for(transport)) as client:
            with contextlib.suppress(httpx.HTTPError):
                await client.post(server.url, content=b"5")
        assert len(server.requests) == 1
        async with AsyncResilientClient(transport=new(), base_delay=0.01) as resilient:
            with contextlib.suppress(httpx.HTTPError):
                await (await resilient.post(server.url, content=b"5"))
        assert len(server.requests) == 2
        async with (
            httpx.AsyncClient(transport=new()) as external,
            AsyncResilientClient(http_client=external, base_delay=0.01) as resilient,
        ):
            with contextlib.suppress(httpx.HTTPError):
                await (await resilient.post(server.url, content=b"5"))
        assert len(server.requests) == 3
