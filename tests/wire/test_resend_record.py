"""What a resend leaves on the record, how often there is one, and how to switch it off."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import answer_then
from pool_helpers import in_order, new_transport, run_loop_turns, wait_until_stale

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    ConnectError,
    ResilientTransport,
)
from typed_async_client.pool.resend import REFUSALS, RESENDS
from typed_async_client.sent import SentLog, current_log
from typed_async_client.testing import FaultServer, Wire, answer
from typed_async_client.testing.server import Handler

pytestmark = pytest.mark.usefixtures("http11")

LOST = (httpx.RemoteProtocolError, httpx.ReadError)


async def close_after_request(wire: Wire) -> None:
    """Read a request, then close the connection."""
    await wire.read_request()


async def reset_after_request(wire: Wire) -> None:
    """Read a request, then reset the connection."""
    await wire.read_request()
    wire.reset()


class RecordingTransport(httpx.AsyncBaseTransport):
    """Passes requests on, and keeps the log of each one's attempt."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.logs: list[SentLog] = []
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Keep the log, and pass the request on."""
        self.logs.append(current_log())
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._transport.aclose()


async def send(client: AsyncResilientClient, method: str, url: str, **options: Any) -> Any:
    """Send one request, and return its response."""
    return await (await client.request_async(method, url, **options))


def delete_count(server: FaultServer) -> int:
    """Return how many DELETE requests have arrived."""
    return [request.method for request in server.requests].count("DELETE")


async def test_a_resend_is_in_the_log_of_its_attempt() -> None:
    """And in no other: the request before it was sent once."""
    transport = RecordingTransport(new_transport())
    async with (
        FaultServer(in_order(answer_then(close_after_request), answer())) as server,
        AsyncResilientClient(transport=transport, max_retries=0) as client,
    ):
        await send(client, "GET", server.url)
        response = await send(client, "DELETE", server.url)
        assert response.extensions[RESENDS] == 1
        assert [log.resends for log in transport.logs] == [0, 1]
        assert delete_count(server) == 2


async def test_a_resend_that_fails_is_in_the_log_as_well() -> None:
    """The server has received both."""
    transport = RecordingTransport(new_transport())
    handler = in_order(answer_then(close_after_request), close_after_request)
    async with (
        FaultServer(handler) as server,
        AsyncResilientClient(transport=transport, max_retries=0) as client,
    ):
        await send(client, "GET", server.url)
        with pytest.raises(LOST):
            await send(client, "DELETE", server.url)
        assert [log.resends for log in transport.logs] == [0, 1]
        assert delete_count(server) == 2


@pytest.mark.parametrize("wrap", [lambda pool: pool, ResilientTransport], ids=["pool", "retries"])
@pytest.mark.parametrize("status", [307, 401], ids=["redirect", "challenge"])
async def test_an_attempt_resends_once_over_all_its_hops(
    status: int, wrap: Callable[[Any], httpx.AsyncBaseTransport]
) -> None:
    """The second hop loses its reused connection as well, and fails."""
    digest = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
    headers = ["Location: /there", digest]

    async def answer_and_close_later(wire: Wire) -> None:
        await wire.read_request()
        await wire.answer(status, b"", *headers)
        await wire.read_request()

    handler = in_order(answer_then(close_after_request), answer_and_close_later, answer())
    transport = RecordingTransport(wrap(new_transport()))
    options: dict[str, Any] = {"follow_redirects": True, "auth": httpx.DigestAuth("u", "p")}
    async with (
        FaultServer(handler) as server,
        AsyncResilientClient(transport=transport, max_retries=0, **options) as client,
    ):
        await send(client, "GET", server.url, auth=None)
        with pytest.raises(LOST):
            await send(client, "DELETE", server.url)
        assert [log.resends for log in transport.logs] == [0, 1, 1]
        assert transport.logs[1] is transport.logs[2]
        assert (delete_count(server), server.connections) == (3, 2)


async def test_each_attempt_may_resend_once() -> None:
    """The limit is not shared by requests, nor kept outside of attempts."""
    failing = answer_then(close_after_request)
    async with FaultServer(in_order(failing, failing, failing, answer())) as server:
        transport = new_transport()
        async with httpx.AsyncClient(transport=transport, timeout=20.0) as client:
            counts = [
                (await client.delete(server.url)).extensions.get(RESENDS, 0) for _ in range(4)
            ]
        assert counts == [0, 1, 1, 1]


async def test_a_resend_that_cannot_connect_is_not_recorded() -> None:
    """The server has received the request once; the connect failure is retried."""
    async with FaultServer(answer_then(close_after_request)) as server:
        transport = RecordingTransport(new_transport())
        async with AsyncResilientClient(transport=transport, max_retries=0) as client:
            await send(client, "GET", server.url)
            assert server._server is not None
            server._server.close()
            with pytest.raises(ConnectError):
                await send(client, "DELETE", server.url)
        assert [log.resends for log in transport.logs] == [0, 0]
        assert delete_count(server) == 1


# Switched off

OFF: dict[str, Callable[[], Any]] = {
    "client": lambda: AsyncResilientClient(resend_on_closed=False),
    "pool": lambda: httpx.AsyncClient(transport=AsyncPoolTransport(resend_on_closed=False)),
    "retries": lambda: httpx.AsyncClient(transport=ResilientTransport(resend_on_closed=False)),
}
without_resends = pytest.mark.parametrize("make", OFF.values(), ids=OFF)


async def call(client: Any, method: str, url: str) -> Any:
    """Send one request with either kind of client."""
    if isinstance(client, AsyncResilientClient):
        return await send(client, method, url)
    return await client.request(method, url)


@without_resends
@pytest.mark.parametrize("close", [close_after_request, reset_after_request])
async def test_without_resends_the_caller_gets_the_error_of_the_lost_connection(
    make: Callable[[], Any], close: Handler
) -> None:
    """The same as on a new connection; the server receives the request once."""
    async with (
        FaultServer(in_order(close, answer_then(close), answer())) as server,
        make() as client,
    ):
        with pytest.raises(LOST) as on_new:
            await call(client, "DELETE", server.url)
        await call(client, "GET", server.url)
        with pytest.raises(LOST) as on_reused:
            await call(client, "DELETE", server.url)
        assert (type(on_reused.value), str(on_reused.value)) == (
            type(on_new.value),
            str(on_new.value),
        )
        assert delete_count(server) == 2


@without_resends
async def test_without_resends_a_connection_closed_while_idle_is_still_replaced(
    make: Callable[[], Any],
) -> None:
    """Nothing was sent on it."""

    async def answer_and_close(wire: Wire) -> None:
        await wire.read_request()
        await wire.answer(200, b"ok")

    async with FaultServer(in_order(answer_and_close, answer())) as server, make() as client:
        await call(client, "GET", server.url)
        assert (await call(client, "DELETE", server.url)).status_code == 200
        assert delete_count(server) == 1


async def parts() -> AsyncIterator[bytes]:
    """Yield a body that can't be sent again."""
    yield b"once"


@pytest.mark.parametrize("resend_on_closed", [True, False])
async def test_a_request_moves_if_its_connection_is_lost_before_anything_is_written(
    *, resend_on_closed: bool
) -> None:
    """Whatever its method and its body; it was sent once, so it isn't a resend."""
    may_reset = asyncio.Event()

    async def answer_and_reset(wire: Wire) -> None:
        await wire.read_request()
        await wire.answer(200, b"ok")
        await may_reset.wait()
        wire.reset()

    transport = AsyncPoolTransport(resend_on_closed=resend_on_closed)

    async def lose_the_connection(name: str, _: Any) -> None:
        if name.endswith("send_request_headers.started") and not may_reset.is_set():
            may_reset.set()
            await wait_until_stale(transport)
            await run_loop_turns(3)  # until the event loop has learned of it as well

    async with (
        FaultServer(in_order(answer_and_reset, answer())) as server,
        httpx.AsyncClient(transport=transport) as client,
    ):
        await client.get(server.url)
        response = await client.post(
            server.url, content=parts(), extensions={"trace": lose_the_connection}
        )
        assert response.status_code == 200
        assert not {RESENDS, REFUSALS} & response.extensions.keys()
        assert [request.body for request in server.requests] == [b"", b"once"]
