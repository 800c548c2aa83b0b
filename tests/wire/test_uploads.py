"""The response is read while a body is being sent, RFC 9112 section 9.5."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pool_helpers import run_loop_turns
from upload_servers import (
    CHUNKED_HEAD,
    OK,
    REFUSAL,
    Source,
    after_head,
    each_route,
    echo_chunks,
    never_reads,
    reach,
)

from typed_async_client import AsyncPoolTransport, ResilientTransport
from typed_async_client.testing import FaultServer, Wire

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

SIZE = 50 * 1024 * 1024

REACTIONS = {"reads on": Wire.stall, "never reads": never_reads}


def never() -> asyncio.Future[None]:
    """Return a future that never completes."""
    return asyncio.get_running_loop().create_future()


BODIES: dict[str, Callable[[Source], Any]] = {
    "bytes": lambda _: bytes(SIZE),
    "parts": Source.parts,
}

# A response that ends the upload


@each_route
@pytest.mark.parametrize("then", REACTIONS.values(), ids=REACTIONS.keys())
@pytest.mark.parametrize("body", ["bytes", "endless parts", "a part, then a wait"])
async def test_an_early_refusal_ends_the_upload(
    route: str, then: Callable[[Wire], Any], body: str
) -> None:
    """It is delivered, the body's generator is closed, and the connection isn't reused."""
    source = Source(between=never if body == "a part, then a wait" else None)
    async with reach(after_head(REFUSAL, then=then), route) as (client, server, transport):
        content: Any = bytes(SIZE) if body == "bytes" else source.parts()
        response = await client.post(server.url, content=content)
        assert (response.status_code, response.content) == (413, b"no")
        assert source.closed == source.started == (body != "bytes")
        assert transport.statistics().idle == 0


@pytest.mark.parametrize("status", [b"302 Found", b"401 Unauthorized", b"503 Service Unavailable"])
async def test_any_redirect_or_error_ends_the_upload(status: bytes) -> None:
    """Not only a response that says that the body is too large."""
    refusal, source = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n", Source()
    async with reach(after_head(refusal)) as (client, server, _):
        response = await client.post(server.url, content=source.parts())
        assert response.status_code == int(status[:3])
        assert source.closed == 1


async def test_a_refusal_after_100_continue_ends_the_upload() -> None:
    """The server has asked for the body, and sees that it is too large."""
    source = Source(between=never)
    continues = b"HTTP/1.1 100 Continue\r\n\r\n"

    async def refuse(wire: Wire) -> None:
        while not source.produced:  # noqa: ASYNC110 - the source sets no event
            await asyncio.sleep(0)
        await wire.send(REFUSAL)
        await wire.stall()

    async with reach(after_head(continues, then=refuse)) as (client, server, _):
        headers = {"Expect": "100-continue"}
        response = await client.put(server.url, content=source.parts(), headers=headers)
        assert response.status_code == 413
        assert source.closed == 1


@pytest.mark.parametrize("size", [50_000, 300_000, SIZE])
@pytest.mark.parametrize("is_generated", [False, True], ids=["bytes", "parts"])
async def test_a_refusal_before_a_reset_is_delivered(
    size: int,
    is_generated: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """A server that closes with a part of the body unread resets the connection."""

    async def refuse(wire: Wire) -> None:
        await wire.read(1000)
        await wire.send(REFUSAL)

    async with reach(refuse) as (client, server, _):
        for _ in range(20):
            source = Source(size // 10_000, 10_000)
            content: Any = source.parts() if is_generated else bytes(size)
            response = await client.post(server.url, content=content)
            assert (response.status_code, response.content) == (413, b"no")
            assert source.closed == source.started


async def test_a_form_is_uploaded_in_the_same_way() -> None:
    """Its parts come from a file."""

    class Zeros:
        def read(self, size: int) -> bytes:
            return bytes(size)

    async with reach(after_head(REFUSAL)) as (client, server, _):
        response = await client.post(server.url, files={"file": Zeros()})  # type: ignore[dict-item]  # no io class
        assert response.status_code == 413


async def test_a_complete_response_ends_the_upload() -> None:
    """Even a successful one: the server needs no more."""
    source = Source(between=never)
    async with reach(after_head(OK)) as (client, server, transport):
        response = await client.post(server.url, content=source.parts())
        assert (response.status_code, response.content) == (200, b"ok")
        assert source.closed == 1
        assert transport.statistics().idle == 0


# A response that is read beside the upload


@each_route
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_server_that_echoes_a_body_is_no_deadlock(
    route: str, body: Callable[[Source], Any]
) -> None:
    """It stops reading when its own buffers are full, until its response is read."""
    source, received = Source(SIZE // 65536), 0
    async with reach(echo_chunks, route) as (client, server, _):
        headers = {"Transfer-Encoding": "chunked"}
        request = client.build_request("POST", server.url, content=body(source), headers=headers)
        response = await client.send(request, stream=True)
        async for part in response.aiter_raw():
            received += len(part)
        await response.aclose()
    assert received > SIZE  # with the chunks of the request
    assert source.closed == source.started


@pytest.mark.parametrize(
    "wrap", [lambda _: ResilientTransport(), ResilientTransport], ids=["default", "wrapped pool"]
)
async def test_a_resilient_transport_lets_the_upload_go_on(
    wrap: Callable[[AsyncPoolTransport], ResilientTransport],
) -> None:
    """It closes the generator of a body only if nobody reads on."""
    source = Source(SIZE // 65536)
    async with (
        FaultServer(echo_chunks) as server,
        httpx.AsyncClient(transport=wrap(AsyncPoolTransport()), timeout=20) as client,
        client.stream("POST", server.url, content=source.parts()) as response,
    ):
        assert sum([len(part) async for part in response.aiter_raw()]) > SIZE


async def test_the_connection_is_reused_after_both_directions_have_ended() -> None:
    """The upload ran beside the response, and was complete."""
    async with reach(echo_chunks) as (client, server, transport):
        for _ in range(3):
            response = await client.post(server.url, content=Source(100).parts())
            assert len(response.content) > 100 * 65536
            assert transport.statistics().idle == 1
        assert server.connections == 1


async def test_an_echoed_body_is_not_held_in_memory() -> None:
    """If the caller stops reading, the server does, and then the upload."""
    source = Source()
    async with reach(echo_chunks) as (client, server, _):
        async with client.stream("POST", server.url, content=source.parts()) as response:
            parts = response.aiter_raw()
            await anext(parts)
            before = -1
            while before < source.produced:
                before = source.produced
                await run_loop_turns(500)
            assert source.produced * 65536 < SIZE
            assert source.closed == 0
        assert source.closed == 1


async def test_interim_responses_do_not_end_the_upload() -> None:
    """The whole body arrives, and the connection is reused."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    source = Source(100)

    async def hint(wire: Wire) -> None:
        data, sent = b"", 0
        while not data.endswith(b"0\r\n\r\n"):
            data = data[-5:] + await wire.read(65536)
            sent += 1
            await wire.send(hints if sent <= 10 else b"")
        await wire.send(OK)
        await after_head(OK)(wire)

    async with reach(after_head(hints, then=hint)) as (client, server, _):
        response = await client.post(server.url, content=source.parts())
        assert (response.status_code, source.produced, source.closed) == (200, 100, 1)
        assert (await client.get(server.url)).text == "ok"
        assert server.connections == 1


