"""Streams of one HTTP/2 connection: limits, cancellation, truncated bodies and uploads."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import hpack
import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, StreamRequest
from h2_setups import ALL_SETUPS, H2Setup, post_many, resend_counts
from hyperframe.frame import ContinuationFrame, HeadersFrame, WindowUpdateFrame
from pool_helpers import is_idle, run_loop_turns

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import RESENDS

pytestmark = [ALL_SETUPS, pytest.mark.usefixtures("no_leaks")]

LARGE = bytes(1_000_000)
"""Larger than the flow-control window."""


# Stream limits


async def test_lowering_the_stream_limit_loses_no_stream(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Open streams continue; later requests find the new limit."""

    async def lower_limit(wire: H2Wire) -> None:
        requests = await wire.receive(8)
        await wire.set_max_streams(2)
        for request in requests:
            await wire.answer(request)
        await wire.answer_remaining()

    async with setup.server(lower_limit) as server:
        responses = await post_many(client, server.url, 8)
        assert resend_counts(responses) == [0] * 8
        assert transport.statistics().opened == 1
        assert resend_counts(await post_many(client, server.url, 4)) == [0] * 4
        assert transport.statistics().opened == server.connections == 2


async def test_raising_the_stream_limit_allows_more_streams(setup: H2Setup) -> None:
    """Requests that wait for one of the streams of the only connection go on at once."""
    transport = setup.transport(limits=httpx.Limits(max_connections=1))

    async def raise_limit(wire: H2Wire) -> None:
        await wire.receive(2)
        await wire.set_max_streams(50)
        for request in await wire.receive(20):
            await wire.answer(request)
        await wire.read_to_end()

    async with (
        setup.server(raise_limit, max_streams=2) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        responses = await post_many(client, server.url, 20)
        assert resend_counts(responses) == [0] * 20
        assert transport.statistics().opened == 1


async def test_a_server_without_a_stream_limit_gets_many_concurrent_streams(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The server responds once all have arrived; without the setting, there's no limit."""

    async def answer_together(wire: H2Wire) -> None:
        for request in await wire.receive(50):
            await wire.answer(request)
        await wire.read_to_end()

    async with setup.server(answer_together, max_streams=None) as server:
        responses = await post_many(client, server.url, 50)
        assert [response.status_code for response in responses] == [200] * 50
        assert transport.statistics().opened == 1


async def answer_the_first_and_hold(wire: H2Wire) -> None:
    """Answer one request; leave the others waiting."""
    (request,) = await wire.receive(1)
    await wire.answer(request)
    await wire.read_to_end()


async def test_a_request_gets_another_connection_if_every_stream_is_taken(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Otherwise, it would wait indefinitely for another stream to end."""
    async with setup.server(answer_the_first_and_hold, max_streams=2) as server:
        await client.get(server.url)
        held = [asyncio.ensure_future(client.get(server.url)) for _ in range(2)]
        await run_loop_turns(5)
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == server.connections == 2
        for task in held:
            task.cancel()
        await asyncio.wait(held)


async def test_the_wait_for_a_stream_is_bounded_by_the_pool_timeout(setup: H2Setup) -> None:
    """If no other connection is allowed; a waiting request gets the first freed stream."""
    transport = setup.transport(limits=httpx.Limits(max_connections=1))
    async with (
        setup.server(answer_the_first_and_hold, max_streams=2) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        await client.get(server.url)
        held = [asyncio.ensure_future(client.get(server.url)) for _ in range(2)]
        await run_loop_turns(5)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(server.url, timeout=httpx.Timeout(20.0, pool=0.05))
        held.append(asyncio.ensure_future(client.get(server.url)))
        await wait_until(lambda: transport.statistics().waiting == 1)
        held[0].cancel()
        await wait_until(lambda: transport.statistics().waiting == 0)
        assert transport.statistics().opened == 1
        for task in held:
            task.cancel()
        await asyncio.wait(held)


# Abandoned streams


async def _wait_until_started(wires: list[H2Wire], count: int) -> None:
    await wait_until(lambda: bool(wires) and len(wires[0].started) == count)


@pytest.mark.parametrize("content", [b"", LARGE], ids=["waiting", "sending"])
async def test_a_cancelled_stream_is_reset(
    setup: H2Setup, client: httpx.AsyncClient, content: bytes
) -> None:
    """RST_STREAM lets the server stop working on it; the other streams continue."""
    wires: list[H2Wire] = []

    async def wait_for_a_reset(wire: H2Wire) -> None:
        wires.append(wire)
        await wire.read_until(lambda: bool(wire.resets))
        for request in wire.requests:
            await wire.answer(request, b"continued")
        await wire.read_to_end()

    async with setup.server(wait_for_a_reset) as server:
        others = [asyncio.ensure_future(client.get(server.url)) for _ in range(4)]
        await _wait_until_started(wires, 4)
        target = asyncio.ensure_future(client.post(server.url, content=content))
        await _wait_until_started(wires, 5)
        target.cancel()
        answers = await asyncio.gather(*others)
        assert [answer.content for answer in answers] == [b"continued"] * 4
        assert wires[0].resets == [9]
        assert target.cancelled()


async def test_closing_a_response_early_resets_its_stream(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The other streams continue."""
    wires: list[H2Wire] = []

    async def start_one(wire: H2Wire) -> None:
        wires.append(wire)
        first, second = await wire.receive(2)
        await wire.start_answer(first)
        await wire.read_until(lambda: wire.resets == [first.stream_id])
        await wire.answer(second, b"continued")
        await wire.read_to_end()

    async with setup.server(start_one) as server:
        request = client.build_request("GET", server.url)
        streaming = asyncio.ensure_future(client.send(request, stream=True))
        await _wait_until_started(wires, 1)
        other = asyncio.ensure_future(client.get(server.url))
        await (await streaming).aclose()
        assert (await other).content == b"continued"
        assert transport.statistics().opened == 1


@pytest.mark.parametrize(("size", "count"), [(60_000, 300), (1_000_000, 20)])
async def test_unread_responses_do_not_shrink_the_connection_window(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, size: int, count: int
) -> None:
    """Together they exceed it, whether each one arrived in full or was reset midway."""

    async def answer_at_length(wire: H2Wire) -> None:
        for number in itertools.count(1):
            await wire.answer_with_size((await wire.receive(number))[-1], size)

    async with setup.server(answer_at_length) as server:
        for _ in range(count):
            async with client.stream("GET", server.url):
                pass
        assert len((await client.get(server.url)).content) == size
        assert transport.statistics().opened == 1


async def test_a_connection_stays_shared_after_one_of_its_requests_is_cancelled(
    setup: H2Setup,
) -> None:
    """With one connection allowed, the next request would otherwise wait for all of them."""
    wires: list[H2Wire] = []

    async def answer_the_third(wire: H2Wire) -> None:
        wires.append(wire)
        first, _, third = await wire.receive(3)
        await wire.answer(third, b"joined")
        await wire.answer(first, b"continued")
        await wire.read_to_end()

    transport = setup.transport(limits=httpx.Limits(max_connections=1))
    async with (
        setup.server(answer_the_third) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        first = asyncio.ensure_future(client.get(server.url))
        await _wait_until_started(wires, 1)
        second = asyncio.ensure_future(client.get(server.url))
        await _wait_until_started(wires, 2)
        second.cancel()
        await asyncio.wait({second})
        assert (await client.get(server.url)).content == b"joined"
        assert (await first).content == b"continued"
        assert transport.statistics().opened == 1


async def test_requests_on_a_reused_connection_that_closes_silently_share_a_new_one(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """They are idempotent and nothing was received: the server may have been shutting down."""

    async def serve_one_and_close(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await wire.receive(21)

    async with setup.server(serve_one_and_close) as server:
        await client.get(server.url)
        responses = await asyncio.gather(*(client.get(server.url) for _ in range(20)))
        assert resend_counts(responses) == [1] * 20
        assert transport.statistics().opened == server.connections == 2


# Truncated bodies


async def test_a_body_truncated_by_trailers_is_an_error(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Only on its stream: complete and empty responses go on using the connection."""

    async def truncate_some(wire: H2Wire) -> None:
        await wire.answer_with_trailers((await wire.receive(1))[-1], b"abc", content_length=3)
        await wire.answer_with_trailers((await wire.receive(2))[-1], b"", content_length=10)
        await wire.answer_with_trailers(
            (await wire.receive(3))[-1], b"", content_length=10, status=304
        )
        await wire.answer_with_trailers((await wire.receive(4))[-1], b"abc", content_length=10)
        await wire.answer_with_trailers((await wire.receive(5))[-1], b"abc", content_length=10)
        await wire.answer_remaining()

    async with setup.server(truncate_some) as server:
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


# Uploads


@pytest.mark.parametrize("uploads", [1, 2, 5, 20])
async def test_uploads_continue_while_other_streams_wait_for_a_response(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, uploads: int
) -> None:
    """One stream's window update is often read by another one."""

    async def answer_after_the_uploads(wire: H2Wire) -> None:
        requests = await wire.receive(uploads + 3)
        assert sum(len(request.body) for request in requests) == uploads * len(LARGE)
        for request in requests:
            await wire.answer(request)
        await wire.read_to_end()

    async with setup.server(answer_after_the_uploads) as server:
        waiting = [client.get(server.url) for _ in range(3)]
        sending = [client.post(server.url, content=LARGE) for _ in range(uploads)]
        responses = await asyncio.gather(*waiting, *sending)
        assert resend_counts(responses) == [0] * (uploads + 3)
        assert transport.statistics().opened == 1


@pytest.mark.parametrize("fills_window", [True, False], ids=["waiting for the window", "sending"])
async def test_a_response_sent_before_the_request_is_complete_is_returned(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, *, fills_window: bool
) -> None:
    """The server needs no more of the body (RFC 9113 section 8.1); the connection is reused."""

    async def answer_early(wire: H2Wire) -> None:
        wire.opens_window = not fills_window
        await wire.read_until(
            lambda: wire.body_bytes == 65_535 if fills_window else wire.body_bytes > 0
        )
        await wire.answer_early(StreamRequest(1, "POST", "/", b""), b"too large", 0)
        await wire.answer_remaining()

    async with setup.server(answer_early) as server:
        response = await client.post(server.url, content=LARGE)
        assert (response.status_code, response.content) == (413, b"too large")
        assert RESENDS not in response.extensions
        assert (await client.get(server.url)).content == b"ok"
        assert transport.statistics().opened == 1


async def test_an_early_response_is_discarded_if_its_stream_ends_with_an_error(
    setup: H2Setup, client: httpx.AsyncClient
) -> None:
    """The server reported an error, and the request wasn't sent in full."""

    async def answer_and_report_an_error(wire: H2Wire) -> None:
        await wire.read_until(lambda: wire.body_bytes > 0)
        await wire.answer_early(StreamRequest(1, "POST", "/", b""), b"", 2)
        await wire.read_to_end()

    async with setup.server(answer_and_report_an_error) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="reset the stream with error code 2"):
            await client.post(server.url, content=LARGE)


async def test_headers_in_two_frames_are_read_correctly_during_an_upload(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Nothing that wakes the waiting upload is inserted between the two frames."""

    async def answer_in_two_frames(wire: H2Wire) -> None:
        wire.opens_window = False
        await wire.read_until(lambda: wire.body_bytes == 65_535 and len(wire.started) == 2)
        block = hpack.Encoder().encode([(":status", "200"), ("x-long", "y" * 50)])
        update = WindowUpdateFrame(0, window_increment=1000).serialize()
        await wire.send(update, HeadersFrame(3, block[:5], flags=["END_STREAM"]).serialize())
        await run_loop_turns(20)
        await wire.send(ContinuationFrame(3, block[5:], flags=["END_HEADERS"]).serialize())
        wire.opens_window = True
        await wire.open_window(1)
        await wire.read_until(lambda: len(wire.requests) == 2)
        await wire.answer(StreamRequest(1, "POST", "/", b""))
        await wire.read_to_end()

    async with setup.server(answer_in_two_frames) as server:
        upload = asyncio.ensure_future(client.post(server.url, content=bytes(100_000)))
        await run_loop_turns(20)
        answer = await client.get(server.url)
        assert (answer.status_code, answer.headers["x-long"]) == (200, "y" * 50)
        assert (await upload).status_code == 200
        assert transport.statistics().opened == 1


# Cancellation at any point


async def answer_slowly(wire: H2Wire) -> None:
    """Answer each request in pieces, a few loop turns apart."""
    for count in itertools.count(1):
        request = (await wire.receive(count))[-1]
        await run_loop_turns(3)
        await wire.start_answer(request)
        await run_loop_turns(3)
        await wire.finish_answer(request)


async def answer_four_and_go_away(wire: H2Wire) -> None:
    """Answer the first four requests; make the others use another connection."""
    requests = await wire.receive(4)
    await wire.go_away(requests[-1].stream_id)
    for request in requests:
        await run_loop_turns(3)
        await wire.start_answer(request)
        await wire.finish_answer(request)
    await wire.read_to_end()


async def refuse_some(wire: H2Wire) -> None:
    """Refuse the first requests, four or more; answer later ones."""
    await wire.receive(4)
    for request in list(wire.requests):
        await wire.refuse(request)
    await wire.answer_remaining()


@pytest.mark.bulk
@pytest.mark.parametrize("script", [answer_slowly, answer_four_and_go_away, refuse_some])
async def test_a_request_cancelled_at_any_point_affects_no_other(
    setup: H2Setup, script: Callable[[H2Wire], Awaitable[None]]
) -> None:
    """Started before, between or after five others; the pool is idle afterwards, and works."""
    failures: list[object] = []
    for number, count in enumerate(itertools.count(step=3 if setup.tls else 1)):
        async with setup.server(script) as server:
            transport = setup.transport()
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(6)]
                target = tasks.pop(number % 6)
                await run_loop_turns(count)
                was_done = target.done()
                target.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                if any(isinstance(result, BaseException) for result in results):
                    failures.append((count, results))
                await asyncio.wait({target})
                if not is_idle(transport) or transport.statistics().opened > 3:
                    failures.append((count, transport.statistics()))
                if (await client.get(server.url)).status_code != 200:
                    failures.append((count, "no answer"))
        if was_done:
            break
    assert failures == []
    assert count >= 12


async def test_a_connection_is_still_established_if_its_first_request_is_cancelled(
    setup: H2Setup,
) -> None:
    """Twenty requests wait for it; after the first is cancelled, the others still share one."""
    for count in range(30):
        async with setup.server() as server:
            transport = setup.transport()
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(20)]
                await run_loop_turns(count)
                tasks[0].cancel()
                results = await asyncio.gather(*tasks[1:])
                assert [result.status_code for result in results] == [200] * 19
                assert transport.statistics().opened <= 2, count
