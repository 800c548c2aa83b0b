"""A response over HTTP/2 that comes while the body is still being sent ends the upload."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from h2_servers import H2Wire, Script, StreamRequest
from h2_setups import ALL_SETUPS, H2Setup
from pool_helpers import run_loop_turns
from upload_servers import Source

from typed_async_client import AsyncPoolTransport

pytestmark = [ALL_SETUPS, pytest.mark.usefixtures("no_leaks")]

POST = StreamRequest(1, "POST", "/", b"")
NO_ERROR = 0


@pytest.mark.parametrize("body", ["bytes", "parts"])
@pytest.mark.parametrize("is_complete", [True, False], ids=["complete", "only the head"])
async def test_a_refusal_ends_an_upload_that_waits_for_the_window(
    setup: H2Setup,
    client: httpx.AsyncClient,
    transport: AsyncPoolTransport,
    body: str,
    *,
    is_complete: bool,
) -> None:
    """Although the server doesn't reset the stream; the connection is reused."""

    async def refuse(wire: H2Wire) -> None:
        wire.opens_window = False
        await wire.read_until(lambda: wire.body_bytes == 65_535)
        await wire.refuse_early(POST, end=is_complete)
        await wire.read_until(lambda: wire.resets == [1])
        await wire.answer_remaining()

    source = Source()
    async with setup.server(refuse) as server:
        content = bytes(1_000_000) if body == "bytes" else source.parts()
        async with client.stream("POST", server.url, content=content) as response:
            assert response.status_code == 413
            assert source.closed == source.started
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


async def test_a_success_ends_an_upload_once_it_is_complete(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """The server needs no more of the body."""

    async def answer(wire: H2Wire) -> None:
        wire.opens_window = False
        await wire.read_until(lambda: wire.body_bytes == 65_535)
        await wire.answer(POST)
        await wire.read_until(lambda: wire.resets == [1])

    source = Source()
    async with setup.server(answer) as server:
        response = await client.post(server.url, content=source.parts())
        assert (response.status_code, response.content) == (200, b"ok")
        assert source.closed == 1


async def test_the_upload_continues_after_the_head_of_a_successful_response(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """The server may still need it."""

    async def answer(wire: H2Wire) -> None:
        await wire.read_until(lambda: wire.body_bytes > 0)
        await wire.start_answer(POST)
        (request,) = await wire.receive(1)
        await wire.finish_answer(request)
        await wire.read_to_end()

    source = Source(20)
    async with setup.server(answer) as server:
        response = await client.post(server.url, content=source.parts())
        assert response.content == b"part and rest"
        assert (source.produced, source.closed) == (20, 1)


class WatchedBody:
    """A body whose second part is generated when the server has reacted to the first."""

    def __init__(self) -> None:
        self.produced: int = 0
        self.reacted: asyncio.Event = asyncio.Event()

    async def parts(self) -> AsyncIterator[bytes]:
        """Generate the parts, which the window has room for."""
        for self.produced in range(1, 101):
            yield b"x"
            await self.reacted.wait()
            await run_loop_turns(20)


REACTIONS: dict[str, Callable[[H2Wire], Awaitable[None]]] = {
    "a refusal and a reset": lambda wire: wire.answer_early(POST, b"", NO_ERROR),
    "a refusal": lambda wire: wire.refuse_early(POST, end=True),
    "the head of a refusal": lambda wire: wire.refuse_early(POST, end=False),
}


def after_a_part(body: WatchedBody, react: Callable[[H2Wire], Awaitable[None]]) -> Script:
    """React to the first part of a body, and answer each request after it."""

    async def script(wire: H2Wire) -> None:
        await wire.read_until(lambda: wire.body_bytes == 1)
        await react(wire)
        body.reacted.set()
        await wire.answer_remaining()

    return script


@pytest.mark.parametrize("react", REACTIONS.values(), ids=REACTIONS.keys())
async def test_a_refusal_ends_an_upload_that_need_not_wait_for_the_window(
    setup: H2Setup,
    client: httpx.AsyncClient,
    transport: AsyncPoolTransport,
    react: Callable[[H2Wire], Awaitable[None]],
) -> None:
    """At its next part; the connection is reused."""
    body = WatchedBody()
    async with setup.server(after_a_part(body, react)) as server:
        async with client.stream("POST", server.url, content=body.parts()) as response:
            assert (response.status_code, body.produced <= 2) == (413, True)
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


async def test_a_reset_with_an_error_ends_an_upload_at_its_next_part(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """The request fails with its error code."""
    body = WatchedBody()
    async with setup.server(after_a_part(body, lambda wire: wire.abort_stream(POST))) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="reset the stream with error code 2"):
            await client.post(server.url, content=body.parts())
        assert body.produced <= 2


async def test_other_requests_go_on_while_uploads_read_what_arrives(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """Nothing that one of them reads is lost for another."""

    async def answer(wire: H2Wire) -> None:
        await wire.answer_remaining()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(5000)
            await asyncio.sleep(0)

    async with setup.server(answer) as server:
        uploads = [client.post(server.url, content=parts()) for _ in range(10)]
        downloads = [client.get(server.url) for _ in range(30)]
        responses = await asyncio.gather(*uploads, *downloads)
        assert {response.content for response in responses} == {b"ok"}
