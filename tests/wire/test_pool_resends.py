"""A reused connection that died unanswered costs no attempt, and no request is doubled for it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from fault_handlers import answer_then, reset_connection, respond_with
from pool_helpers import (
    in_order,
    ip_url,
    new_transport,
    pool_client,
    result_type,
    server_context_or_none,
    wait_until_stale,
)

from typed_async_client import AsyncResilientClient, ResultStatus
from typed_async_client.testing import FaultServer, Wire, answer
from typed_async_client.testing.server import Handler

pytestmark = pytest.mark.usefixtures("http11")

KEY = {"Idempotency-Key": "k"}


async def hang_up_over_a_request(wire: Wire) -> None:
    """Read a request, then close the connection (FIN)."""
    await wire.read_request()


async def cut_over_a_request(wire: Wire) -> None:
    """Read a request, then cut the connection (RST)."""
    await wire.read_request()
    wire.reset()


async def one_byte_for_a_request(wire: Wire) -> None:
    """Read a request, answer it with a single byte, then close the connection."""
    await wire.read_request()
    await wire.send(b"H")


async def an_interim_answer_for_a_request(wire: Wire) -> None:
    """Read a request, promise an answer, then close the connection."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")


DEATHS = [hang_up_over_a_request, cut_over_a_request]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {}), ("PUT", {}), ("DELETE", {}), ("POST", KEY), ("PATCH", KEY)],
)
async def test_a_safe_request_goes_out_once_more_and_is_no_retry(
    death: Handler,
    method: str,
    headers: dict[str, str],
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """One attempt, whole again on a fresh connection, and the response tells of it."""
    handler = in_order(answer_then(death), answer())
    async with FaultServer(handler, tls=server_context_or_none(tls=tls)) as server:
        transport = new_transport(tls=tls)
        async with AsyncResilientClient(transport=transport, max_retries=0) as client:
            await (await client.get(ip_url(server)))
            url = ip_url(server) + "again"
            task = await client.request_async(method, url, headers=headers, content=b"body")
            response = await task
            assert response.content == b"ok"
            assert response.extensions["typed_async_client.resends"] == 1
            attempts = [it.attempts for it in client.get_all_results().values()]
            assert attempts == [1, 1]
            told = transport.statistics()
            assert (told.opened, told.closed) == (2, {"failed": 1})
        assert [(it.target, it.body) for it in server.requests[1:]] == [("/again", b"body")] * 2


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_unsafe_request_goes_out_once(death: Handler, method: str) -> None:
    """The server may have acted on it."""
    handler = in_order(answer_then(death), answer())
    async with FaultServer(handler) as server, AsyncResilientClient() as client:
        await (await client.get(server.url))
        task = await client.request_async(method, server.url, content=b"body")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await task
        assert [request.method for request in server.requests] == ["GET", method]


@pytest.mark.parametrize("death", [one_byte_for_a_request, an_interim_answer_for_a_request])
async def test_a_request_whose_answer_had_begun_goes_out_once(death: Handler) -> None:
    """One byte is a sign that the server got it."""
    handler = in_order(answer_then(death), answer())
    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        await client.get(server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)
        assert len(server.requests) == 2


@pytest.mark.parametrize("death", DEATHS)
async def test_a_request_on_a_fresh_connection_goes_out_once(death: Handler) -> None:
    """Its connection was never idle, so the server had no reason to close it."""
    handler = in_order(death, answer())
    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.get(server.url)
        assert len(server.requests) == 1


async def test_a_connection_that_was_shared_in_hope_counts_as_fresh_for_its_first_request() -> None:
    """Who left it, because the server speaks no HTTP/2, has not used it."""
    handler = in_order(hang_up_over_a_request, answer())
    async with FaultServer(handler, tls=server_context_or_none(tls=True)) as server:
        transport = new_transport(tls=True, http2=True)
        async with pool_client(transport) as client:
            requests = [client.get(ip_url(server)) for _ in range(3)]
            ends = await asyncio.gather(*requests, return_exceptions=True)
            kinds = Counter(result_type(end) for end in ends)
            assert kinds == {httpx.RemoteProtocolError: 1, httpx.Response: 2}
        assert len(server.requests) == 3


@pytest.mark.parametrize("death", DEATHS)
async def test_a_request_goes_out_no_third_time(death: Handler) -> None:
    """When the fresh connection dies as well, the caller is told."""
    handler = in_order(answer_then(death), death, answer())
    async with FaultServer(handler) as server, AsyncResilientClient() as client:
        await (await client.get(server.url))
        task = await client.get(server.url)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await task
        assert len(server.requests) == 3
        results = list(client.get_all_results().values())
        assert [(it.status, it.attempts) for it in results] == [
            (ResultStatus.SUCCESS, 1),
            (ResultStatus.ERROR, 1),
        ]


async def test_a_resend_takes_no_other_used_connection() -> None:
    """Of five connections that all die, one is tried; the fresh one answers."""
    dying = answer_then(hang_up_over_a_request)
    handler = in_order(dying, dying, dying, dying, dying, answer())
    async with FaultServer(handler) as server:
        transport = new_transport(connections=5)
        async with pool_client(transport) as client:
            await _open_together(client, server.url, 5)
            response = await client.get(server.url)
            assert response.extensions["typed_async_client.resends"] == 1
            told = transport.statistics()
            assert (told.idle, told.opened, told.closed) == (5, 6, {"failed": 1})
        assert len(server.requests) == 7


async def _open_together(client: httpx.AsyncClient, url: str, count: int) -> None:
    """Have as many connections as that, all idle."""
    responses = [
        await client.send(client.build_request("GET", url), stream=True) for _ in range(count)
    ]
    for response in responses:
        await response.aread()


async def test_a_body_that_comes_from_a_generator_goes_out_once() -> None:
    """It cannot be had a second time."""
    handler = in_order(answer_then(hang_up_over_a_request), answer())

    async def parts() -> AsyncIterator[bytes]:
        yield b"body"

    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        await client.get(server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.put(server.url, content=parts())
        assert [request.method for request in server.requests] == ["GET", "PUT"]


@pytest.mark.parametrize("after", [Wire.finish, reset_connection])
async def test_a_connection_that_died_while_idle_is_not_used(after: Handler) -> None:
    """The pool sees it before it sends, so nothing has to be sent again."""
    async with FaultServer(in_order(sending_whole(after), answer())) as server:
        transport = new_transport()
        async with pool_client(transport) as client:
            await client.get(server.url)
            await wait_until_stale(transport)
            response = await client.post(server.url)
            assert "typed_async_client.resends" not in response.extensions
            assert transport.statistics().opened == 2
        assert [request.method for request in server.requests] == ["GET", "POST"]


def sending_whole(after: Handler) -> Handler:
    """Answer one request, then do ``after`` without being asked."""
    return respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", after)
