"""A body that waits for the server to ask for it: ``Expect: 100-continue`` on real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import reset_connection, wait_until
from pool_helpers import is_idle, new_transport, run_loop_turns
from steady_loop import advance

from typed_async_client.testing import FaultServer, Wire, answer

BODY = b"body of a request"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"


async def in_parts() -> AsyncIterator[bytes]:
    """Give the body in two parts, without a length."""
    yield BODY[:4]
    yield BODY[4:]


BODIES: dict[str, Callable[[], Any]] = {"with a length": lambda: BODY, "in chunks": in_parts}

every_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())


class Server:
    """Reads a head, says something, and reads on: on its first connection; then it is ordinary.

    Args:
        say: what it does between head and body.

    Attributes:
        head: what came before it spoke.
        body: what came after it spoke.
    """

    def __init__(self, say: Callable[[Wire], Awaitable[None]]) -> None:
        self.head: bytes = b""
        self.body: bytes = b""
        self._say: Callable[[Wire], Awaitable[None]] | None = say

    async def __call__(self, wire: Wire) -> None:
        """Serve a connection."""
        if self._say is None:
            await answer()(wire)
            return
        say, self._say = self._say, None
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += await wire.read(65536)
        await run_loop_turns(20)  # a body that did not wait would have come
        await say(wire)
        with contextlib.suppress(ConnectionError):
            while not self.body.endswith((BODY, b"0\r\n\r\n")) and (part := await wire.read(65536)):
                self.body += part
            if self.body:
                await wire.send(OK)
                await answer()(wire)


def saying(*pieces: bytes) -> Callable[[Wire], Awaitable[None]]:
    """Send some pieces, a few turns apart."""

    async def say(wire: Wire) -> None:
        for piece in pieces:
            await wire.send(piece)
            await run_loop_turns(10)

    return say


@contextlib.asynccontextmanager
async def talking(server: Server) -> AsyncIterator[tuple[httpx.AsyncClient, FaultServer]]:
    """Give a client and the server to talk to; the pool is at rest in the end."""
    transport = new_transport(connections=1)
    async with (
        FaultServer(server) as served,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        yield client, served
        assert is_idle(transport)


async def put(client: httpx.AsyncClient, url: str, body: Any) -> httpx.Response:
    """Send a request that waits to be asked for its body."""
    return await client.put(url, content=body, headers={"Expect": "100-continue"})


@every_body
@pytest.mark.parametrize(
    "pieces",
    [(CONTINUE,), (HINTS, CONTINUE), (HINTS + CONTINUE,), (CONTINUE[:9], CONTINUE[9:])],
    ids=["at once", "after hints", "with hints", "in pieces"],
)
async def test_a_body_is_sent_when_the_server_asks_for_it(
    body: Callable[[], Any], pieces: tuple[bytes, ...]
) -> None:
    """Not before, and whole; the connection is as good as ever afterwards."""
    server = Server(saying(*pieces))
    async with talking(server) as (client, served):
        response = await put(client, served.url, body())
        assert (response.status_code, response.content) == (200, b"ok")
        assert b"100-continue" in server.head
        assert BODY in server.body.replace(b"\r\nd\r\n", b"")
        assert (await client.get(served.url)).status_code == 200
        assert served.connections == 1


@every_body
@pytest.mark.parametrize(
    ("final", "status"),
    [(REFUSAL, 417), (OK, 200), (CONTINUE + OK, 200)],
    ids=["refused", "answered", "asked for and answered"],
)
async def test_a_body_that_is_not_wanted_is_not_sent(
    body: Callable[[], Any], final: bytes, status: int
) -> None:
    """The answer counts; the connection, whose request is unfinished, serves no other one."""
    server = Server(saying(final))
    async with talking(server) as (client, served):
        assert (await put(client, served.url, body())).status_code == status
        assert (await client.get(served.url)).status_code == 200
        assert server.body == b""
        assert served.connections == 2


async def test_a_server_that_says_nothing_gets_the_body_after_a_while() -> None:
    """It may never have heard of the header, so the wait has an end."""

    async def say_nothing(_: Wire) -> None:
        advance(1.0)

    server = Server(say_nothing)
    async with talking(server) as (client, served):
        response = await put(client, served.url, BODY)
        assert (response.status_code, server.body) == (200, BODY)


async def test_a_request_without_a_body_waits_for_nothing() -> None:
    """Its answer comes although nobody asked for more."""
    async with (
        FaultServer(answer(200, b"ok")) as server,
        httpx.AsyncClient(transport=new_transport(), timeout=20) as client,
    ):
        response = await client.get(server.url, headers={"Expect": "100-continue"})
        assert response.text == "ok"


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (Wire.finish, httpx.RemoteProtocolError),
        (reset_connection, httpx.ReadError),
        (saying(b"220 mail.example ESMTP\r\n"), httpx.RemoteProtocolError),
    ],
    ids=["FIN", "RST", "no HTTP"],
)
async def test_a_wait_that_fails_is_an_error_at_once(
    end: Callable[[Wire], Awaitable[None]], error: type[httpx.TransportError]
) -> None:
    """The body stays where it is."""
    server = Server(end)
    async with talking(server) as (client, served):
        with pytest.raises(error):
            await put(client, served.url, BODY)
        assert server.body == b""


async def test_a_wait_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    """The only connection of the pool is closed and made anew."""
    server = Server(saying())
    async with talking(server) as (client, served):
        task = asyncio.create_task(put(client, served.url, BODY))
        await wait_until(lambda: server.head.endswith(b"\r\n\r\n"))
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert (await client.get(served.url)).status_code == 200
        assert served.connections == 2
