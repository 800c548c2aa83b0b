"""What is reported of HTTP/2 is what httpx's transport reports."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, Script, h2_client_context, h2_server
from trace_recorder import TraceRecorder, logged_messages

from typed_async_client import AsyncPoolTransport

Use = Callable[[httpx.AsyncClient, str, dict[str, Any]], Awaitable[Any]]


async def never_answer(wire: H2Wire) -> None:
    """Read requests, and answer none."""
    await wire.read_to_end()


async def answer_in_part(wire: H2Wire) -> None:
    """Send a part of a response."""
    (request,) = await wire.receive(1)
    await wire.start_answer(request)
    await wire.read_to_end()


async def abort(wire: H2Wire) -> None:
    """Reset the stream instead of answering."""
    (request,) = await wire.receive(1)
    await wire.abort_stream(request)
    await wire.read_to_end()


async def get(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Make a request."""
    await client.get(url, extensions=extensions)


async def get_and_post(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Make two requests, one after the other."""
    await client.get(url, extensions=extensions)
    await client.post(url, content=bytes(100_000), extensions=extensions)


async def leave_early(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Close a response after its first part."""
    async with client.stream("GET", url, extensions=extensions) as response:
        async for _ in response.aiter_raw():
            break
    await wait_until(lambda: "http2.receive_response_body.failed" in extensions["trace"].names)


async def cancel(client: httpx.AsyncClient, url: str, extensions: dict[str, Any]) -> None:
    """Cancel a request that waits for its response."""
    task = asyncio.ensure_future(client.get(url, extensions=extensions))
    settings = "http2.receive_remote_settings.complete"
    await wait_until(lambda: settings in extensions["trace"].names)
    task.cancel()
    await asyncio.wait({task})


CASES = {
    "two responses": (H2Wire.answer_remaining, get_and_post),
    "a response that never comes": (never_answer, get),
    "a body that stalls": (answer_in_part, get),
    "a stream that is reset": (abort, get),
    "a response left early": (answer_in_part, leave_early),
    "a cancelled request": (never_answer, cancel),
}


@pytest.mark.parametrize(("script", "use"), CASES.values(), ids=CASES.keys())
async def test_the_same_is_reported_as_by_httpx(script: Script, use: Use) -> None:
    """The server's settings included, although our connection reports them a moment later."""
    reported = []
    for make in (httpx.AsyncHTTPTransport, AsyncPoolTransport):
        recorder, errors = TraceRecorder(), []
        async with h2_server(script) as server:
            transport = make(verify=h2_client_context(), http2=True)
            with logged_messages() as messages:
                async with httpx.AsyncClient(transport=transport, timeout=0.2) as client:
                    try:
                        await use(client, server.url, {"trace": recorder})
                    except httpx.HTTPError as error:
                        errors.append(type(error))
        reported.append((recorder.reports, messages, errors))
    assert reported[0] == reported[1]
    assert "http2.receive_remote_settings.complete" in recorder.names


async def test_an_extension_that_raises_at_the_settings_fails_its_own_request_only() -> None:
    """The response to another request arrives in the same read."""

    async def answer_both(wire: H2Wire) -> None:
        for request in await wire.receive(2):
            await wire.answer(request)
        await wire.read_to_end()

    recorder = TraceRecorder(raise_at="http2.receive_remote_settings.complete")
    transport = AsyncPoolTransport(verify=h2_client_context(), http2=True)
    async with h2_server(answer_both) as server, httpx.AsyncClient(transport=transport) as client:
        traced = client.get(server.url, extensions={"trace": recorder})
        results = await asyncio.gather(traced, client.get(server.url), return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    assert isinstance(results[1], httpx.Response)
