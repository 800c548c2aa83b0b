"""HTTP/2 servers that end a connection in good order: what they took is answered, the rest moves."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fault_handlers import until
from h2_servers import H2Wire, Script, StreamRequest
from h2_ways import EVERY_WAY, Way, posting, resends_of
from leftovers import sockets_to
from pool_kit import kind_of

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import RESENDS

pytestmark = [EVERY_WAY, pytest.mark.usefixtures("nothing_left")]

EVERY_STREAM = 2**31 - 1
INTERNAL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM = 2, 7, 11


def drains(transport: AsyncPoolTransport) -> bool:
    """Say whether the first connection of a pool has been told to take no more."""
    return transport._pool._slots.all[0].is_draining


# Streams that the server goes on with


@pytest.mark.parametrize("last", [9, EVERY_STREAM], ids=["the last open one", "every stream"])
async def test_streams_that_a_goaway_covers_end_well_and_new_ones_go_elsewhere(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, last: int
) -> None:
    """The old connection is closed, by the client, when its last stream is done."""
    go_on, left = asyncio.Event(), asyncio.Event()

    async def go_gently(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.begin_answer(requests[0])
        await wire.go_away(last)
        await go_on.wait()
        await wire.finish_answer(requests[0])
        for request in requests[1:]:
            await wire.answer(request, b"late")
        await wire.listen()
        left.set()

    async with way.serving(go_gently) as server:
        covered = asyncio.ensure_future(posting(client, server.url, 5))
        await until(lambda: transport.statistics().opened == 1 and drains(transport))
        assert [it.content for it in await posting(client, server.url, 10)] == [b"ok"] * 10
        assert sockets_to(server.port) == 2
        go_on.set()
        bodies = sorted(response.content for response in await covered)
        assert bodies == [b"late"] * 4 + [b"part and rest"]
        assert resends_of(await covered) == [0] * 5
        await asyncio.wait_for(left.wait(), 20)
        assert (server.connections, sockets_to(server.port)) == (2, 1)


async def test_a_farewell_in_two_steps_loses_nothing(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """First every stream may go on; then the two that the server never saw move."""

    async def go_in_two_steps(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.go_away(EVERY_STREAM)
        await wire.answer(requests[0])
        await wire.go_away(requests[2].stream_id)
        for request in requests[1:3]:
            await wire.answer(request)
        await wire.listen()

    async with way.serving(go_in_two_steps) as server:
        responses = await posting(client, server.url, 5)
        assert [response.status_code for response in responses] == [200] * 5
        assert resends_of(responses) == [0, 0, 0, 1, 1]
        assert transport.statistics().opened == server.connections == 2


async def test_an_idle_connection_that_was_told_goodbye_is_not_used(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Though the server leaves it open: a body that cannot be sent twice arrives at another."""
    answered = asyncio.Event()

    async def serve_one(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await answered.wait()
        await wire.go_away(EVERY_STREAM)
        await wire.listen()

    async def parts() -> AsyncIterator[bytes]:
        yield b"once"

    async with way.serving(serve_one) as server:
        await client.get(server.url)
        answered.set()
        await until(lambda: drains(transport))
        response = await client.post(server.url, content=parts())
        assert (response.status_code, RESENDS in response.extensions) == (200, False)
        assert transport.statistics().opened == server.connections == 2


# Streams that the server did not look at


@pytest.mark.parametrize("taken", [0, 1, 3])
async def test_streams_above_the_last_one_share_one_other_connection(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, taken: int
) -> None:
    """Each goes out once more, whatever its method; those that were taken do not."""
    first: list[str] = []
    later: list[H2Wire] = []

    async def go_at_once(wire: H2Wire) -> None:
        requests = await wire.receive(50)
        first.extend(request.path for request in requests)
        await wire.go_away(requests[taken - 1].stream_id if taken else 0)
        for request in requests[:taken]:
            await wire.answer(request)
        await wire.listen()

    async def serve(wire: H2Wire) -> None:
        later.append(wire)
        await wire.answer_the_rest()

    async with way.serving(go_at_once, serve) as server:
        responses = await posting(client, server.url, 50)
        assert [response.status_code for response in responses] == [200] * 50
        assert resends_of(responses) == [0] * taken + [1] * (50 - taken)
        assert transport.statistics().opened == server.connections == 2
    again = sorted(request.path for wire in later for request in wire.requests)
    assert again == sorted(first[taken:])


async def test_refused_streams_share_one_other_connection(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Fifty of them, refused one by one."""

    async def refuse_all(wire: H2Wire) -> None:
        for request in await wire.receive(50):
            await wire.refuse(request)
        await wire.listen()

    async with way.serving(refuse_all) as server:
        responses = await posting(client, server.url, 50)
        assert resends_of(responses) == [1] * 50
        assert transport.statistics().opened == server.connections == 2


async def test_refused_streams_stay_within_the_bound_of_connections(way: Way) -> None:
    """One is all there may be: they wait until it is closed."""

    async def refuse_all(wire: H2Wire) -> None:
        for request in await wire.receive(20):
            await wire.refuse(request)
        await wire.listen()

    transport = way.transport(limits=httpx.Limits(max_connections=1))
    async with (
        way.serving(refuse_all) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        responses = await posting(client, server.url, 20)
        assert resends_of(responses) == [1] * 20
        assert transport.statistics().closed == {"failed": 1}


async def test_a_server_that_serves_ten_requests_a_connection_serves_a_hundred(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Those that come too late for one connection, again and again, arrive in the end."""

    async def serve_ten(wire: H2Wire) -> None:
        requests = await wire.receive(10)
        await wire.go_away(requests[-1].stream_id)
        for request in requests:
            await wire.answer(request)
        await wire.listen()

    async with way.serving(*[serve_ten] * 10) as server:
        responses = await posting(client, server.url, 100)
        assert [response.status_code for response in responses] == [200] * 100
        assert transport.statistics().opened == server.connections == 10


async def test_a_server_that_takes_nobody_is_given_up(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """After ten more connections, which all requests share."""

    async def take_nobody(wire: H2Wire) -> None:
        await wire.receive(1)
        await wire.go_away(0)
        await wire.listen()

    async with way.serving(*[take_nobody] * 20) as server:
        tasks = [client.post(server.url, content=b"x") for _ in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {httpx.RemoteProtocolError}
        assert transport.statistics().opened == server.connections == 11


async def test_requests_that_wait_for_a_stream_move_when_the_server_goes(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Three streams are allowed: the seven behind them were never sent, and cost nothing."""

    async def go_with_three(wire: H2Wire) -> None:
        requests = await wire.receive(3)
        await wire.go_away(EVERY_STREAM)
        for request in requests:
            await wire.answer(request)
        await wire.listen()
        assert len(wire.begun) == 3

    async with way.serving(go_with_three, max_streams=3) as server:
        responses = await posting(client, server.url, 10)
        assert [response.status_code for response in responses] == [200] * 10
        assert resends_of(responses) == [0] * 3 + [1] * 7
        assert 2 <= transport.statistics().opened <= 4  # of three streams each


# Errors


@pytest.mark.parametrize("code", [INTERNAL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM])
async def test_a_goaway_with_an_error_fails_what_the_server_took(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, code: int
) -> None:
    """Once each, as it may have been processed; the others go out again."""

    async def break_down(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.go_away(requests[1].stream_id, code)
        await wire.listen()

    async with way.serving(break_down) as server:
        tasks = [client.post(server.url, content=b"x") for _ in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        answers = [result for result in results if isinstance(result, httpx.Response)]
        errors = [result for result in results if isinstance(result, httpx.RemoteProtocolError)]
        assert (resends_of(answers), len(errors)) == ([1, 1, 1], 2)
        assert transport.statistics().opened == server.connections == 2


async def part_by_part() -> AsyncIterator[bytes]:
    """Give a body that cannot be sent twice."""
    yield b"one"
    yield b"two"


@pytest.mark.parametrize("last", [0, 1])
async def test_a_body_that_cannot_be_sent_twice_fails_at_once(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, last: int
) -> None:
    """With the error of the stream, and no second connection is opened."""

    async def go(wire: H2Wire) -> None:
        for request in (await wire.receive(2))[: (last + 1) // 2]:
            await wire.answer(request)
        await wire.go_away(last)
        await wire.listen()

    async with way.serving(go) as server:
        tasks = [client.post(server.url, content=part_by_part()) for _ in range(2)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = sorted(kind_of(result).__name__ for result in results)
        assert kinds == sorted(["RemoteProtocolError"] * (2 - last) + ["Response"] * last)
        assert transport.statistics().opened == server.connections == 1


async def refuse_a_body(wire: H2Wire) -> None:
    """Refuse a request whose body is still coming."""
    await wire.read_until(lambda: wire.begun == [1])
    await wire.refuse(StreamRequest(1, "POST", "/", b""))
    await wire.listen()


async def go_during_a_body(wire: H2Wire) -> None:
    """Go away from a request whose body is still coming."""
    await wire.read_until(lambda: wire.begun == [1])
    await wire.go_away(0)
    await wire.listen()


LARGE = bytes(1_000_000)
"""More than a window."""


@pytest.mark.parametrize("script", [refuse_a_body, go_during_a_body])
async def test_an_upload_that_is_refused_half_way_goes_out_again(
    way: Way, client: httpx.AsyncClient, script: Script
) -> None:
    """Whole: the server has said that it did nothing with what it got."""
    async with way.serving(script) as server:
        response = await client.post(server.url, content=LARGE)
        assert (response.status_code, response.extensions[RESENDS]) == (200, 1)


@pytest.mark.parametrize("script", [refuse_a_body, go_during_a_body])
async def test_an_upload_that_cannot_be_sent_twice_blames_the_server(
    way: Way, client: httpx.AsyncClient, script: Script
) -> None:
    """Not the client, who sent on what the server wanted no more."""

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield LARGE[:10_000]

    async with way.serving(script) as server:
        with pytest.raises(
            httpx.RemoteProtocolError, match="refused the stream without processing it"
        ):
            await client.post(server.url, content=in_pieces())
        assert server.connections == 1


WINDOW = 65_535
"""Bytes that a client may send before it is given room, on a stream and on all of them."""


async def fill(wire: H2Wire) -> StreamRequest:
    """Read what the client may send, give room for no more; give the first request."""
    wire.gives_room = False
    await wire.read_until(lambda: wire.came == WINDOW)
    return StreamRequest(1, "POST", "/", b"")


async def fill_and_refuse(wire: H2Wire) -> None:
    """Refuse a request that waits for room on the connection."""
    await wire.refuse(await fill(wire))
    await wire.listen()


async def fill_and_break_off(wire: H2Wire) -> None:
    """Break a request off that waits for room on the connection."""
    await wire.break_off(await fill(wire))
    await wire.listen()


async def fill_and_go(wire: H2Wire) -> None:
    """Go away from a request that waits for room on the connection."""
    await fill(wire)
    await wire.go_away(0)
    await wire.listen()


async def fill_and_fail(wire: H2Wire) -> None:
    """Go away with an error during a request that waits for room on the connection."""
    await fill(wire)
    await wire.go_away(1, INTERNAL_ERROR)
    await wire.listen()


@pytest.mark.parametrize(
    ("script", "end"),
    [
        (fill_and_refuse, httpx.Response),
        (fill_and_go, httpx.Response),
        (fill_and_break_off, httpx.RemoteProtocolError),
        (fill_and_fail, httpx.RemoteProtocolError),
    ],
)
async def test_an_upload_that_waits_for_room_on_the_connection_sees_its_end(
    way: Way, client: httpx.AsyncClient, script: Script, end: type
) -> None:
    """Though the server gives none any more."""
    async with way.serving(script) as server:
        task = client.post(server.url, content=LARGE, timeout=20)
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert kind_of(result) is end


async def test_an_upload_that_is_ended_lends_no_room_to_another(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The other one waits until the server gives room, which would fail one that does not."""
    failed = asyncio.Event()

    async def end_one(wire: H2Wire) -> None:
        first = await fill(wire)
        await wire.read_until(lambda: wire.begun == [1, 3])
        await wire.break_off(first)
        await failed.wait()
        wire.gives_room = True
        await wire.give_room(3)
        await wire.read_until(lambda: bool(wire.requests))
        await wire.answer(wire.requests[0], b"%d" % len(wire.requests[0].body))
        await wire.listen()

    async with way.serving(end_one) as server:
        posts = [asyncio.ensure_future(client.post(server.url, content=LARGE)) for _ in range(2)]
        with pytest.raises(httpx.RemoteProtocolError, match="reset the stream with error code 2"):
            await posts[0]
        failed.set()
        assert (await posts[1]).content == b"1000000"
        assert transport.statistics().opened == 1


# What is not known yet


async def hang_up(wire: H2Wire) -> None:
    """Read a request, and close the connection."""
    await wire.receive(1)


async def go_and_hang_up(wire: H2Wire) -> None:
    """Read a request, go away from it, and close the connection."""
    await wire.receive(1)
    await wire.go_away(0)


async def answer_and_go(wire: H2Wire) -> None:
    """Answer a request and go away, in one breath."""
    (request,) = await wire.receive(1)
    await wire.answer_and_go(request)
    await wire.listen()


@pytest.mark.parametrize("script", [hang_up, go_and_hang_up, answer_and_go])
async def test_the_first_connection_may_end_badly_and_the_second_is_shared(
    way: Way, client: httpx.AsyncClient, transport: AsyncPoolTransport, script: Script
) -> None:
    """That a server ended a connection does not say that it speaks HTTP/1.1."""
    async with way.serving(script) as server:
        await asyncio.gather(client.post(server.url, content=b"x"), return_exceptions=True)
        responses = await posting(client, server.url, 20)
        assert [response.status_code for response in responses] == [200] * 20
        assert transport.statistics().opened == server.connections == 2
