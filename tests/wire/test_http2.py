"""HTTP/2 on real sockets: many requests on one connection, and what ends some of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fault_handlers import until
from h2_servers import H2Wire, hypercorn_url, speaking_h2, trusting_h2
from leftovers import sockets_to
from pool_kit import kind_of, until_stale
from tls_contexts import trusted, trusting

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import RESENDS
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

pytestmark = pytest.mark.usefixtures("http11", "nothing_left")

BODY = bytes(range(256)) * 4000


@pytest.fixture(name="transport")
def _transport() -> AsyncPoolTransport:
    return AsyncPoolTransport(http2=True, verify=trusting_h2())


# A server of the trade


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with the body of the request."""
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def test_many_requests_share_one_connection(
    client: httpx.AsyncClient, transport: AsyncPoolTransport, tmp_path: Path
) -> None:
    """A hundred at once, each with its own answer; and a further hundred."""
    async with hypercorn_url(echo, tmp_path) as url:
        for _ in range(2):
            bodies = [f"body {number}".encode() for number in range(100)]
            responses = await asyncio.gather(*(client.post(url, content=body) for body in bodies))
            assert [response.content for response in responses] == bodies
            assert {response.http_version for response in responses} == {"HTTP/2"}
        assert transport.statistics().opened == 1
        await transport.aclose()


async def test_large_bodies_share_one_connection(
    client: httpx.AsyncClient, transport: AsyncPoolTransport, tmp_path: Path
) -> None:
    """Eight of a megabyte each way, under the flow control of each stream."""
    async with hypercorn_url(echo, tmp_path) as url:
        tasks = [client.post(url, content=bytes([number]) + BODY) for number in range(8)]
        responses = await asyncio.gather(*tasks)
        assert [response.content for response in responses] == [
            bytes([number]) + BODY for number in range(8)
        ]
        assert transport.statistics().opened == 1
        await transport.aclose()


# A server that speaks HTTP/1.1 alone


