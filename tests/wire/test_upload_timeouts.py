"""Timeouts while a body is sent: only the write timeout applies, and only to a stuck server."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fault_handlers import wait_until
from pool_helpers import run_loop_turns
from steady_loop import advance
from upload_servers import CHUNKED_HEAD, OK, Source, after_head, echo_chunks, never_reads, reach

from typed_async_client.testing import Wire

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

LATE = 100.0
"""Seconds beyond each timeout."""


async def slow_parts() -> AsyncIterator[bytes]:
    """Take long to generate the second part."""
    yield bytes(1000)
    await run_loop_turns(20)
    advance(LATE)
    await run_loop_turns(20)
    yield bytes(1000)


async def respond_after_body(wire: Wire) -> None:
    """Respond once the last chunk has arrived."""
    while not (await wire.read(65536)).endswith(b"0\r\n\r\n"):
        pass
    await wire.send(OK)


async def finish_after_body(wire: Wire) -> None:
    """End a response that has begun once the last chunk has arrived."""
    while not (await wire.read(65536)).endswith(b"0\r\n\r\n"):
        pass
    await wire.send(b"0\r\n\r\n")


@pytest.mark.parametrize("is_early", [False, True], ids=["no head yet", "a head already"])
async def test_no_read_timeout_applies_while_a_body_is_sent(
    is_early: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """However long the body takes to be generated."""
    handler = (
        after_head(CHUNKED_HEAD, then=finish_after_body)
        if is_early
        else after_head(then=respond_after_body)
    )
    async with reach(handler, timeout=5) as (client, server, _):
        response = await client.post(server.url, content=slow_parts())
        assert response.status_code == 200


@pytest.mark.parametrize("head", [b"", CHUNKED_HEAD], ids=["no head yet", "a head already"])
async def test_the_read_timeout_starts_when_the_body_has_been_sent(head: bytes) -> None:
    """Whether the response hasn't begun, or was read beside the upload."""
    source = Source(3, between=lambda: run_loop_turns(20))
    async with reach(after_head(head), timeout=5) as (client, server, _):
        sending = asyncio.ensure_future(client.post(server.url, content=source.parts()))
        await wait_until(lambda: source.closed == 1)
        await run_loop_turns(50)
        advance(LATE)
        with pytest.raises(httpx.ReadTimeout):
            await sending


@pytest.mark.parametrize("head", [b"", CHUNKED_HEAD], ids=["no head yet", "a head already"])
async def test_a_server_that_neither_reads_nor_sends_is_a_write_timeout(head: bytes) -> None:
    """Whether the response hasn't begun, or is read beside the upload."""
    source = Source()
    async with reach(after_head(head, then=never_reads), timeout=5) as (client, server, _):
        sending = asyncio.ensure_future(client.post(server.url, content=source.parts()))
        await wait_until_stuck(source)
        advance(LATE)
        with pytest.raises(httpx.WriteTimeout):
            await sending
        assert source.closed == 1


async def test_a_caller_that_reads_slowly_is_no_write_timeout() -> None:
    """The server can't read on before its response is read."""
    source = Source(500)
    async with (
        reach(echo_chunks, timeout=5) as (client, server, _),
        client.stream("POST", server.url, content=source.parts()) as response,
    ):
        size = 0
        async for part in response.aiter_raw():
            if source.produced < 400 and size < 5 * 65536:
                await wait_until_stuck(source)
                advance(LATE)
                await run_loop_turns(10)
            size += len(part)
        assert size > 500 * 65536


async def wait_until_stuck(source: Source) -> None:
    """Wait until no further part is taken from the source."""
    before = -1
    while before < source.produced:
        before = source.produced
        await run_loop_turns(300)
