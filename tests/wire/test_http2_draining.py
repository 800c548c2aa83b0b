"""HTTP/2 graceful shutdown: accepted streams complete, the others move to a new connection."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, Script, StreamRequest
from h2_setups import ALL_SETUPS, H2Setup, post_many, refusal_counts
from leak_checks import count_sockets_to
from pool_helpers import result_type

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import REFUSALS, RESENDS

pytestmark = [ALL_SETUPS, pytest.mark.usefixtures("no_leaks")]

MAX_STREAM_ID = 2**31 - 1
INTERNAL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM = 2, 7, 11


def is_draining(transport: AsyncPoolTransport) -> bool:
    """Return whether the first connection of a pool is draining."""
    return transport._pool._slots.all[0].is_draining


# Streams that the server accepted


@pytest.mark.parametrize("last", [9, MAX_STREAM_ID], ids=["last open stream", "every stream"])
async def test_streams_covered_by_a_goaway_complete_and_new_ones_use_another_connection(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, last: int
) -> None:
    """The client closes the old connection when its last stream ends."""
    proceed, client_closed = asyncio.Event(), asyncio.Event()

    async def drain(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.start_answer(requests[0])
        await wire.go_away(last)
        await proceed.wait()
        await wire.finish_answer(requests[0])
        for request in requests[1:]:
            await wire.answer(request, b"late")
        await wire.read_to_end()
        client_closed.set()

    async with setup.server(drain) as server:
        covered = asyncio.ensure_future(post_many(client, server.url, 5))
        await wait_until(lambda: transport.statistics().opened == 1 and is_draining(transport))
        assert [it.content for it in await post_many(client, server.url, 10)] == [b"ok"] * 10
        assert count_sockets_to(server.port) == 2
        proceed.set()
        bodies = sorted(response.content for response in await covered)
        assert bodies == [b"late"] * 4 + [b"part and rest"]
        assert refusal_counts(await covered) == [0] * 5
        await asyncio.wait_for(client_closed.wait(), 20)
        assert (server.connections, count_sockets_to(server.port)) == (2, 1)


async def test_a_graceful_shutdown_in_two_steps_loses_no_request(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The first GOAWAY covers every stream; the second excludes two, which are resent."""

    async def drain_in_two_steps(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.go_away(MAX_STREAM_ID)
        await wire.answer(requests[0])
        await wire.go_away(requests[2].stream_id)
        for request in requests[1:3]:
            await wire.answer(request)
        await wire.read_to_end()

    async with setup.server(drain_in_two_steps) as server:
        responses = await post_many(client, server.url, 5)
        assert [response.status_code for response in responses] == [200] * 5
        assert refusal_counts(responses) == [0, 0, 0, 1, 1]
        assert transport.statistics().opened == server.connections == 2


async def test_an_idle_connection_that_received_a_goaway_is_not_used(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Even though it's still open: a body that can't be replayed goes to a new connection."""
    answered = asyncio.Event()

    async def serve_one(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await answered.wait()
        await wire.go_away(MAX_STREAM_ID)
        await wire.read_to_end()

    async def parts() -> AsyncIterator[bytes]:
        yield b"once"

    async with setup.server(serve_one) as server:
        await client.get(server.url)
        answered.set()
        await wait_until(lambda: is_draining(transport))
        response = await client.post(server.url, content=parts())
        assert (response.status_code, RESENDS in response.extensions) == (200, False)
        assert transport.statistics().opened == server.connections == 2


# Streams that the server didn't process


@pytest.mark.parametrize("accepted", [0, 1, 3])
async def test_streams_above_the_last_stream_id_share_one_new_connection(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, accepted: int
) -> None:
    """Each is resent once, whatever its method; accepted ones aren't."""
    first: list[str] = []
    later: list[H2Wire] = []

    async def drain_immediately(wire: H2Wire) -> None:
        requests = await wire.receive(50)
        first.extend(request.path for request in requests)
        await wire.go_away(requests[accepted - 1].stream_id if accepted else 0)
        for request in requests[:accepted]:
            await wire.answer(request)
        await wire.read_to_end()

    async def serve(wire: H2Wire) -> None:
        later.append(wire)
        await wire.answer_remaining()

    async with setup.server(drain_immediately, serve) as server:
        responses = await post_many(client, server.url, 50)
        assert [response.status_code for response in responses] == [200] * 50
        assert refusal_counts(responses) == [0] * accepted + [1] * (50 - accepted)
        assert transport.statistics().opened == server.connections == 2
    resent = sorted(request.path for wire in later for request in wire.requests)
    assert resent == sorted(first[accepted:])


async def test_refused_streams_share_one_new_connection(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Fifty streams, refused one by one."""

    async def refuse_all(wire: H2Wire) -> None:
        for request in await wire.receive(50):
            await wire.refuse(request)
        await wire.read_to_end()

    async with setup.server(refuse_all) as server:
        responses = await post_many(client, server.url, 50)
        assert refusal_counts(responses) == [1] * 50
        assert transport.statistics().opened == server.connections == 2


async def test_refused_streams_respect_max_connections(setup: H2Setup) -> None:
    """With one connection allowed, they wait until it is closed."""

    async def refuse_all(wire: H2Wire) -> None:
        for request in await wire.receive(20):
            await wire.refuse(request)
        await wire.read_to_end()

    transport = setup.transport(limits=httpx.Limits(max_connections=1))
    async with (
        setup.server(refuse_all) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        responses = await post_many(client, server.url, 20)
        assert refusal_counts(responses) == [1] * 20
        assert transport.statistics().closed == {"made room": 1}


async def test_a_hundred_requests_complete_at_ten_per_connection(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Requests that several connections reject still succeed in the end."""

    async def serve_ten(wire: H2Wire) -> None:
        requests = await wire.receive(10)
        await wire.go_away(requests[-1].stream_id)
        for request in requests:
            await wire.answer(request)
        await wire.read_to_end()

    async with setup.server(*[serve_ten] * 10) as server:
        responses = await post_many(client, server.url, 100)
        assert [response.status_code for response in responses] == [200] * 100
        assert transport.statistics().opened == server.connections == 10


async def test_requests_fail_if_every_connection_rejects_them(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """After ten more connections, which all requests share."""

    async def reject_all(wire: H2Wire) -> None:
        await wire.receive(1)
        await wire.go_away(0)
        await wire.read_to_end()

    async with setup.server(*[reject_all] * 20) as server:
        tasks = [client.post(server.url, content=b"x") for _ in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = {type(result) for result in results}
        assert kinds <= {httpx.RemoteProtocolError, httpx.ConnectError}  # the latter: unsent
        assert 11 <= transport.statistics().opened == server.connections <= 21


async def test_requests_waiting_for_a_stream_move_when_the_server_shuts_down(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Three streams are allowed, so the seven waiting requests were never sent."""

    async def go_away_with_three(wire: H2Wire) -> None:
        requests = await wire.receive(3)
        await wire.go_away(MAX_STREAM_ID)
        for request in requests:
            await wire.answer(request)
        await wire.read_to_end()
        assert len(wire.started) == 3

    async with setup.server(go_away_with_three, max_streams=3) as server:
        responses = await post_many(client, server.url, 10)
        assert [response.status_code for response in responses] == [200] * 10
        assert refusal_counts(responses) == [0] * 10
        assert 2 <= transport.statistics().opened <= 4  # with three streams each


# Errors


@pytest.mark.parametrize("code", [INTERNAL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM])
async def test_a_goaway_with_an_error_fails_accepted_requests(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, code: int
) -> None:
    """They aren't resent, as they may have been processed; the others are."""

    async def go_away_with_an_error(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        await wire.go_away(requests[1].stream_id, code)
        await wire.read_to_end()

    async with setup.server(go_away_with_an_error) as server:
        tasks = [client.post(server.url, content=b"x") for _ in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        answers = [result for result in results if isinstance(result, httpx.Response)]
        errors = [result for result in results if isinstance(result, httpx.RemoteProtocolError)]
        assert (refusal_counts(answers), len(errors)) == ([1, 1, 1], 2)
        assert transport.statistics().opened == server.connections == 2


async def part_by_part() -> AsyncIterator[bytes]:
    """Yield a body that can't be replayed."""
    yield b"one"
    yield b"two"


@pytest.mark.parametrize("last", [0, 1])
async def test_a_request_whose_body_cannot_be_replayed_fails_immediately(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, last: int
) -> None:
    """With the stream's error, without opening a second connection."""

    async def go(wire: H2Wire) -> None:
        for request in (await wire.receive(2))[: (last + 1) // 2]:
            await wire.answer(request)
        await wire.go_away(last)
        await wire.read_to_end()

    async with setup.server(go) as server:
        tasks = [client.post(server.url, content=part_by_part()) for _ in range(2)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = sorted(result_type(result).__name__ for result in results)
        assert kinds == sorted(["RemoteProtocolError"] * (2 - last) + ["Response"] * last)
        assert transport.statistics().opened == server.connections == 1


async def refuse_a_body(wire: H2Wire) -> None:
    """Refuse a request whose body is still being sent."""
    await wire.read_until(lambda: wire.started == [1])
    await wire.refuse(StreamRequest(1, "POST", "/", b""))
    await wire.read_to_end()


async def go_away_during_a_body(wire: H2Wire) -> None:
    """Send a GOAWAY while a request body is still being sent."""
    await wire.read_until(lambda: wire.started == [1])
    await wire.go_away(0)
    await wire.read_to_end()


LARGE = bytes(1_000_000)
"""Larger than the flow-control window."""


@pytest.mark.parametrize("script", [refuse_a_body, go_away_during_a_body])
async def test_an_upload_refused_halfway_is_resent(
    setup: H2Setup, client: httpx.AsyncClient, script: Script
) -> None:
    """In full: the server has said that it processed none of it."""
    async with setup.server(script) as server:
        response = await client.post(server.url, content=LARGE)
        assert (response.status_code, response.extensions[REFUSALS]) == (200, 1)


@pytest.mark.parametrize("script", [refuse_a_body, go_away_during_a_body])
async def test_a_refused_upload_that_cannot_be_replayed_is_a_remote_protocol_error(
    setup: H2Setup, client: httpx.AsyncClient, script: Script
) -> None:
    """Not a local one, even though the client went on sending on the closed stream."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield LARGE[:10_000]

    async with setup.server(script) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="without processing"):
            await client.post(server.url, content=pieces())
        assert server.connections == 1


WINDOW = 65_535
"""Initial flow-control window in bytes, of each stream and of the connection."""


async def fill_window(wire: H2Wire) -> StreamRequest:
    """Read a full window without opening it again; return the first request."""
    wire.opens_window = False
    await wire.read_until(lambda: wire.body_bytes == WINDOW)
    return StreamRequest(1, "POST", "/", b"")


async def fill_and_refuse(wire: H2Wire) -> None:
    """Refuse a request that is waiting for the connection's window."""
    await wire.refuse(await fill_window(wire))
    await wire.read_to_end()


async def fill_and_abort(wire: H2Wire) -> None:
    """Abort a request that is waiting for the connection's window."""
    await wire.abort_stream(await fill_window(wire))
    await wire.read_to_end()


async def fill_and_go_away(wire: H2Wire) -> None:
    """Send a GOAWAY while a request is waiting for the connection's window."""
    await fill_window(wire)
    await wire.go_away(0)
    await wire.read_to_end()


async def fill_and_fail(wire: H2Wire) -> None:
    """Send a GOAWAY with an error while a request is waiting for the connection's window."""
    await fill_window(wire)
    await wire.go_away(1, INTERNAL_ERROR)
    await wire.read_to_end()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (fill_and_refuse, httpx.Response),
        (fill_and_go_away, httpx.Response),
        (fill_and_abort, httpx.RemoteProtocolError),
        (fill_and_fail, httpx.RemoteProtocolError),
    ],
)
async def test_an_upload_waiting_for_the_connection_window_ends_with_its_stream(
    setup: H2Setup, client: httpx.AsyncClient, script: Script, expected: type
) -> None:
    """Even though the server never opens the window again."""
    async with setup.server(script) as server:
        task = client.post(server.url, content=LARGE, timeout=20)
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert result_type(result) is expected


async def test_an_aborted_upload_does_not_free_window_for_another(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The other one waits for a window update; sending without one would be an error."""
    failed = asyncio.Event()

    async def abort_one(wire: H2Wire) -> None:
        first = await fill_window(wire)
        await wire.read_until(lambda: wire.started == [1, 3])
        await wire.abort_stream(first)
        await failed.wait()
        wire.opens_window = True
        await wire.open_window(3)
        await wire.read_until(lambda: bool(wire.requests))
        await wire.answer(wire.requests[0], b"%d" % len(wire.requests[0].body))
        await wire.read_to_end()

    async with setup.server(abort_one) as server:
        posts = [asyncio.ensure_future(client.post(server.url, content=LARGE)) for _ in range(2)]
        with pytest.raises(httpx.RemoteProtocolError, match="reset the stream with error code 2"):
            await posts[0]
        failed.set()
        assert (await posts[1]).content == b"1000000"
        assert transport.statistics().opened == 1


# Servers whose protocol isn't known yet


async def hang_up(wire: H2Wire) -> None:
    """Read a request and close the connection."""
    await wire.receive(1)


async def go_away_and_hang_up(wire: H2Wire) -> None:
    """Read a request, send a GOAWAY and close the connection."""
    await wire.receive(1)
    await wire.go_away(0)


async def answer_and_go_away(wire: H2Wire) -> None:
    """Send a response and a GOAWAY in the same segment."""
    (request,) = await wire.receive(1)
    await wire.answer_and_go_away(request)
    await wire.read_to_end()


@pytest.mark.parametrize("script", [hang_up, go_away_and_hang_up, answer_and_go_away])
async def test_the_second_connection_is_shared_even_if_the_first_one_failed(
    setup: H2Setup, client: httpx.AsyncClient, transport: AsyncPoolTransport, script: Script
) -> None:
    """A connection closed by the server doesn't mean that it only supports HTTP/1.1."""
    async with setup.server(script) as server:
        await asyncio.gather(client.post(server.url, content=b"x"), return_exceptions=True)
        responses = await post_many(client, server.url, 20)
        assert [response.status_code for response in responses] == [200] * 20
        assert transport.statistics().opened == server.connections == 2
