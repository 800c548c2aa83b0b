"""On one HTTP/2 connection, each request waits for its own time, and ends alone."""

import asyncio
from typing import Any

import httpx
import pytest
from fault_handlers import until
from h2_servers import H2Wire, Script
from h2_ways import EVERY_WAY, Way
from pool_kit import turns
from steady_loop import advance

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, stall

pytestmark = pytest.mark.usefixtures("nothing_left")

LARGE = bytes(1_000_000)
"""More than a window."""


def impatient(seconds: float = 5.0) -> httpx.Timeout:
    """Wait so long for a response, and for anything else as long as it takes."""
    return httpx.Timeout(60, read=seconds)


async def run_out_of_time(seconds: float = 5.0) -> None:
    """Let the clients start to wait, then let time pass, then let what has expired fail."""
    await turns(20)
    advance(seconds)
    await turns(20)


def listen_in_vain(count: int) -> Script:
    """Let the first ``count`` requests time out, without a word."""

    async def script(wire: H2Wire) -> None:
        await wire.receive(count)
        await run_out_of_time()
        await wire.listen()

    return script


async def answer_others(wire: H2Wire) -> None:
    """Answer every request but those for /slow."""
    answered = 0
    while True:
        for request in (await wire.receive(answered + 1))[answered:]:
            answered += 1
            if request.path != "/slow":
                await wire.answer(request)


async def answer_after_a_reset(wire: H2Wire) -> None:
    """Answer nothing until a request times out; then answer all others, and all further ones."""
    await wire.receive(2)
    await run_out_of_time()
    await wire.read_until(lambda: bool(wire.resets))
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
        with pytest.raises(
            httpx.ReadTimeout, match=r"nothing received on the stream within 5\.0 s"
        ):
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
            advance(1.0)
        with pytest.raises(httpx.ReadTimeout):
            await slow
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


@EVERY_WAY
async def test_nobody_joins_a_connection_that_was_silent_for_all(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """It may be dead: the next request takes another; who was on it may go on waiting."""
    async with way.serving(listen_in_vain(2)) as server:
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

    async def let_each_time_out(wire: H2Wire) -> None:
        await wire.receive(3)
        for seconds in (1.0, 2.0, 3.0):
            await run_out_of_time(1.0)
            await until(lambda: ended[-1:] == [seconds])  # noqa: B023 - awaited here
        await wire.listen()

    async with way.serving(let_each_time_out) as server:
        await asyncio.gather(*(ask(server.url, seconds) for seconds in (3.0, 2.0, 1.0)))
        assert ended == [1.0, 2.0, 3.0]


async def test_who_joins_a_connection_that_is_being_made_waits_for_its_own_time() -> None:
    """The server says nothing to the TLS handshake; who began it may wait longer, and does."""
    async with (
        FaultServer(stall) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(http2=True)) as client,
    ):
        url = server.url.replace("http:", "https:")
        first = asyncio.ensure_future(client.get(url, timeout=60))
        await until(lambda: server.connections == 1)
        second = asyncio.ensure_future(client.get(url, timeout=httpx.Timeout(60, connect=5.0)))
        await run_out_of_time()
        with pytest.raises(httpx.ConnectTimeout, match=r"not connected within 5\.0 s"):
            await second
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
        await wire.read_until(lambda: wire.came >= 65_535 and bool(wire.requests))
        await run_out_of_time()
        await wire.read_until(lambda: bool(wire.resets))
        await wire.answer(wire.requests[0])
        await wire.listen()

    async with way.serving(give_no_room) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await turns(5)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=LARGE, timeout=impatient())
        assert (await other).content == b"ok"
        assert transport.statistics().opened == 1


async def give_room_bit_by_bit(wire: H2Wire) -> None:
    """Make room for one frame on the connection every second, and never on a stream alone."""

    async def give() -> None:
        while True:
            await run_out_of_time(1.0)
            await wire.give_room(size=16_384)

    wire.gives_room = False
    giving = asyncio.ensure_future(give())
    try:
        await wire.answer_the_rest()
    finally:
        giving.cancel()
        await asyncio.wait({giving})


@EVERY_WAY
async def test_uploads_that_take_room_from_each_other_wait_for_their_turn(
    way: Way, client: httpx.AsyncClient
) -> None:
    """The server is not silent: what it gives goes to one of them at a time."""
    async with way.serving(give_room_bit_by_bit) as server:
        posts = (
            client.post(server.url, content=LARGE[:20_000], timeout=impatient()) for _ in range(15)
        )
        assert [response.content for response in await asyncio.gather(*posts)] == [b"ok"] * 15


@EVERY_WAY
async def test_an_upload_whose_own_stream_gets_no_room_does_not_wait_for_others(
    way: Way, client: httpx.AsyncClient
) -> None:
    """That the server gives room on the connection is nothing to it."""
    async with way.serving(give_room_bit_by_bit) as server:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=LARGE, timeout=impatient())


@EVERY_WAY
async def test_answers_that_came_in_time_count_though_the_loop_was_held_up(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Beyond the time of both requests, though only one of them reads."""

    async def answer_and_hold_up(wire: H2Wire) -> None:
        for request in await wire.receive(2):
            await wire.answer(request)
        advance(10.0)
        await wire.listen()

    async with way.serving(answer_and_hold_up) as server:
        gets = (client.get(server.url, timeout=impatient()) for _ in range(2))
        assert [response.content for response in await asyncio.gather(*gets)] == [b"ok"] * 2
        assert transport.statistics().opened == 1


@EVERY_WAY
async def test_a_trace_that_does_not_return_takes_no_answer_from_another_request(
    way: Way, client: httpx.AsyncClient
) -> None:
    """The answer comes behind settings, which whoever reads would trace first."""
    is_answering = asyncio.Event()

    async def trace(name: str, info: dict[str, Any]) -> None:
        if is_answering.is_set() and "settings" in name:
            await asyncio.Event().wait()

    async def settle_and_answer(wire: H2Wire) -> None:
        _, other = await wire.receive(2)
        is_answering.set()
        await wire.allow(101)
        await wire.answer(other)
        await wire.listen()

    async with way.serving(settle_and_answer) as server:
        traced = asyncio.ensure_future(
            client.get(server.url, timeout=impatient(), extensions={"trace": trace})
        )
        await turns(5)
        assert (await client.get(server.url)).content == b"ok"
        await run_out_of_time()
        with pytest.raises(httpx.ReadTimeout):
            await traced


@EVERY_WAY
async def test_a_request_that_waits_too_long_harms_none_that_waits_for_its_stream(
    way: Way, client: httpx.AsyncClient
) -> None:
    """One is all there may be: it has ended before the next one begins, there or elsewhere."""
    async with way.serving(listen_in_vain(1), max_streams=1) as server:
        first = asyncio.ensure_future(client.post(server.url, content=b"x", timeout=impatient()))
        await turns(5)
        others = [client.post(server.url, content=b"x") for _ in range(3)]
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        assert isinstance(answers[0], httpx.ReadTimeout)
        assert [getattr(answer, "content", answer) for answer in answers[1:]] == [b"ok"] * 3
