"""No request is answered with bytes that were not sent for it."""

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


def whole(request: SeenRequest) -> bytes:
    """Give the answer to a request: its own target."""
    body = request.target.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(request: SeenRequest) -> bytes:
    """Give the same answer in one chunk."""
    body = request.target.encode()
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(body),
        body,
    )


def bodiless(status: bytes) -> Callable[[SeenRequest], bytes]:
    """Give an answer that has no body, except on requests to end a series."""
    head = b"HTTP/1.1 %s\r\n\r\n" % status
    return lambda request: whole(request) if request.target.endswith("0") else head


def followed_by(
    stray: bytes, first: Callable[[SeenRequest], bytes] = whole, *, head_alone: bool = False
) -> Responder:
    """Answer, with something more in the same segment."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        answer = first(request)
        if request.method == "HEAD" and head_alone:
            answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        await wire.send(answer + stray)

    return respond


STRAYS = {
    "a second answer": followed_by(STRAY),
    "a second answer after a chunked one": followed_by(STRAY, chunked),
    "two more answers": followed_by(STRAY + STRAY),
    "a cut head": followed_by(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a line end": followed_by(b"\r\n"),
    "garbage": followed_by(b"\x00\xff\x00"),
    "an interim answer": followed_by(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a body longer than its length": followed_by(b" and more"),
    "an answer after 204": followed_by(STRAY, bodiless(b"204 No Content")),
    "an answer after 304": followed_by(STRAY, bodiless(b"304 Not Modified")),
    "a body after 204": followed_by(b"stray", bodiless(b"204 No Content")),
    "a body after HEAD": followed_by(b""),
    "an answer after HEAD": followed_by(STRAY, head_alone=True),
}


@pytest.mark.parametrize("respond", STRAYS.values(), ids=STRAYS.keys())
async def test_what_follows_an_answer_is_never_another_answer(respond: Responder) -> None:
    """Ten at a time on four connections: each body is its own request's, and none hangs."""
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


async def test_httpx_alone_gives_a_stray_answer_to_the_next_request() -> None:
    """So the test above can fail."""
    async with FaultServer(serve_requests(followed_by(STRAY))) as server:
        async with pool_client(httpx.AsyncHTTPTransport(verify=verify_option(tls=False))) as client:
            texts = [(await client.get(f"{server.url}{n}")).text for n in range(2)]
        assert texts == ["/0", "stray"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("stray", [STRAY, b"HTTP/1.1 2", b"\r\n", b""], ids=repr)
async def test_what_arrives_between_two_requests_is_never_an_answer(
    stray: bytes,
    tls: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The second request finds that data has arrived on its connection, and takes another."""
    was_read = asyncio.Event()

    async def respond(request: SeenRequest, wire: Wire) -> None:
        was_read.clear()
        await wire.send(whole(request))
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


async def test_an_answer_that_its_caller_did_not_wait_for_is_nobody_elses() -> None:
    """Callers give up at random moments; the rest of their answers arrives, and is not read."""
    chance = random.Random(1)

    async def respond(request: SeenRequest, wire: Wire) -> None:
        answer = whole(request)
        cut = chance.randrange(len(answer))
        await run_loop_turns(chance.randrange(10))
        await wire.send(answer[:cut])
        await run_loop_turns(chance.randrange(10))
        await wire.send(answer[cut:])

    async with FaultServer(serve_requests(respond)) as server:
        transport = new_transport(connections=4)
        async with pool_client(transport) as client:

            async def work(worker: int) -> None:
                for number in range(100):
                    task = asyncio.create_task(client.get(f"{server.url}{worker}/{number}"))
                    await run_loop_turns(chance.randrange(40))
                    if chance.random() < 0.5:
                        task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        assert (await task).text == f"/{worker}/{number}"

            await asyncio.gather(*(work(worker) for worker in range(10)))
            assert is_idle(transport)


async def test_a_clean_answer_keeps_its_connection() -> None:
    """The check costs no honest server a connection."""
    async with FaultServer(serve_requests(followed_by(b"", head_alone=True))) as server:
        transport = new_transport(connections=1)
        async with pool_client(transport) as client:
            for number in range(100):
                await client.request("HEAD" if number % 2 else "GET", server.url)
            assert transport.statistics().opened == 1


# A program that was busy: the kernel has what the loop has not seen


class BusyProgram:
    """A server in a thread, which speaks between two requests while the client's loop stands.

    Args:
        stray: what it sends after its first answer; empty to close the connection.
    """

    def __init__(self, stray: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._may_speak = threading.Event()
        self._has_spoken = threading.Event()
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

    def hold_up(self) -> None:
        """Stop the event loop until the server has spoken."""
        self._may_speak.set()
        self._has_spoken.wait(20.0)

    def _serve(self) -> None:
        first, _ = self._listener.accept()
        with first:
            self._answer(first)
            self._may_speak.wait(20.0)
            if self._stray:
                first.sendall(self._stray)
            else:
                first.shutdown(socket.SHUT_WR)
            self._has_spoken.set()
            first.settimeout(20.0)
            with contextlib.suppress(ConnectionResetError):
                if first.recv(65536):
                    return  # the client has used this connection again
        second, _ = self._listener.accept()
        with second:
            self._answer(second)

    @staticmethod
    def _answer(connection: socket.socket) -> None:
        request = connection.recv(65536)
        body = request.split()[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.mark.parametrize("stray", [STRAY, b""], ids=["an answer", "the end"])
async def test_a_loop_that_was_held_up_asks_the_kernel_before_it_reuses_a_connection(
    stray: bytes,
) -> None:
    """Neither is a stray answer taken, nor is a POST sent into a connection that has ended."""
    with BusyProgram(stray) as server:
        async with pool_client(new_transport()) as client:
            assert (await client.get(f"{server.url}first")).text == "/first"
            server.hold_up()
            response = await client.post(f"{server.url}second")
            assert response.text == "/second"
            assert "typed_async_client.resends" not in response.extensions
