"""Requests that could be read in two ways are not sent, whichever parser would send them."""

from typing import Any

import httpx
import pytest
from pool_helpers import is_idle, new_transport, pool_client, serve_requests

from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer

pytestmark = pytest.mark.usefixtures("http11")

REFUSED: dict[str, list[tuple[str, str]]] = {
    "two lengths": [("Content-Length", "5"), ("Content-Length", "3")],
    "the right length first": [("Content-Length", "3"), ("Content-Length", "5")],
    "two lengths in one line": [("Content-Length", "3, 5")],
    "a length with a sign": [("Content-Length", "+3")],
    "a negative length": [("Content-Length", "-3")],
    "a length with an underscore": [("Content-Length", "0_3")],
    "a length in words": [("Content-Length", "abc")],
    "a hexadecimal length": [("Content-Length", "0x3")],
    "a length behind a space": [("Content-Length", " 3")],
    "an empty length": [("Content-Length", "")],
    "a length of 30 digits": [("Content-Length", "0" * 29 + "3")],
    "a length of 5000 digits": [("Content-Length", "0" * 4999 + "3")],
    "a coding that is not chunked": [("Transfer-Encoding", "gzip")],
    "a coding that holds the word": [("Transfer-Encoding", "xchunked")],
    "a coding before chunked": [("Transfer-Encoding", "gzip, chunked")],
    "a coding behind chunked": [("Transfer-Encoding", "chunked, gzip")],
    "chunked with a parameter": [("Transfer-Encoding", "chunked;q=1")],
    "chunked behind a space": [("Transfer-Encoding", " chunked")],
    "chunked twice": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
    "no coding": [("Transfer-Encoding", "")],
    "a bad length beside chunks": [("Content-Length", "+3"), ("Transfer-Encoding", "chunked")],
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
async def test_a_request_that_could_be_read_in_two_ways_is_not_sent(
    headers: list[tuple[str, str]],
) -> None:
    """RFC 9112 sections 6.1 to 6.3; not a byte of it reaches the server, and the next one does."""
    first: list[bytes] = []

    async def respond(wire: Wire) -> None:
        first.append(await wire.read(1))
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    transport = new_transport()
    async with FaultServer(respond) as server, pool_client(transport) as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.post(server.url, headers=headers, content=b"abc")
        assert is_idle(transport)
        assert (await client.get(server.url)).text == "ok"
    assert b"".join(first) == b"G"


SMUGGLED = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET"


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("GE T", {}),
        (SMUGGLED, {}),
        ("", {}),
        ("GET", {"extensions": {"target": b"/a b"}}),
        ("GET", {"extensions": {"target": b"/a HTTP/1.1\r\nX-A: b"}}),
        ("GET", {"headers": {"": "a"}}),
        ("GET", {"headers": {"X-A\r\nX-B": "a"}}),
        ("GET", {"headers": {"X-A": "a\nX-B: b"}}),
        ("GET", {"headers": {"X-A": "a\0"}}),
    ],
    ids=repr,
)
async def test_a_head_that_holds_more_than_a_head_is_not_sent(
    method: str, options: dict[str, Any]
) -> None:
    """Neither in its method nor in its target nor in a field; the next request is."""
    transport = new_transport()
    async with FaultServer(answer()) as server, pool_client(transport) as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.request(method, server.url, **options)
        assert is_idle(transport)
        assert (await client.get(server.url)).status_code == 200
        assert [seen.target for seen in server.requests] == ["/"]


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "3")],
        [("Content-Length", "3"), ("content-length", "3")],
        [("Content-Length", "03")],
        [("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "CHUNKED")],
        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
    ],
)
async def test_a_request_that_can_be_read_in_one_way_is_sent(
    headers: list[tuple[str, str]],
) -> None:
    """The same length twice is one; chunks win over a length, which httpx adds to them itself."""

    async def echo(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, request.body)

    async with FaultServer(serve_requests(echo)) as server, pool_client(new_transport()) as client:
        for _ in range(2):
            response = await client.post(server.url, headers=headers, content=b"abc")
            assert response.content == b"abc"
        assert server.connections == 1