async def test_a_server_of_http_1_serves_as_many_at_once_as_ever() -> None:
    """None is lost and none waits for another: the server answers when all of them are there."""
    together = asyncio.Barrier(20)

    async def answer_together(request: SeenRequest, wire: Wire) -> None:
        await together.wait()
        await wire.answer(200, request.body)

    transport = AsyncPoolTransport(http2=True, verify=trusting())
    async with (
        FaultServer(each_request(answer_together), tls=trusted()) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        for _ in range(2):
            bodies = [f"body {number}".encode() for number in range(20)]
            tasks = [client.post(server.url, content=body) for body in bodies]
            responses = await asyncio.gather(*tasks)
            assert [response.content for response in responses] == bodies
        assert {response.http_version for response in responses} == {"HTTP/1.1"}
        assert transport.statistics().opened == server.connections == 20


async def test_a_plain_server_is_spoken_to_in_http_1(client: httpx.AsyncClient) -> None:
    """Without TLS nothing can be agreed upon."""
    async with FaultServer(answer()) as server:
        assert (await client.get(server.url)).http_version == "HTTP/1.1"


async def test_a_body_of_http_1_may_look_like_the_beginning_of_http_2() -> None:
    """It is a body all the same, and the answer is read as it comes."""
    body = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)

    async def echo_it(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    transport = AsyncPoolTransport(http2=True, verify=trusting())
    async with (
        FaultServer(each_request(echo_it), tls=trusted()) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        for _ in range(2):
            assert (await client.post(server.url, content=body)).content == body
        assert transport.statistics().opened == 1


# Streams that were not looked at


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_a_refused_stream_is_sent_again(client: httpx.AsyncClient, method: str) -> None:
    """Whatever its method: the server says that it did not look at it."""
    connections: list[H2Wire] = []

    async def refuse(wire: H2Wire) -> None:
        connections.append(wire)
        (request,) = await wire.receive(1)
        await wire.refuse(request)
        await wire.listen()

    async def serve(wire: H2Wire) -> None:
        connections.append(wire)
        await wire.answer_the_rest()

    async with speaking_h2(refuse, serve) as server:
        response = await client.request(method, server.url, content=b"whole")
        assert (response.status_code, response.extensions[RESENDS]) == (200, 1)
        assert [[request.body for request in wire.requests] for wire in connections] == [
            [b"whole"],
            [b"whole"],
        ]


async def test_streams_above_the_last_one_of_a_goaway_are_sent_again(
    client: httpx.AsyncClient,
) -> None:
    """Each once, whatever the method; the one that was answered is not."""
    first: list[str] = []
    later: list[H2Wire] = []

    async def answer_one_and_go(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        first.extend(request.path for request in requests)
        await wire.answer(requests[0])
        await wire.go_away(requests[0].stream_id)
        await wire.listen()

    async def serve(wire: H2Wire) -> None:
        later.append(wire)
        await wire.answer_the_rest()

    async with speaking_h2(answer_one_and_go, *[serve] * 10) as server:
        urls = [f"{server.url}{number}" for number in range(5)]
        responses = await asyncio.gather(*(client.post(url, content=b"x") for url in urls))
        assert [response.status_code for response in responses] == [200] * 5
    again = sorted(request.path for wire in later for request in wire.requests)
    assert again == sorted(first[1:])


async def test_a_stream_broken_off_by_the_server_is_not_sent_again(
    client: httpx.AsyncClient,
) -> None:
    """It may have been processed; and its neighbour is answered."""

    async def break_one(wire: H2Wire) -> None:
        first, second = await wire.receive(2)
        await wire.break_off(first)
        await wire.answer(second)
        await wire.listen()

    async with speaking_h2(break_one) as server:
        results = await asyncio.gather(
            *(client.post(server.url, content=b"x") for _ in range(2)), return_exceptions=True
        )
        kinds = sorted(kind_of(result).__name__ for result in results)
        assert kinds == ["RemoteProtocolError", "Response"]
        assert server.connections == 1


# The end of a connection


async def drop(_: H2Wire) -> None:
    """Do nothing more, so that the connection is closed."""


@pytest.mark.parametrize("answered", [0, 2])
async def test_a_connection_lost_mid_way_fails_what_was_on_it(
    client: httpx.AsyncClient, answered: int
) -> None:
    """Once each, as they may have been processed; the next request gets a new connection."""

    async def lose(wire: H2Wire) -> None:
        for request in (await wire.receive(4))[:answered]:
            await wire.answer(request)

    async with speaking_h2(lose) as server:
        tasks = [client.post(server.url, content=b"x") for _ in range(4)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        answers = [result for result in results if isinstance(result, httpx.Response)]
        errors = [result for result in results if isinstance(result, httpx.TransportError)]
        assert (len(answers), len(errors)) == (answered, 4 - answered)
        assert (await client.post(server.url, content=b"x")).status_code == 200
        assert server.connections == 2


@pytest.mark.parametrize("say_so", [True, False], ids=["GOAWAY", "FIN"])
async def test_an_idle_connection_that_the_server_left_is_not_used(
    client: httpx.AsyncClient, transport: AsyncPoolTransport, *, say_so: bool
) -> None:
    """The next request goes out once, on a new connection."""
    answered = asyncio.Event()

    async def serve_one(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await answered.wait()
        if say_so:
            await wire.go_away(request.stream_id)

    async with speaking_h2(serve_one) as server:
        assert (await client.post(server.url, content=b"x")).status_code == 200
        answered.set()
        await until_stale(transport)
        response = await client.post(server.url, content=b"x")
        assert (response.status_code, RESENDS in response.extensions) == (200, False)
        assert transport.statistics().opened == 2


# Cancelled streams


async def test_a_cancelled_stream_does_not_hurt_the_others(
    client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Whether it waits for its head or reads its body."""
    all_begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(wire: H2Wire) -> None:
        requests = await wire.receive(6)
        for request in requests[:4]:
            await wire.begin_answer(request)
        all_begun.set()
        await go_on.wait()
        for request in requests[:4]:
            await wire.finish_answer(request)
        for request in requests[4:]:
            await wire.answer(request, b"at once")
        await wire.listen()

    async with speaking_h2(slowly) as server:
        tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(6)]
        await all_begun.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[5].cancel()
        await asyncio.wait({tasks[1], tasks[5]})
        go_on.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        bodies = [result.content for result in results if isinstance(result, httpx.Response)]
        assert sorted(bodies) == [b"at once"] + [b"part and rest"] * 3
        assert tasks[1].cancelled()
        assert tasks[5].cancelled()
        assert transport.statistics().opened == 1


async def _hear(wire: H2Wire) -> None:
    await wire.listen()


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13, 21, 34, 55, 200])
@pytest.mark.parametrize("script", [_hear, drop, H2Wire.answer_the_rest])
async def test_streams_cancelled_at_any_turn_leave_the_pool_clean(
    client: httpx.AsyncClient,
    transport: AsyncPoolTransport,
    script: Callable[[H2Wire], Awaitable[None]],
    turns: int,
) -> None:
    """Ten at once, whatever the server does; a request after them is answered."""
    async with speaking_h2(script) as server:
        tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(10)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        told = transport.statistics()
        assert (told.active, told.waiting) == (0, 0)
        await until(lambda: sockets_to(server.port) == told.idle)
        assert (await _first_answer(client, server.url)).status_code == 200


async def _first_answer(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """Ask until a connection is answered on: the first one may not be."""
    for _ in range(50):
        with contextlib.suppress(httpx.TransportError):
            return await client.get(url, timeout=0.2)
    raise AssertionError("no answer")


async def test_more_requests_than_streams_wait_for_each_other(
    client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """The server allows three at once."""
    async with speaking_h2(max_streams=3) as server:
        responses = await asyncio.gather(*(client.get(server.url) for _ in range(30)))
        assert [response.status_code for response in responses] == [200] * 30
        assert transport.statistics().opened == 1
