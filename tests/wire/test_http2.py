"""HTTP/2 on real sockets: concurrent requests on one connection, and how some of them fail."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fault_handlers import wait_until
from h2_servers import H2Wire, h2_client_context, h2_server, hypercorn_url
from leak_checks import count_sockets_to
from pool_helpers import result_type, wait_until_stale
from tls_contexts import client_context, server_context

from typed_async_client import AsyncPoolTransport
from typed_async_client.pool.resend import REFUSALS, RESENDS
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

BODY = bytes(range(256)) * 4000


@pytest.fixture(name="transport")
def _transport() -> AsyncPoolTransport:
    return AsyncPoolTransport(http2=True, verify=h2_client_context())


# An off-the-shelf server


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Respond with the request body."""
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
    """A hundred concurrent requests each get their own response; then a hundred more do."""
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
    """Eight of a megabyte each way, subject to the flow control of each stream."""
    async with hypercorn_url(echo, tmp_path) as url:
        tasks = [client.post(url, content=bytes([number]) + BODY) for number in range(8)]
        responses = await asyncio.gather(*tasks)
        assert [response.content for response in responses] == [
            bytes([number]) + BODY for number in range(8)
        ]
        assert transport.statistics().opened == 1
        await transport.aclose()


# Servers that only support HTTP/1.1


