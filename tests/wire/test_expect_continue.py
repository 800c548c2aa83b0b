"""``Expect: 100-continue``: the body waits for the server to ask for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import reset_connection, wait_until
from pool_helpers import is_idle, new_transport, run_loop_turns
from steady_loop import advance
from trace_recorder import TraceRecorder

from typed_async_client.testing import FaultServer, Wire, answer

BODY = b"body of a request"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"


async def in_parts() -> AsyncIterator[bytes]:
    """Yield the body in two parts, so that its length is unknown."""
    yield BODY[:4]
    yield BODY[4:]


BODIES: dict[str, Callable[[], Any]] = {"bytes": lambda: BODY, "chunked": in_parts}

each_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())


class Server:
    """Reacts to the head of its first request, then reads the body; later connections are normal.

    Args:
        react: called between head and body.

    Attributes:
        head: what was received before the reaction.
        body: what was received after it.
    """

    def __init__(self, react: Callable[[Wire], Awaitable[None]]) -> None:
        self.head: bytes = b""
        self.body: bytes = b""
        self._react: Callable[[Wire], Awaitable[None]] | None = react

    async def __call__(self, wire: Wire) -> None:
        """Serve a connection."""
        if self._react is None:
            await answer()(wire)
            return
        react, self._react = self._react, None
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += await wire.read(65536)
        await run_loop_turns(20)  # a body that didn't wait would arrive
        await react(wire)
        with contextlib.suppress(ConnectionError):
            while not self.body.endswith((BODY, b"0\r\n\r\n")) and (part := await wire.read(65536)):
                self.body += part
            if self.body:
                await wire.send(OK)
                await answer()(wire)


def send_pieces(*pieces: bytes) -> Callable[[Wire], Awaitable[None]]:
    """Send some pieces, with a few turns of the loop between them."""

    async def react(wire: Wire) -> None:
        for piece in pieces:
            await wire.send(piece)
            await run_loop_turns(10)

    return react


@contextlib.asynccontextmanager
async def connected(server: Server) -> AsyncIterator[tuple[httpx.AsyncClient, FaultServer]]:
    """Yield a client and its server, and check that the pool is idle at the end."""
    transport = new_transport(connections=1)
    async with (
        FaultServer(server) as fault_server,
        httpx.AsyncClient(transport=transport, timeout=20) as client,
    ):
        yield client, fault_server
        assert is_idle(transport)


async def put(client: httpx.AsyncClient, url: str, body: Any) -> httpx.Response:
    """Send a request with ``Expect: 100-continue``."""
    return await client.put(url, content=body, headers={"Expect": "100-continue"})


@each_body
@pytest.mark.parametrize(
    "pieces",
    [(CONTINUE,), (HINTS, CONTINUE), (HINTS + CONTINUE,), (CONTINUE[:9], CONTINUE[9:])],
    ids=["alone", "after hints", "with hints", "in pieces"],
)
async def test_a_body_is_sent_when_the_server_asks_for_it(
    body: Callable[[], Any], pieces: tuple[bytes, ...]
) -> None:
    """Not before, and completely; the connection is reusable afterwards."""
    server = Server(send_pieces(*pieces))
    async with connected(server) as (client, fault_server):
        response = await put(client, fault_server.url, body())
        assert (response.status_code, response.content) == (200, b"ok")
        assert b"100-continue" in server.head
        assert BODY in server.body.replace(b"\r\nd\r\n", b"")
        assert (await client.get(fault_server.url)).status_code == 200
        assert fault_server.connections == 1


@each_body
@pytest.mark.parametrize(
    ("response", "status"),
    [(REFUSAL, 417), (OK, 200), (CONTINUE + OK, 200)],
    ids=["refused", "answered", "continued and answered"],
)
async def test_a_body_is_not_sent_after_a_final_response(
    body: Callable[[], Any], response: bytes, status: int
) -> None:
    """The connection isn't reused, because its request is incomplete."""
    server = Server(send_pieces(response))
    async with connected(server) as (client, fault_server):
        assert (await put(client, fault_server.url, body())).status_code == status
        assert (await client.get(fault_server.url)).status_code == 200
        assert server.body == b""
        assert fault_server.connections == 2


@pytest.mark.parametrize("expectation", ["100-Continue", "x-other, 100-continue", "100-continue,"])
async def test_the_expectation_may_be_one_of_a_list(expectation: str) -> None:
    """RFC 9110 section 10.1.1; its case doesn't matter."""
    server = Server(send_pieces(REFUSAL))
    async with connected(server) as (client, fault_server):
        response = await client.put(fault_server.url, content=BODY, headers={"Expect": expectation})
        assert (response.status_code, server.body) == (417, b"")


@each_body
async def test_a_body_that_is_waited_for_is_reported_as_any_other(
    body: Callable[[], Any],
) -> None:
    """The wait is a part of sending the body."""
    server, recorder = Server(send_pieces(REFUSAL)), TraceRecorder()
    async with connected(server) as (client, fault_server):
        await client.put(
            fault_server.url,
            content=body(),
            headers={"Expect": "100-continue"},
            extensions={"trace": recorder},
        )
    assert server.body == b""
    operations = [name for name in recorder.names if name.endswith(".started")]
    assert operations[1:4] == [
        "http11.send_request_headers.started",
        "http11.send_request_body.started",
        "http11.receive_response_headers.started",
    ]


async def test_a_silent_server_receives_the_body_after_a_while() -> None:
    """It may not support the header, so the client doesn't wait forever."""

    async def send_nothing(_: Wire) -> None:
        advance(1.0)

    server = Server(send_nothing)
    async with connected(server) as (client, fault_server):
        response = await put(client, fault_server.url, BODY)
        assert (response.status_code, server.body) == (200, BODY)


async def test_a_request_without_a_body_does_not_wait() -> None:
    """The server responds without a 100 Continue."""
    async with (
        FaultServer(answer(200, b"ok")) as server,
        httpx.AsyncClient(transport=new_transport(), timeout=20) as client,
    ):
        response = await client.get(server.url, headers={"Expect": "100-continue"})
        assert response.text == "ok"


@pytest.mark.parametrize(
    ("react", "error"),
    [
        (Wire.finish, httpx.RemoteProtocolError),
        (reset_connection, httpx.ReadError),
        (send_pieces(b"220 mail.example ESMTP\r\n"), httpx.RemoteProtocolError),
    ],
    ids=["FIN", "RST", "not HTTP"],
)
async def test_a_failure_during_the_wait_is_raised_immediately(
    react: Callable[[Wire], Awaitable[None]], error: type[httpx.TransportError]
) -> None:
    """The body isn't sent."""
    server = Server(react)
    async with connected(server) as (client, fault_server):
        with pytest.raises(error):
            await put(client, fault_server.url, BODY)
        assert server.body == b""


async def test_a_cancelled_wait_frees_its_slot() -> None:
    """The pool's only connection is closed, and the next request opens a new one."""
    server = Server(send_pieces())
    async with connected(server) as (client, fault_server):
        task = asyncio.create_task(put(client, fault_server.url, BODY))
        await wait_until(lambda: server.head.endswith(b"\r\n\r\n"))
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert (await client.get(fault_server.url)).status_code == 200
        assert fault_server.connections == 2
