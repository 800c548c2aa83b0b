"""A response over HTTP/2 that comes while the body is still being sent ends the upload."""

import httpx
import pytest
from h2_servers import H2Wire, StreamRequest
from h2_setups import ALL_SETUPS, H2Setup
from upload_servers import Source

from typed_async_client import AsyncPoolTransport

pytestmark = [ALL_SETUPS, pytest.mark.usefixtures("no_leaks")]

POST = StreamRequest(1, "POST", "/", b"")


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
