"""Each kind of body over HTTP/2: all of it is sent with each attempt, or it isn't sent again."""

import httpx
import pytest
from body_kinds import AGAIN, BODY, KINDS, RETRYING, Bodies, Make
from h2_servers import H2Wire, Script
from h2_setups import ALL_SETUPS, H2Setup

from typed_async_client import AsyncResilientClient

pytestmark = ALL_SETUPS


async def lose(wire: H2Wire) -> None:
    """Close the connection after a part of the body."""
    await wire.read_until(lambda: wire.body_bytes > 0)


def keep(bodies: Bodies) -> Script:
    """Answer one request, and keep its body."""

    async def script(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        bodies.append(request.body)
        await wire.answer(request)
        await wire.read_to_end()

    return script


@pytest.mark.parametrize("kind", KINDS)
async def test_every_attempt_sends_the_whole_body_or_is_not_made(
    setup: H2Setup, kind: str, make: Make
) -> None:
    """Two connections are lost in the middle of it."""
    bodies: Bodies = []
    async with (
        setup.server(lose, lose, keep(bodies)) as server,
        AsyncResilientClient(transport=setup.transport(), resilience=RETRYING) as client,
    ):
        task = await client.put(server.url, content=make(kind))
        if kind in AGAIN:
            assert (await task).status_code == 200
            assert bodies == [BODY]
            return
        with pytest.raises(httpx.TransportError) as raised:
            await task
        (note,) = raised.value.__notes__
        assert note.startswith("not sent again: the body comes from a")
        assert server.connections == 1


async def test_a_large_file_arrives_as_it_is(setup: H2Setup, make: Make) -> None:
    """In more parts than a window of HTTP/2 holds."""
    bodies: Bodies = []
    content = bytes(range(256)) * 8192
    file = make("file")
    file.write(content)
    file.seek(len(BODY) + 8)
    async with (
        setup.server(keep(bodies)) as server,
        AsyncResilientClient(transport=setup.transport()) as client,
    ):
        await client.request("PUT", server.url, content=file)
        assert bodies == [content[len(BODY) :]]