# Errors and abandoned responses


async def failing() -> AsyncIterator[bytes]:
    """Yield a part, give the server some time, and raise."""
    yield bytes(65536)
    await run_loop_turns(50)
    raise ZeroDivisionError("no more data")


@pytest.mark.parametrize("early", [b"", CHUNKED_HEAD], ids=["before", "after"])
async def test_the_error_of_a_body_is_raised_before_and_after_the_head(early: bytes) -> None:
    """By the request, or by the reading of its response."""
    async with reach(after_head(early)) as (client, server, _):
        with pytest.raises(ZeroDivisionError, match="no more data"):
            await client.post(server.url, content=failing())


async def test_a_body_that_is_cancelled_cancels_its_request() -> None:
    """For example because a task that it waits for was cancelled."""

    async def cancelled() -> AsyncIterator[bytes]:
        yield b"x"
        raise asyncio.CancelledError

    async with reach(after_head()) as (client, server, _):
        with pytest.raises(asyncio.CancelledError):
            await client.post(server.url, content=cancelled())


async def test_closing_the_response_ends_the_upload() -> None:
    """The generator is closed when the response is."""
    source = Source(between=never)
    async with reach(after_head(CHUNKED_HEAD)) as (client, server, transport):
        async with client.stream("POST", server.url, content=source.parts()) as response:
            assert response.status_code == 200
            assert source.closed == 0
        assert source.closed == 1
        assert transport.statistics().idle == 0


@pytest.mark.parametrize("end", [Wire.finish, Wire.reset], ids=["FIN", "RST"])
async def test_a_lost_connection_ends_a_body_that_waits(end: Callable[[Wire], Any]) -> None:
    """Although nothing is being written to it."""
    source = Source(between=never)

    async def end_connection(wire: Wire) -> None:
        result = end(wire)
        if result is not None:
            await result

    async with reach(after_head(then=end_connection)) as (client, server, _):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.post(server.url, content=source.parts())
        assert source.closed == 1


async def test_closing_the_transport_ends_the_upload() -> None:
    """The request fails, and its generator is closed."""
    source = Source(between=never)
    async with reach(after_head()) as (client, server, transport):
        sending = asyncio.ensure_future(client.post(server.url, content=source.parts()))
        while not source.produced:  # noqa: ASYNC110 - the source sets no event
            await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(httpx.TransportError):
            await sending
        assert source.closed == 1
