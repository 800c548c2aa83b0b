"""No request receives bytes that weren't sent in response to it."""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Self

import httpx
import pytest
from pool_helpers import (
    ip_url,
    is_idle,
    new_transport,
    pool_client,
    run_loop_turns,
    serve_requests,
    server_context_or_none,
    verify_option,
    wait_until_stale,
)

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = [pytest.mark.usefixtures("http11"), pytest.mark.bulk]

STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"

Responder = Callable[[SeenRequest, Wire], Awaitable[None]]


def with_length(request: SeenRequest) -> bytes:
    """Return a response whose body is the target of the request."""
    body = request.target.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(request: SeenRequest) -> bytes:
    """Return the same response in one chunk."""
    body = request.target.encode()
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(body),
        body,
    )


def without_body(status: bytes) -> Callable[[SeenRequest], bytes]:
    """Return responses without a body, except to each tenth request."""
    head = b"HTTP/1.1 %s\r\n\r\n" % status
    return lambda request: with_length(request) if request.target.endswith("0") else head


def followed_by(
    stray: bytes, first: Callable[[SeenRequest], bytes] = with_length, *, headers_only: bool = False
) -> Responder:
    """Answer, with additional bytes in the same segment."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        answer = first(request)
        if request.method == "HEAD" and headers_only:
            answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        await wire.send(answer + stray)

    return respond


STRAYS = {
    "a second response": followed_by(STRAY),
    "a second response after a chunked one": followed_by(STRAY, chunked),
    "two more responses": followed_by(STRAY + STRAY),
    "truncated headers": followed_by(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a line break": followed_by(b"\r\n"),
    "garbage": followed_by(b"\x00\xff\x00"),
    "an interim response": followed_by(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a body longer than Content-Length": followed_by(b" and more"),
    "a response after 204": followed_by(STRAY, without_body(b"204 No Content")),
    "a response after 304": followed_by(STRAY, without_body(b"304 Not Modified")),
    "a body after 204": followed_by(b"stray", without_body(b"204 No Content")),
    "a body after HEAD": followed_by(b""),
    "a response after HEAD": followed_by(STRAY, headers_only=True),
}


@pytest.mark.parametrize("respond", STRAYS.values(), ids=STRAYS.keys())
async def test_data_after_a_response_is_never_another_response(respond: Responder) -> None:
    """Ten workers on four connections: each body belongs to its request, and none hangs."""
    async with FaultServer(serve_requests(respond)) as server:
        transport = new_transport(connections=4)
        async with pool_client(transport) as client:

            async def work(worker: int) -> None:
                for number in range(80):
                    method = "HEAD" if number % 2 else "GET"
                    target = f"/{worker}/{number}"
                    response = await client.request(method, ip_url(server)[:-1] + target)
                    has_body = method == "GET" and response.status_code == 200
                    assert response.text == (target if has_body else "")

            await asyncio.gather(*(work(worker) for worker in range(10)))
            assert is_idle(transport)
        assert len(server.requests) == 800


async def test_httpxs_own_pool_returns_a_stray_response_to_the_next_request() -> None:
    """It shows that the test above can fail."""
    async with FaultServer(serve_requests(followed_by(STRAY))) as server:
        async with pool_client(httpx.AsyncHTTPTransport(verify=verify_option(tls=False))) as client:
            texts = [(await client.get(f"{server.url}{n}")).text for n in range(2)]
        assert texts == ["/0", "stray"]


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("stray", [STRAY, b"HTTP/1.1 2", b"\r\n", b""], ids=repr)
async def test_data_received_between_two_requests_is_never_a_response(
    stray: bytes,
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The second request finds that data has arrived on its connection, and uses another."""
    was_read = asyncio.Event()

    async def respond(request: SeenRequest, wire: Wire) -> None:
        was_read.clear()
        await wire.send(with_length(request))
        await was_read.wait()
        if stray:
            await wire.send(stray)
        else:
            await wire.finish()

    async with FaultServer(serve_requests(respond), tls=server_context_or_none(tls=tls)) as server:
        transport = new_transport(connections=1, tls=tls)
        async with AsyncResilientClient(transport=transport) as client:
            for number in range(20):
                task = await client.get(f"{ip_url(server)}{number}")
                assert (await task).text == f"/{number}"
                was_read.set()
                await wait_until_stale(transport)
            assert transport.statistics().closed == {"stale": 19}
            assert len(server.requests) == 20


async def test_the_response_to_an_abandoned_request_is_never_returned_to_another() -> None:
    """Callers are cancelled at random points; the rest of their responses isn't read."""
    rng = random.Random(1)

    async def respond(request: SeenRequest, wire: Wire) -> None:
        answer = with_length(request)
        cut = rng.randrange(len(answer))
        await run_loop_turns(rng.randrange(10))
        await wire.send(answer[:cut])
        await run_loop_turns(rng.randrange(10))
        await wire.send(answer[cut:])

    async with FaultServer(serve_requests(respond)) as server:
        transport = new_transport(connections=4)
        async with pool_client(transport) as client:

            async def work(worker: int) -> None:
                for number in range(100):
                    task = asyncio.create_task(client.get(f"{server.url}{worker}/{number}"))
                    await run_loop_turns(rng.randrange(40))
                    if rng.random() < 0.5:
                        task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        assert (await task).text == f"/{worker}/{number}"

            await asyncio.gather(*(work(worker) for worker in range(10)))
            assert is_idle(transport)


async def test_a_clean_response_keeps_its_connection() -> None:
    """The check closes no connection of a well-behaved server."""
    async with FaultServer(serve_requests(followed_by(b"", headers_only=True))) as server:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client:
            for number in range(100):
                await client.request("HEAD" if number % 2 else "GET", server.url)
            assert transport.statistics().opened == 1


# After a stall, the kernel has data that the loop hasn't seen


class ThreadedServer:
    """A server in a thread that sends data between two requests, while the loop is blocked.

    Args:
        stray: bytes to send after the first response; empty to close the connection.
    """

    def __init__(self, stray: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._may_send = threading.Event()
        self._has_sent = threading.Event()
        self._stray = stray
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._listener.settimeout(20.0)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()

    def block_loop(self) -> None:
        """Block the event loop until the server has sent its data."""
        self._may_send.set()
        self._has_sent.wait(20.0)

    def _serve(self) -> None:
        first, _ = self._listener.accept()
        with first:
            self._answer(first)
            self._may_send.wait(20.0)
            if self._stray:
                first.sendall(self._stray)
            else:
                first.shutdown(socket.SHUT_WR)
            self._has_sent.set()
            first.settimeout(20.0)
            with contextlib.suppress(ConnectionResetError):
                if first.recv(65536):
                    return  # the client has reused this connection
        second, _ = self._listener.accept()
        with second:
            self._answer(second)

    @staticmethod
    def _answer(connection: socket.socket) -> None:
        request = connection.recv(65536)
        body = request.split()[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.mark.parametrize("stray", [STRAY, b""], ids=["a response", "EOF"])
async def test_after_a_stall_the_kernel_is_checked_before_a_connection_is_reused(
    stray: bytes,
) -> None:
    """A stray response isn't used, and a POST isn't sent on a closed connection."""
    with ThreadedServer(stray) as server:
        async with pool_client(new_transport()) as client:
            assert (await client.get(f"{server.url}first")).text == "/first"
            server.block_loop()
            response = await client.post(f"{server.url}second")
            assert response.text == "/second"
            assert "typed_async_client.resends" not in response.extensions
