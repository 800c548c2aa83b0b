"""Resending requests whose reused connection was closed without a response."""

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


async def close_after_request(wire: Wire) -> None:
    """Read a request, then close the connection (FIN)."""
    await wire.read_request()


async def reset_after_request(wire: Wire) -> None:
    """Read a request, then reset the connection (RST)."""
    await wire.read_request()
    wire.reset()


async def send_one_byte(wire: Wire) -> None:
    """Read a request, answer it with a single byte, then close the connection."""
    await wire.read_request()
    await wire.send(b"H")


async def send_interim_response(wire: Wire) -> None:
    """Read a request, answer it with a 103, then close the connection."""
    await wire.read_request()
    await wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")


FAILURES = [close_after_request, reset_after_request]


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {}), ("PUT", {}), ("DELETE", {}), ("POST", KEY), ("PATCH", KEY)],
)
async def test_a_safe_request_is_resent_within_the_same_attempt(
    failure: Handler,
    method: str,
    headers: dict[str, str],
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """In full, on a new connection; the response reports the resend."""
    handler = in_order(answer_then(failure), answer())
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
            statistics = transport.statistics()
            assert (statistics.opened, statistics.closed) == (2, {"failed": 1})
        assert [(it.target, it.body) for it in server.requests[1:]] == [("/again", b"body")] * 2


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_unsafe_request_is_not_resent(failure: Handler, method: str) -> None:
    """The server may have processed it."""
    handler = in_order(answer_then(failure), answer())
    async with FaultServer(handler) as server, AsyncResilientClient() as client:
        await (await client.get(server.url))
        task = await client.request_async(method, server.url, content=b"body")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await task
        assert [request.method for request in server.requests] == ["GET", method]


@pytest.mark.parametrize("failure", [send_one_byte, send_interim_response])
async def test_a_request_is_not_resent_after_any_response_data(failure: Handler) -> None:
    """One byte shows that the server received it."""
    handler = in_order(answer_then(failure), answer())
    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        await client.get(server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)
        assert len(server.requests) == 2


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_request_on_a_new_connection_is_not_resent(failure: Handler) -> None:
    """The connection was never idle, so the server had no reason to close it."""
    handler = in_order(failure, answer())
    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.get(server.url)
        assert len(server.requests) == 1


async def test_a_tentatively_shared_connection_counts_as_new_for_its_first_request() -> None:
    """The requests that left it, as the server doesn't support HTTP/2, haven't used it."""
    handler = in_order(close_after_request, answer())
    async with FaultServer(handler, tls=server_context_or_none(tls=True)) as server:
        transport = new_transport(tls=True, http2=True)
        async with pool_client(transport) as client:
            requests = [client.get(ip_url(server)) for _ in range(3)]
            results = await asyncio.gather(*requests, return_exceptions=True)
            kinds = Counter(result_type(result) for result in results)
            assert kinds == {httpx.RemoteProtocolError: 1, httpx.Response: 2}
        assert len(server.requests) == 3


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_request_is_resent_only_once(failure: Handler) -> None:
    """If the new connection fails as well, the caller gets the error."""
    handler = in_order(answer_then(failure), failure, answer())
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


async def test_a_resend_uses_a_new_connection() -> None:
    """Of five idle connections that would all fail, only one is tried."""
    failing = answer_then(close_after_request)
    handler = in_order(failing, failing, failing, failing, failing, answer())
    async with FaultServer(handler) as server:
        transport = new_transport(connections=5)
        async with pool_client(transport) as client:
            await _open_connections(client, server.url, 5)
            response = await client.get(server.url)
            assert response.extensions["typed_async_client.resends"] == 1
            statistics = transport.statistics()
            assert (statistics.idle, statistics.opened, statistics.closed) == (5, 6, {"failed": 1})
        assert len(server.requests) == 7


async def _open_connections(client: httpx.AsyncClient, url: str, count: int) -> None:
    """Open ``count`` connections, and leave them idle."""
    responses = [
        await client.send(client.build_request("GET", url), stream=True) for _ in range(count)
    ]
    for response in responses:
        await response.aread()


async def test_a_body_from_a_generator_is_not_resent() -> None:
    """It can't be generated again."""
    handler = in_order(answer_then(close_after_request), answer())

    async def parts() -> AsyncIterator[bytes]:
        yield b"body"

    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        await client.get(server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.put(server.url, content=parts())
        assert [request.method for request in server.requests] == ["GET", "PUT"]


@pytest.mark.parametrize("after", [Wire.finish, reset_connection])
async def test_a_connection_that_was_closed_while_idle_is_not_used(after: Handler) -> None:
    """The pool notices before it sends, so nothing has to be resent."""
    async with FaultServer(in_order(answering_then(after), answer())) as server:
        transport = new_transport()
        async with pool_client(transport) as client:
            await client.get(server.url)
            await wait_until_stale(transport)
            response = await client.post(server.url)
            assert "typed_async_client.resends" not in response.extensions
            assert transport.statistics().opened == 2
        assert [request.method for request in server.requests] == ["GET", "POST"]


def answering_then(after: Handler) -> Handler:
    """Answer one request, then call ``after``."""
    return respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", after)
