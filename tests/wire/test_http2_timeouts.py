"""Timeouts on a shared HTTP/2 connection: each request has its own, and fails alone."""

import asyncio
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, Script
from h2_setups import ALL_SETUPS, H2Setup
from pool_helpers import run_loop_turns
from steady_loop import advance

from typed_async_client import AsyncPoolTransport
from typed_async_client.testing import FaultServer, stall

pytestmark = pytest.mark.usefixtures("no_leaks")

LARGE = bytes(1_000_000)
"""Larger than the flow-control window."""


def read_timeout(seconds: float = 5.0) -> httpx.Timeout:
    """Return a short read timeout, with a long limit for everything else."""
    return httpx.Timeout(60, read=seconds)


async def let_time_pass(seconds: float = 5.0) -> None:
    """Let the clients start waiting, advance the clock, then let expired waits fail."""
    await run_loop_turns(20)
    advance(seconds)
    await run_loop_turns(20)


def never_answer(count: int) -> Script:
    """Let the first ``count`` requests time out without a response."""

    async def script(wire: H2Wire) -> None:
        await wire.receive(count)
        await let_time_pass()
        await wire.read_to_end()

    return script


async def answer_others(wire: H2Wire) -> None:
    """Answer every request except those for /slow."""
    answered = 0
    while True:
        for request in (await wire.receive(answered + 1))[answered:]:
            answered += 1
            if request.path != "/slow":
                await wire.answer(request)


async def answer_after_a_reset(wire: H2Wire) -> None:
    """Answer nothing until a request times out; then answer the others and later ones."""
    await wire.receive(2)
    await let_time_pass()
    await wire.read_until(lambda: bool(wire.resets))
    for request in wire.requests:
        if request.stream_id not in wire.resets:
            await wire.answer(request)
    await wire.answer_remaining()


