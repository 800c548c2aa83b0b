"""A connection is switched to another protocol once the whole request was sent, RFC 9110 7.8."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from pool_helpers import run_loop_turns
from steady_loop import pass_time
from upload_servers import Source, after_head, never_reads, reach, read_head

from typed_async_client.testing import Wire

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

SWITCH = b"HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n"
UPGRADE = {"Upgrade": "other", "Connection": "upgrade"}
LARGE = bytes(10_000_000)


async def slow_parts() -> AsyncIterator[bytes]:
    """Generate a body so slowly that the server's response arrives meanwhile."""
    for _ in range(4):
        yield b"body"
        await run_loop_turns(30)


class Server:
    """Responds to the head of a request, and keeps what follows it.

    Args:
        response: what it sends.
    """

    def __init__(self, response: bytes = SWITCH) -> None:
        self.received: bytes = b""
        self._response = response

    async def __call__(self, wire: Wire) -> None:
        """Serve a connection."""
        self.received += await read_head(wire) or b""
        await wire.send(self._response + b"hello")
        while data := await wire.read(65536):
            self.received += data


CASES: dict[str, tuple[str, Any, dict[str, str], bytes]] = {
    "chunked": ("POST", slow_parts, UPGRADE, b"4\r\nbody\r\n" * 4 + b"0\r\n\r\n"),
    "declared": ("POST", slow_parts, {**UPGRADE, "Content-Length": "16"}, b"body" * 4),
    "in memory": ("POST", lambda: LARGE, UPGRADE, LARGE),
    "expected": ("POST", lambda: b"body", {**UPGRADE, "Expect": "100-continue"}, b"body"),
    "expected parts": (
        "POST",
        slow_parts,
        {**UPGRADE, "Content-Length": "16", "Expect": "100-continue"},
        b"body" * 4,
    ),
}


@pytest.mark.parametrize(("method", "body", "headers", "sent"), CASES.values(), ids=CASES.keys())
async def test_the_whole_body_is_sent_before_the_new_protocol(
    method: str, body: Any, headers: dict[str, str], sent: bytes
) -> None:
    """Although the server switches as soon as it has the head."""
    handler = Server()
    async with (
        reach(handler) as (client, server, _),
        client.stream(method, server.url, content=body(), headers=headers) as response,
    ):
        assert response.status_code == 101
        stream = response.extensions["network_stream"]
        assert await stream.read(100) == b"hello"
        await stream.write(b"other protocol")
        await wait_until(lambda: handler.received.endswith(b"protocol"))
    assert handler.received == sent + b"other protocol"


async def test_the_body_of_connect_is_sent_before_the_tunnel_is_used() -> None:
    """A successful response to it switches the protocol, too."""
    handler = Server(b"HTTP/1.1 200 OK\r\n\r\n")
    async with (
        reach(handler) as (client, server, _),
        client.stream("CONNECT", server.url, content=slow_parts()) as response,
    ):
        await response.extensions["network_stream"].write(b"other protocol")
        await wait_until(lambda: handler.received.endswith(b"protocol"))
    assert handler.received == b"4\r\nbody\r\n" * 4 + b"0\r\n\r\n" + b"other protocol"


async def test_an_error_of_the_body_is_raised_instead() -> None:
    """The new protocol can't begin in the middle of a request."""

    async def failing() -> AsyncIterator[bytes]:
        async for part in slow_parts():
            yield part
        raise ZeroDivisionError

    async with reach(Server()) as (client, server, transport):
        with pytest.raises(ZeroDivisionError):
            await client.post(server.url, content=failing(), headers=UPGRADE)
        assert transport.statistics().idle == 0


async def test_a_server_that_closes_the_connection_ends_the_body() -> None:
    """Although the body waits, and nothing is being written."""
    source = Source(between=asyncio.Event().wait)

    async def finish(wire: Wire) -> None:
        await run_loop_turns(50)
        await wire.finish()

    async with reach(after_head(SWITCH, then=finish)) as (client, server, _):
        with pytest.raises(httpx.RemoteProtocolError, match="before the whole request was sent"):
            await client.post(server.url, content=source.parts(), headers=UPGRADE)
        assert source.closed == 1


async def test_a_server_that_does_not_read_the_body_is_a_write_timeout() -> None:
    """Even if it has begun to send what belongs to the new protocol."""
    source = Source()
    async with reach(after_head(SWITCH, b"hello", then=never_reads), timeout=5) as parts:
        client, server, _ = parts
        sending = asyncio.ensure_future(
            client.post(server.url, content=source.parts(), headers=UPGRADE)
        )
        before = -1
        while before < source.produced:
            before = source.produced
            await run_loop_turns(300)
        await pass_time(100)
        with pytest.raises(httpx.WriteTimeout):
            await sending
        assert source.closed == 1


async def test_a_switch_that_was_not_asked_for_ends_the_body() -> None:
    """It is refused at once."""
    source = Source(between=asyncio.Event().wait)
    async with reach(after_head(SWITCH)) as (client, server, _):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(server.url, content=source.parts())
        assert source.closed == 1
