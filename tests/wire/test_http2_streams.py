"""The streams of one HTTP/2 connection: how many there are, how they move on, how they are given up."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import hpack
import httpx
import pytest
from fault_handlers import until
from h2_servers import H2Wire, StreamRequest
from h2_ways import EVERY_WAY, Way, posting, resends_of
from pool_kit import is_settled, turns

from typed_async_client import AsyncPoolTransport
from typed_async_client.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    make_frame,
    window_frame,
)
from typed_async_client.pool.resend import RESENDS

pytestmark = [EVERY_WAY, pytest.mark.usefixtures("nothing_left")]

LARGE = bytes(1_000_000)
"""More than a window."""


# How many streams there may be


async def test_a_server_that_lowers_its_number_of_streams_loses_none(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Those that are open go on; what comes after takes a connection with the new number."""

    async def lower(wire: H2Wire) -> None:
        requests = await wire.receive(8)
        await wire.allow(2)
        for request in requests:
            await wire.answer(request)
        await wire.listen()

    async with way.serving(lower) as server:
        responses = await posting(client, server.url, 8)
        assert resends_of(responses) == [0] * 8
        assert (await client.get(server.url)).status_code == 200
        assert transport.statistics().opened == server.connections == 2


async def test_a_server_that_raises_its_number_of_streams_gets_more(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """On the same connection."""

    async def raise_it(wire: H2Wire) -> None:
        await wire.receive(2)
        await wire.allow(50)
        for request in await wire.receive(20):
            await wire.answer(request)
        await wire.listen()

    async with way.serving(raise_it, max_streams=2) as server:
        responses = await posting(client, server.url, 20)
        assert resends_of(responses) == [0] * 20
        assert transport.statistics().opened == 1


async def test_a_server_that_names_no_number_gets_many_streams_at_once(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """It answers when all of them are there, for nothing said is no limit."""

    async def answer_together(wire: H2Wire) -> None:
        for request in await wire.receive(50):
            await wire.answer(request)
        await wire.listen()

    async with way.serving(answer_together, max_streams=None) as server:
        responses = await posting(client, server.url, 50)
        assert [response.status_code for response in responses] == [200] * 50
        assert transport.statistics().opened == 1


async def answer_the_first_and_hold(wire: H2Wire) -> None:
    """Answer one request; leave the others waiting."""
    (request,) = await wire.receive(1)
    await wire.answer(request)
    await wire.listen()


async def test_a_request_that_finds_every_stream_taken_gets_another_connection(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """It would wait, without any bound, until one of the others ends."""
    async with way.serving(answer_the_first_and_hold, max_streams=2) as server:
        await client.get(server.url)
        held = [asyncio.ensure_future(client.get(server.url)) for _ in range(2)]
        await turns(5)
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == server.connections == 2
        for one in held:
            one.cancel()
        await asyncio.wait(held)


async def test_the_wait_for_a_stream_is_bounded_by_the_pool_timeout(way: Way) -> None:
    """Where there may be no other connection; who waits gets the stream that becomes free."""
    transport = way.transport(limits=httpx.Limits(max_connections=1))
    async with (
        way.serving(answer_the_first_and_hold, max_streams=2) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        await client.get(server.url)
        held = [asyncio.ensure_future(client.get(server.url)) for _ in range(2)]
        await turns(5)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(server.url, timeout=httpx.Timeout(20.0, pool=0.05))
        held.append(asyncio.ensure_future(client.get(server.url)))
        await until(lambda: transport.statistics().waiting == 1)
        held[0].cancel()
        await until(lambda: transport.statistics().waiting == 0)
        assert transport.statistics().opened == 1
        for one in held:
            one.cancel()
        await asyncio.wait(held)


# Streams that nobody wants any more


async def _until_begun(wires: list[H2Wire], count: int) -> None:
    await until(lambda: bool(wires) and len(wires[0].begun) == count)


@pytest.mark.parametrize("content", [b"", LARGE], ids=["waiting", "sending"])
async def test_the_server_is_told_of_a_cancelled_stream(
    way: Way, client: httpx.AsyncClient, content: bytes
) -> None:
    """By RST_STREAM, so that it does not work for nobody; the other streams go on."""
    wires: list[H2Wire] = []

    async def wait_for_a_reset(wire: H2Wire) -> None:
        wires.append(wire)
        await wire.read_until(lambda: bool(wire.resets))
        for request in wire.requests:
            await wire.answer(request, b"go on")
        await wire.listen()

    async with way.serving(wait_for_a_reset) as server:
        others = [asyncio.ensure_future(client.get(server.url)) for _ in range(4)]
        await _until_begun(wires, 4)
        target = asyncio.ensure_future(client.post(server.url, content=content))
        await _until_begun(wires, 5)
        target.cancel()
        answers = await asyncio.gather(*others)
        assert [answer.content for answer in answers] == [b"go on"] * 4
        assert wires[0].resets == [9]
        assert target.cancelled()


async def test_the_server_is_told_of_a_response_that_is_not_read(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Closing a body early is enough."""
    wires: list[H2Wire] = []

    async def begin_one(wire: H2Wire) -> None:
        wires.append(wire)
        first, second = await wire.receive(2)
        await wire.begin_answer(first)
        await wire.read_until(lambda: wire.resets == [first.stream_id])
        await wire.answer(second, b"go on")
        await wire.listen()

    async with way.serving(begin_one) as server:
        request = client.build_request("GET", server.url)
        beginning = asyncio.ensure_future(client.send(request, stream=True))
        await _until_begun(wires, 1)
        other = asyncio.ensure_future(client.get(server.url))
        await (await beginning).aclose()
        assert (await other).content == b"go on"
        assert transport.statistics().opened == 1


@pytest.mark.parametrize(("size", "count"), [(60_000, 300), (1_000_000, 20)])
async def test_responses_that_are_not_read_leave_the_window_as_wide_as_it_was(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, size: int, count: int
) -> None:
    """Together they are longer than it, whether each came whole or was cut short."""

    async def answer_at_length(wire: H2Wire) -> None:
        for number in itertools.count(1):
            await wire.answer_at_length((await wire.receive(number))[-1], size)

    async with way.serving(answer_at_length) as server:
        for _ in range(count):
            async with client.stream("GET", server.url):
                pass
        assert len((await client.get(server.url)).content) == size
        assert transport.statistics().opened == 1


async def test_a_connection_goes_on_being_shared_when_one_of_its_requests_is_cancelled(
    way: Way,
) -> None:
    """Where there may be no other one, the next request would wait for the longest of them."""
    wires: list[H2Wire] = []

    async def answer_the_third(wire: H2Wire) -> None:
        wires.append(wire)
        first, _, third = await wire.receive(3)
        await wire.answer(third, b"joined")
        await wire.answer(first, b"go on")
        await wire.listen()

    transport = way.transport(limits=httpx.Limits(max_connections=1))
    async with (
        way.serving(answer_the_third) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        first = asyncio.ensure_future(client.get(server.url))
        await _until_begun(wires, 1)
        second = asyncio.ensure_future(client.get(server.url))
        await _until_begun(wires, 2)
        second.cancel()
        await asyncio.wait({second})
        assert (await client.get(server.url)).content == b"joined"
        assert (await first).content == b"go on"
        assert transport.statistics().opened == 1


async def test_requests_on_a_used_connection_that_dies_silently_share_another_one(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """They are idempotent, and not a byte came: the server may have been leaving."""

    async def serve_one_and_leave(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await wire.receive(21)

    async with way.serving(serve_one_and_leave) as server:
        await client.get(server.url)
        responses = await asyncio.gather(*(client.get(server.url) for _ in range(20)))
        assert resends_of(responses) == [1] * 20
        assert transport.statistics().opened == server.connections == 2


# Bodies that are cut short


async def test_a_body_that_trailers_cut_short_is_an_error(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Of its stream alone: whole ones, and answers without a body, go on the same connection."""

    async def cut_one(wire: H2Wire) -> None:
        await wire.answer_with_trailers((await wire.receive(1))[-1], b"abc", told=3)
        await wire.answer_with_trailers((await wire.receive(2))[-1], b"", told=10)
        await wire.answer_with_trailers((await wire.receive(3))[-1], b"", told=10, status=304)
        await wire.answer_with_trailers((await wire.receive(4))[-1], b"abc", told=10)
        await wire.answer_with_trailers((await wire.receive(5))[-1], b"abc", told=10)
        await wire.answer_the_rest()

    async with way.serving(cut_one) as server:
        assert (await client.get(server.url)).content == b"abc"
        assert (await client.head(server.url)).content == b""
        assert (await client.get(server.url)).content == b""
        with pytest.raises(
            httpx.RemoteProtocolError, match="has 3 bytes, but its content-length is 10"
        ):
            await client.get(server.url)
        with pytest.raises(
            httpx.RemoteProtocolError, match="has 3 bytes, but its content-length is 10"
        ):
            async with client.stream("GET", server.url) as response:
                assert [part async for part in response.aiter_raw()] == [b"abc"]
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


# Streams that send bodies


@pytest.mark.parametrize("uploads", [1, 2, 5, 20])
async def test_uploads_go_on_while_others_wait_for_an_answer(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, uploads: int
) -> None:
    """The room that one stream is given is often read by another one."""

    async def answer_after_the_uploads(wire: H2Wire) -> None:
        requests = await wire.receive(uploads + 3)
        assert sum(len(request.body) for request in requests) == uploads * len(LARGE)
        for request in requests:
            await wire.answer(request)
        await wire.listen()

    async with way.serving(answer_after_the_uploads) as server:
        waiting = [client.get(server.url) for _ in range(3)]
        sending = [client.post(server.url, content=LARGE) for _ in range(uploads)]
        responses = await asyncio.gather(*waiting, *sending)
        assert resends_of(responses) == [0] * (uploads + 3)
        assert transport.statistics().opened == 1


@pytest.mark.parametrize("fills", [True, False], ids=["waiting for room", "sending"])
async def test_an_answer_that_comes_before_its_request_is_whole_is_given(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, *, fills: bool
) -> None:
    """The server wants no more of the body, RFC 9113 section 8.1; the connection is good."""

    async def answer_early(wire: H2Wire) -> None:
        wire.gives_room = not fills
        await wire.read_until(lambda: wire.came == 65_535 if fills else wire.came > 0)
        await wire.answer_early(StreamRequest(1, "POST", "/", b""), b"too large", 0)
        await wire.answer_the_rest()

    async with way.serving(answer_early) as server:
        response = await client.post(server.url, content=LARGE)
        assert (response.status_code, response.content) == (413, b"too large")
        assert RESENDS not in response.extensions
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


async def test_an_answer_whose_stream_is_ended_with_an_error_is_none(
    way: Way, client: httpx.AsyncClient
) -> None:
    """The server says that something went wrong, and the request was not sent whole."""

    async def answer_and_complain(wire: H2Wire) -> None:
        await wire.read_until(lambda: wire.came > 0)
        await wire.answer_early(StreamRequest(1, "POST", "/", b""), b"", 2)
        await wire.listen()

    async with way.serving(answer_and_complain) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="reset the stream with error code 2"):
            await client.post(server.url, content=LARGE)


async def test_a_head_in_two_pieces_stays_whole_beside_an_upload(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Nothing that makes the upload look for room comes between them."""

    async def answer_in_two_pieces(wire: H2Wire) -> None:
        wire.gives_room = False
        await wire.read_until(lambda: wire.came == 65_535 and len(wire.begun) == 2)
        block = hpack.Encoder().encode([(":status", "200"), ("x-long", "y" * 50)])
        moved = window_frame(0, 1000)
        await wire.send(moved, make_frame(HEADERS, END_STREAM, 3, block[:5]))
        await turns(20)
        await wire.send(make_frame(CONTINUATION, END_HEADERS, 3, block[5:]))
        wire.gives_room = True
        await wire.give_room(1)
        await wire.read_until(lambda: len(wire.requests) == 2)
        await wire.answer(StreamRequest(1, "POST", "/", b""))
        await wire.listen()

    async with way.serving(answer_in_two_pieces) as server:
        upload = asyncio.ensure_future(client.post(server.url, content=bytes(100_000)))
        await turns(20)
        answer = await client.get(server.url)
        assert (answer.status_code, answer.headers["x-long"]) == (200, "y" * 50)
        assert (await upload).status_code == 200
        assert transport.statistics().opened == 1


# Cancellation, at any turn


async def answer_slowly(wire: H2Wire) -> None:
    """Answer each request, in pieces, a few turns apart."""
    for count in itertools.count(1):
        request = (await wire.receive(count))[-1]
        await turns(3)
        await wire.begin_answer(request)
        await turns(3)
        await wire.finish_answer(request)


async def answer_four_and_go(wire: H2Wire) -> None:
    """Answer the first four requests; let the others go elsewhere."""
    requests = await wire.receive(4)
    await wire.go_away(requests[-1].stream_id)
    for request in requests:
        await turns(3)
        await wire.begin_answer(request)
        await wire.finish_answer(request)
    await wire.listen()


async def refuse_some(wire: H2Wire) -> None:
    """Refuse the first requests, four or more; answer those that come later."""
    await wire.receive(4)
    for request in list(wire.requests):
        await wire.refuse(request)
    await wire.answer_the_rest()


@pytest.mark.bulk
@pytest.mark.parametrize("script", [answer_slowly, answer_four_and_go, refuse_some])
async def test_a_request_cancelled_at_any_turn_harms_no_other(
    way: Way, script: Callable[[H2Wire], Awaitable[None]]
) -> None:
    """Before, between and after five others; the pool is at peace then, and answers."""
    bad: list[object] = []
    for number, count in enumerate(itertools.count(step=3 if way.tls else 1)):
        async with way.serving(script) as server:
            transport = way.transport()
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(6)]
                target = tasks.pop(number % 6)
                await turns(count)
                was_done = target.done()
                target.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                if any(isinstance(end, BaseException) for end in ends):
                    bad.append((count, ends))
                await asyncio.wait({target})
                if not is_settled(transport) or transport.statistics().opened > 3:
                    bad.append((count, transport.statistics()))
                if (await client.get(server.url)).status_code != 200:
                    bad.append((count, "no answer"))
        if was_done:
            break
    assert bad == []
    assert count >= 20


async def test_a_connection_given_up_by_the_first_is_made_for_the_others(way: Way) -> None:
    """Twenty wait for it; when the first of them is cancelled, they still share one."""
    for count in range(30):
        async with way.serving() as server:
            transport = way.transport()
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(20)]
                await turns(count)
                tasks[0].cancel()
                ends = await asyncio.gather(*tasks[1:])
                assert [end.status_code for end in ends] == [200] * 19
                assert transport.statistics().opened <= 2, count