@ALL_SETUPS
async def test_a_request_that_times_out_fails_alone(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Its stream is reset; the other request, with a longer timeout, gets its response."""
    async with setup.server(answer_after_a_reset) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await run_loop_turns(20)
        with pytest.raises(
            httpx.ReadTimeout, match=r"no response from \w[\w.]+:\d+ within 5 s \(read timeout\)"
        ):
            await client.get(f"{server.url}slow", timeout=read_timeout())
        assert (await other).content == b"ok"
        assert transport.statistics().opened == 1


@ALL_SETUPS
async def test_a_connection_that_still_answers_others_stays_in_use(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """One unanswered stream doesn't mean that the connection is dead."""
    async with setup.server(answer_others) as server:
        slow = asyncio.ensure_future(client.get(f"{server.url}slow", timeout=read_timeout()))
        while not slow.done():
            assert (await client.get(server.url)).content == b"ok"
            advance(1.0)
        with pytest.raises(httpx.ReadTimeout):
            await slow
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


@ALL_SETUPS
async def test_no_request_joins_a_connection_that_was_silent(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """It may be dead: the next request opens another, while earlier ones may keep waiting."""
    async with setup.server(never_answer(2)) as server:
        waiting = asyncio.ensure_future(client.get(server.url))
        await run_loop_turns(20)
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=read_timeout())
        assert (await client.get(server.url)).content == b"ok"
        assert not waiting.done()
        assert transport.statistics().opened == 2
        waiting.cancel()
        await asyncio.wait({waiting})
        assert (await client.get(server.url)).content == b"ok"
        statistics = transport.statistics()
        assert (statistics.opened, statistics.idle) == (2, 1)


@ALL_SETUPS
async def test_a_connection_that_was_silent_is_closed_after_its_last_response(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Even though late responses did arrive on it."""
    async with setup.server(answer_after_a_reset) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await run_loop_turns(20)
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=read_timeout())
        await other
        assert transport.statistics().idle == 0
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 2


@ALL_SETUPS
async def test_each_request_on_a_dead_connection_fails_at_its_own_timeout(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """Not one after the other, even though only one of them reads."""
    ended: list[float] = []

    async def fetch(url: str, seconds: float) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=read_timeout(seconds))
        ended.append(seconds)

    async def let_each_time_out(wire: H2Wire) -> None:
        await wire.receive(3)
        for seconds in (1.0, 2.0, 3.0):
            await let_time_pass(1.0)
            await wait_until(lambda: ended[-1:] == [seconds])  # noqa: B023 - awaited here
        await wire.read_to_end()

    async with setup.server(let_each_time_out) as server:
        await asyncio.gather(*(fetch(server.url, seconds) for seconds in (3.0, 2.0, 1.0)))
        assert ended == [1.0, 2.0, 3.0]


async def test_a_request_joining_a_pending_connection_uses_its_own_timeout() -> None:
    """The TLS handshake stalls; the request that started it has a longer timeout."""
    async with (
        FaultServer(stall) as server,
        httpx.AsyncClient(transport=AsyncPoolTransport(http2=True)) as client,
    ):
        url = server.url.replace("http:", "https:")
        first = asyncio.ensure_future(client.get(url, timeout=60))
        await wait_until(lambda: server.connections == 1)
        second = asyncio.ensure_future(client.get(url, timeout=httpx.Timeout(60, connect=5.0)))
        await let_time_pass()
        with pytest.raises(httpx.ConnectTimeout, match=r"within 5 s .*another request"):
            await second
        assert not first.done()
        first.cancel()
        await asyncio.wait({first})


@ALL_SETUPS
async def test_an_upload_without_a_window_update_fails_alone(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The other request is answered on the same connection."""

    async def keep_the_window_closed(wire: H2Wire) -> None:
        wire.opens_window = False
        await wire.read_until(lambda: wire.body_bytes >= 65_535 and bool(wire.requests))
        await let_time_pass()
        await wire.read_until(lambda: bool(wire.resets))
        await wire.answer(wire.requests[0])
        await wire.read_to_end()

    async with setup.server(keep_the_window_closed) as server:
        other = asyncio.ensure_future(client.get(server.url))
        await run_loop_turns(20)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=LARGE, timeout=read_timeout())
        assert (await other).content == b"ok"
        assert transport.statistics().opened == 1


async def open_the_window_slowly(wire: H2Wire) -> None:
    """Open the connection window by one frame every second, but no stream's window."""

    async def open_repeatedly() -> None:
        while True:
            await let_time_pass(1.0)
            await wire.open_window(size=16_384)

    wire.opens_window = False
    opening = asyncio.ensure_future(open_repeatedly())
    try:
        await wire.answer_remaining()
    finally:
        opening.cancel()
        await asyncio.wait({opening})


@ALL_SETUPS
async def test_uploads_that_compete_for_the_window_wait_for_their_turn(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """The server isn't silent: each update goes to one of them at a time."""
    async with setup.server(open_the_window_slowly) as server:
        posts = (
            client.post(server.url, content=LARGE[:20_000], timeout=read_timeout())
            for _ in range(15)
        )
        assert [response.content for response in await asyncio.gather(*posts)] == [b"ok"] * 15


@ALL_SETUPS
async def test_an_upload_whose_stream_window_stays_closed_times_out(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """Updates of the connection window don't extend its timeout."""
    async with setup.server(open_the_window_slowly) as server:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=LARGE, timeout=read_timeout())


@ALL_SETUPS
async def test_responses_that_arrived_in_time_are_returned_even_if_the_loop_stalled(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Past both timeouts, even though only one of the requests reads."""

    async def answer_and_advance(wire: H2Wire) -> None:
        for request in await wire.receive(2):
            await wire.answer(request)
        advance(10.0)
        await wire.read_to_end()

    async with setup.server(answer_and_advance) as server:
        gets = (client.get(server.url, timeout=read_timeout()) for _ in range(2))
        assert [response.content for response in await asyncio.gather(*gets)] == [b"ok"] * 2
        assert transport.statistics().opened == 1


@ALL_SETUPS
async def test_a_trace_that_never_returns_does_not_block_another_request(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """The response follows a SETTINGS frame, which the reading request would trace first."""
    is_answering = asyncio.Event()

    async def trace(name: str, info: dict[str, Any]) -> None:
        if is_answering.is_set() and "settings" in name:
            await asyncio.Event().wait()

    async def send_settings_and_answer(wire: H2Wire) -> None:
        _, other = await wire.receive(2)
        is_answering.set()
        await wire.set_max_streams(101)
        await wire.answer(other)
        await wire.read_to_end()

    async with setup.server(send_settings_and_answer) as server:
        traced = asyncio.ensure_future(
            client.get(server.url, timeout=read_timeout(), extensions={"trace": trace})
        )
        await run_loop_turns(20)
        assert (await client.get(server.url)).content == b"ok"
        await let_time_pass()
        with pytest.raises(httpx.ReadTimeout):
            await traced


@ALL_SETUPS
async def test_a_request_that_times_out_affects_none_waiting_for_its_stream(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """One stream is allowed: it ends before the next one starts, on whichever connection."""
    async with setup.server(never_answer(1), max_streams=1) as server:
        first = asyncio.ensure_future(client.post(server.url, content=b"x", timeout=read_timeout()))
        await run_loop_turns(20)
        others = [client.post(server.url, content=b"x") for _ in range(3)]
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        assert isinstance(answers[0], httpx.ReadTimeout)
        assert [getattr(answer, "content", answer) for answer in answers[1:]] == [b"ok"] * 3
