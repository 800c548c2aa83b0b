"""On one HTTP/2 connection, each request waits for its own time, and ends alone."""

import asyncio

import httpx
import pytest
from h2_servers import H2Wire
from h2_ways import EVERY_WAY, Way
from pool_kit import turns

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, stall

pytestmark = pytest.mark.usefixtures("nothing_left")

LARGE = bytes(1_000_000)
"""More than a window."""


def impatient(seconds: float = 0.1) -> httpx.Timeout:
    """Wait so long for an answer, and for all else as long as it takes."""
    return httpx.Timeout(20, read=seconds)


async def answer_others(wire: H2Wire) -> None:
    """Answer every request but those for /slow."""
    answered = 0
    while True:
        for request in (await wire.receive(answered + 1))[answered:]:
            answered += 1
            if request.path != "/slow":
                await wire.answer(request)


async def answer_after_a_reset(wire: H2Wire) -> None:
    """Answer nobody before somebody has given up; then every other one, and all who come."""
    await wire.read_until(lambda: bool(wire.resets) and len(wire.requests) > 1)
    for request in wire.requests:
        if request.stream_id not in wire.resets:
            await wire.answer(request)
    await wire.answer_the_rest()


@EVERY_WAY
async def test_a_request_that_waits_too_long_ends_alone(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The server hears of it; the other one, which may wait, gets its answer there."""
    async with way.serving(answer_after_a_reset) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await turns(5)
        with pytest.raises(httpx.ReadTimeout, match=r"nothing came on the stream for 0\.1 s"):
            await client.get(f"{server.url}slow", timeout=impatient())
        assert (await other).content == b"ok"
        assert transport.statistics().opened == 1


@EVERY_WAY
async def test_a_connection_that_brings_answers_to_others_stays_in_use(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """One stream that the server forgets is no sign against it."""
    async with way.serving(answer_others) as server:
        slow = asyncio.ensure_future(client.get(f"{server.url}slow", timeout=impatient()))
        while not slow.done():
            assert (await client.get(server.url)).content == b"ok"
        with pytest.raises(httpx.ReadTimeout):
            await slow
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


@EVERY_WAY
async def test_nobody_joins_a_connection_that_was_silent_for_all(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """It may be dead: the next request takes another; who was on it may go on waiting."""
    async with way.serving(H2Wire.listen) as server:
        patient = asyncio.ensure_future(client.get(server.url))
        await turns(5)
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=impatient())
        assert (await client.get(server.url)).content == b"ok"
        assert not patient.done()
        assert transport.statistics().opened == 2
        patient.cancel()
        await asyncio.wait({patient})
        assert (await client.get(server.url)).content == b"ok"
        told = transport.statistics()
        assert (told.opened, told.idle) == (2, 1)


@EVERY_WAY
async def test_a_connection_that_was_silent_is_not_used_when_all_have_left_it_well(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Answers came late on it after all, and it is closed behind them."""
    async with way.serving(answer_after_a_reset) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await turns(5)
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=impatient())
        await other
        assert transport.statistics().idle == 0
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 2


@EVERY_WAY
async def test_each_request_of_a_dead_connection_ends_in_its_own_time(
    way: Way, client: httpx.AsyncClient
) -> None:
    """Not one behind the other, though only one of them reads."""
    ended: list[float] = []

    async def ask(url: str, seconds: float) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=impatient(seconds))
        ended.append(seconds)

    async with way.serving(H2Wire.listen, H2Wire.listen) as server:
        await asyncio.gather(*(ask(server.url, seconds) for seconds in (0.3, 0.2, 0.1)))
        assert ended == [0.1, 0.2, 0.3]


async def test_who_joins_a_connection_that_is_being_made_waits_for_its_own_time() -> None:
    """The server says nothing to the TLS handshake; who began it may wait longer, and does."""
    async with (
        FaultServer(stall) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(http2=True)) as client,
    ):
        url = server.url.replace("http:", "https:")
        first = asyncio.ensure_future(client.get(url, timeout=20))
        await turns(5)
        with pytest.raises(httpx.ConnectTimeout, match=r"not connected within 0\.1 s"):
            await client.get(url, timeout=httpx.Timeout(20, connect=0.1))
        assert not first.done()
        first.cancel()
        await asyncio.wait({first})


@EVERY_WAY
async def test_an_upload_that_gets_no_room_ends_alone(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The other one is answered on the same connection."""

    async def give_no_room(wire: H2Wire) -> None:
        wire.gives_room = False
        await wire.read_until(lambda: bool(wire.resets) and bool(wire.requests))
        await wire.answer(wire.requests[0])
        await wire.listen()

    async with way.serving(give_no_room) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await turns(5)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=LARGE, timeout=impatient())
        assert (await other).content == b"ok"
        assert transport.statistics().opened == 1