async def test_requests_to_an_http_1_server_run_concurrently() -> None:
    """None is lost or waits for another: the server responds once all have arrived."""
    together = asyncio.Barrier(20)

    async def answer_together(request: SeenRequest, wire: Wire) -> None:
        await together.wait()
        await wire.answer(200, request.body)

    transport = AsyncPoolTransport(http2=True, verify=client_context())
    async with (
        FaultServer(each_request(answer_together), tls=server_context()) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        for _ in range(2):
            bodies = [f"body {number}".encode() for number in range(20)]
            tasks = [client.post(server.url, content=body) for body in bodies]
            responses = await asyncio.gather(*tasks)
            assert [response.content for response in responses] == bodies
        assert {response.http_version for response in responses} == {"HTTP/1.1"}
        assert transport.statistics().opened == server.connections == 20


async def test_cleartext_requests_use_http_1(client: httpx.AsyncClient) -> None:
    """Without TLS, HTTP/2 can't be negotiated."""
    async with FaultServer(answer()) as server:
        assert (await client.get(server.url)).http_version == "HTTP/1.1"


async def test_an_http_1_body_may_look_like_the_http_2_preface() -> None:
    """It's sent as a body, and the response is read as usual."""
    body = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)

    async def echo_body(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    transport = AsyncPoolTransport(http2=True, verify=client_context())
    async with (
        FaultServer(each_request(echo_body), tls=server_context()) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        for _ in range(2):
            assert (await client.post(server.url, content=body)).content == body
        assert transport.statistics().opened == 1


# Streams that the server didn't process


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_a_refused_stream_is_resent(client: httpx.AsyncClient, method: str) -> None:
    """Whatever the method: REFUSED_STREAM means that the server didn't process it."""
    connections: list[H2Wire] = []

    async def refuse(wire: H2Wire) -> None:
        connections.append(wire)
        (request,) = await wire.receive(1)
        await wire.refuse(request)
        await wire.read_to_end()

    async def serve(wire: H2Wire) -> None:
        connections.append(wire)
        await wire.answer_remaining()

    async with h2_server(refuse, serve) as server:
        response = await client.request(method, server.url, content=b"whole")
        assert (response.status_code, response.extensions[REFUSALS]) == (200, 1)
        assert [[request.body for request in wire.requests] for wire in connections] == [
            [b"whole"],
            [b"whole"],
        ]


async def test_streams_above_the_last_stream_id_of_a_goaway_are_resent(
    client: httpx.AsyncClient,
) -> None:
    """Each once, whatever the method; the one that was answered isn't resent."""
    first: list[str] = []
    later: list[H2Wire] = []

    async def answer_one_and_go_away(wire: H2Wire) -> None:
        requests = await wire.receive(5)
        first.extend(request.path for request in requests)
        await wire.answer(requests[0])
        await wire.go_away(requests[0].stream_id)
        await wire.read_to_end()

    async def serve(wire: H2Wire) -> None:
        later.append(wire)
        await wire.answer_remaining()

    async with h2_server(answer_one_and_go_away, *[serve] * 10) as server:
        urls = [f"{server.url}{number}" for number in range(5)]
        responses = await asyncio.gather(*(client.post(url, content=b"x") for url in urls))
        assert [response.status_code for response in responses] == [200] * 5
    resent = sorted(request.path for wire in later for request in wire.requests)
    assert resent == sorted(first[1:])


async def test_a_stream_aborted_by_the_server_is_not_resent(
    client: httpx.AsyncClient,
) -> None:
    """It may have been processed; the other stream still gets its response."""

    async def abort_one(wire: H2Wire) -> None:
        first, second = await wire.receive(2)
        await wire.abort_stream(first)
        await wire.answer(second)
        await wire.read_to_end()

    async with h2_server(abort_one) as server:
        results = await asyncio.gather(
            *(client.post(server.url, content=b"x") for _ in range(2)), return_exceptions=True
        )
        kinds = sorted(result_type(result).__name__ for result in results)
        assert kinds == ["RemoteProtocolError", "Response"]
        assert server.connections == 1


# Lost and closed connections


async def drop(_: H2Wire) -> None:
    """Return immediately, which closes the connection."""


@pytest.mark.parametrize("answered", [0, 2])
async def test_a_lost_connection_fails_the_requests_on_it(
    client: httpx.AsyncClient, answered: int
) -> None:
    """None is resent, as it may have been processed; the next request gets a new connection."""

    async def answer_some_and_close(wire: H2Wire) -> None:
        for request in (await wire.receive(4))[:answered]:
            await wire.answer(request)

    async with h2_server(answer_some_and_close) as server:
        tasks = [client.post(server.url, content=b"x") for _ in range(4)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        answers = [result for result in results if isinstance(result, httpx.Response)]
        errors = [result for result in results if isinstance(result, httpx.TransportError)]
        assert (len(answers), len(errors)) == (answered, 4 - answered)
        assert (await client.post(server.url, content=b"x")).status_code == 200
        assert server.connections == 2


@pytest.mark.parametrize("with_goaway", [True, False], ids=["GOAWAY", "FIN"])
async def test_an_idle_connection_closed_by_the_server_is_not_used(
    client: httpx.AsyncClient, transport: AsyncPoolTransport, *, with_goaway: bool
) -> None:
    """The next request is sent once, on a new connection."""
    answered = asyncio.Event()

    async def serve_one(wire: H2Wire) -> None:
        (request,) = await wire.receive(1)
        await wire.answer(request)
        await answered.wait()
        if with_goaway:
            await wire.go_away(request.stream_id)

    async with h2_server(serve_one) as server:
        assert (await client.post(server.url, content=b"x")).status_code == 200
        answered.set()
        await wait_until_stale(transport)
        response = await client.post(server.url, content=b"x")
        assert (response.status_code, RESENDS in response.extensions) == (200, False)
        assert transport.statistics().opened == 2


# Cancelled streams


async def test_a_cancelled_stream_does_not_affect_the_others(
    client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Whether it's waiting for response headers or reading the body."""
    all_started, proceed = asyncio.Event(), asyncio.Event()

    async def answer_slowly(wire: H2Wire) -> None:
        requests = await wire.receive(6)
        for request in requests[:4]:
            await wire.start_answer(request)
        all_started.set()
        await proceed.wait()
        for request in requests[:4]:
            await wire.finish_answer(request)
        for request in requests[4:]:
            await wire.answer(request, b"answer")
        await wire.read_to_end()

    async with h2_server(answer_slowly) as server:
        tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(6)]
        await all_started.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[5].cancel()
        await asyncio.wait({tasks[1], tasks[5]})
        proceed.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        bodies = [result.content for result in results if isinstance(result, httpx.Response)]
        assert sorted(bodies) == [b"answer"] + [b"part and rest"] * 3
        assert tasks[1].cancelled()
        assert tasks[5].cancelled()
        assert transport.statistics().opened == 1


async def _read_to_end(wire: H2Wire) -> None:
    await wire.read_to_end()


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13, 21, 34, 55, 200])
@pytest.mark.parametrize("script", [_read_to_end, drop, H2Wire.answer_remaining])
async def test_streams_cancelled_at_any_point_leave_the_pool_clean(
    client: httpx.AsyncClient,
    transport: AsyncPoolTransport,
    script: Callable[[H2Wire], Awaitable[None]],
    turns: int,
) -> None:
    """Ten concurrent ones, whatever the server does; a later request succeeds."""
    async with h2_server(script) as server:
        tasks = [asyncio.ensure_future(client.get(server.url)) for _ in range(10)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        statistics = transport.statistics()
        assert (statistics.active, statistics.waiting) == (0, 0)
        await wait_until(lambda: count_sockets_to(server.port) == statistics.idle)
        assert (await _first_response(client, server.url)).status_code == 200


async def _first_response(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """Retry until a connection responds, since the first one may not."""
    for _ in range(50):
        with contextlib.suppress(httpx.TransportError):
            return await client.get(url, timeout=0.2)
    raise AssertionError("no answer")


async def test_requests_beyond_the_stream_limit_wait() -> None:
    """The server allows three concurrent streams, and the client one connection."""
    limits = httpx.Limits(max_connections=1)
    transport = AsyncPoolTransport(http2=True, verify=h2_client_context(), limits=limits)
    async with (
        h2_server(max_streams=3) as server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        responses = await asyncio.gather(*(client.get(server.url) for _ in range(30)))
        assert [response.status_code for response in responses] == [200] * 30
        assert transport.statistics().opened == 1
