"""How requests look on the wire, and when they close their connection, with either parser."""

import httpx
import pytest
from pool_helpers import new_transport, pool_client, serve_requests

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = pytest.mark.usefixtures("http11")

Headers = list[tuple[str, str]]


class RecordedHeads:
    """A handler that records the head of each request as sent, and answers with an empty 200."""

    def __init__(self) -> None:
        self.heads: list[list[bytes]] = []

    async def __call__(self, wire: Wire) -> None:
        """Serve one connection."""
        data = b""
        while part := await wire.read(65536):
            data += part
            if b"abc" in data or (b"\r\n\r\n" in data and not data.startswith(b"POST")):
                self.heads.append(data.partition(b"\r\n\r\n")[0].split(b"\r\n"))
                data = b""
                await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


SENT: dict[str, tuple[Headers, list[bytes]]] = {
    "a length": ([("Content-Length", "3")], [b"Content-Length: 3"]),
    "the same length twice": (
        [("Content-Length", "3"), ("content-length", "3")],
        [b"Content-Length: 3"],
    ),
    "the same length in one field": ([("Content-Length", "3,3 , 3")], [b"Content-Length: 3"]),
    "a length with zeros": ([("Content-Length", "03")], [b"Content-Length: 03"]),
    "chunked": ([("Transfer-Encoding", "chunked")], [b"Transfer-Encoding: chunked"]),
    "chunked in another case": (
        [("Transfer-Encoding", "ChunKED")],
        [b"Transfer-Encoding: chunked"],
    ),
    "a length with chunked": (
        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
        [b"Transfer-Encoding: chunked"],
    ),
    "a wrong length with chunked": (
        [("Content-Length", "9"), ("Transfer-Encoding", "chunked")],
        [b"Transfer-Encoding: chunked"],
    ),
    "an empty value": ([("X-A", "")], [b"X-A: ", b"Content-Length: 3"]),
    "a tab in a value": ([("X-A", "a\tb")], [b"X-A: a\tb", b"Content-Length: 3"]),
    "a name twice": (
        [("X-A", "1"), ("x-a", "2")],
        [b"X-A: 1", b"x-a: 2", b"Content-Length: 3"],
    ),
    "a Host of its own": ([("Host", "b.test")], [b"Content-Length: 3"]),
    "an empty Host": ([("Host", "")], [b"Content-Length: 3"]),
}
"""Headers of a request, and the lines that are sent for them and for its body."""


@pytest.mark.parametrize(("headers", "lines"), SENT.values(), ids=SENT)
async def test_a_valid_request_is_sent_with_one_meaning(
    headers: Headers, lines: list[bytes]
) -> None:
    """Twice on one connection, with Host first, and without a length beside chunked."""
    handler = RecordedHeads()
    async with FaultServer(handler) as server, pool_client(new_transport()) as client:
        for _ in range(2):
            response = await client.post(server.url, headers=headers, content=b"abc")
            assert response.status_code == 200
        assert server.connections == 1
    for _, host, *others in handler.heads:
        assert host.lower().startswith(b"host: ")
        known = (b"content-", b"transfer-", b"x-a", b"host")
        assert [line for line in others if line.lower().startswith(known)] == lines


async def test_host_is_sent_first_whatever_the_order() -> None:
    """RFC 9110 section 7.2."""

    async def move_host(request: httpx.Request) -> None:
        host = request.headers.pop("Host")
        request.headers["X-A"] = "a"
        request.headers["hOST"] = host

    handler, hooks = RecordedHeads(), {"request": [move_host]}
    async with (
        FaultServer(handler) as server,
        httpx.AsyncClient(transport=new_transport(), event_hooks=hooks) as client,
    ):
        await client.get(server.url)
    assert handler.heads[0][1] == b"hOST: 127.0.0.1:%d" % server.port
    assert handler.heads[0][-1] == b"X-A: a"


@pytest.mark.parametrize(
    ("headers", "connections"),
    [
        ([], 1),
        ([("Connection", "keep-alive")], 1),
        ([("Connection", "closed")], 1),
        ([("X-Connection", "close")], 1),
        ([("Connection", "upgrade"), ("Upgrade", "other/1")], 1),
        ([("Connection", "close")], 3),
        ([("connection", "CLOSE")], 3),
        ([("Connection", "keep-alive, close")], 3),
        ([("Connection", "x-a,\tClose ,keep-alive")], 3),
        ([("Connection", "keep-alive"), ("Connection", "close")], 3),
    ],
)
async def test_connection_close_in_a_request_closes_its_connection(
    headers: Headers, connections: int
) -> None:
    """After the response, RFC 9112 section 9.6, even if the server would keep it open."""

    async def respond(_: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    for method in ("GET", "POST"):
        transport = new_transport()
        async with FaultServer(serve_requests(respond)) as server:
            async with pool_client(transport) as client:
                for _ in range(3):
                    body = b"abc" if method == "POST" else None
                    response = await client.request(
                        method, server.url, headers=headers, content=body
                    )
                    assert response.text == "ok"
                assert transport.statistics().idle == (connections == 1)
            assert server.connections == connections
            async with AsyncResilientClient() as resilient:
                for _ in range(3):
                    await (await resilient.request_async(method, server.url, headers=headers))
            assert server.connections == 2 * connections


async def test_the_last_request_of_a_connection_does_not_close_others() -> None:
    """Requests before and after it keep theirs."""
    async with FaultServer(serve_requests(_ok)) as server:
        async with pool_client(new_transport()) as client:
            for value in ("keep-alive", "keep-alive", "close", "keep-alive", "keep-alive"):
                await client.get(server.url, headers={"Connection": value})
        assert server.connections == 2


async def _ok(_: SeenRequest, wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
