"""An answer that was cut anywhere is never taken for a whole one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fault_handlers import close_without_close_notify, reset_connection
from pool_helpers import (
    ip_url,
    is_idle,
    new_transport,
    pool_client,
    serve_requests,
    server_context_or_none,
)

from typed_async_client import AsyncResilientClient, RequestContext, ResultStatus
from typed_async_client.testing import FaultServer, SeenRequest, Wire

pytestmark = pytest.mark.usefixtures("http11")

_BODY = bytes(range(65, 91)) * 6
_HEAD = b"HTTP/1.1 200 OK\r\nServer: of the tests\r\nX-Padding: %s\r\n" % (b"p" * 40)
_CHUNKS = (b"1a\r\n" + _BODY[:26] + b"\r\n") * 6

BY_LENGTH = _HEAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
BY_CHUNKS = (
    _HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + _CHUNKS
    + b"0\r\nX-Sum: 1\r\n\r\n"
)  # fmt: skip
BY_CLOSING = _HEAD + b"\r\n" + _BODY

Farewell = Callable[[Wire], Awaitable[None]]

FAREWELLS = {
    "FIN": (False, Wire.finish),
    "RST": (False, reset_connection),
    "close_notify": (True, Wire.finish),
    "FIN without close_notify": (True, close_without_close_notify),
}


def cutting(answer: bytes, farewell: Farewell) -> Callable[[SeenRequest, Wire], Awaitable[None]]:
    """Send as many bytes of an answer as the target asks for, and say farewell."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.send(answer[: int(request.target[1:])])
        await farewell(wire)

    return respond


async def ends_of(answer: bytes, *, tls: bool, farewell: Farewell) -> list[Any]:
    """Ask for an answer cut at each offset, up to the whole of it."""
    handler = serve_requests(cutting(answer, farewell))
    async with FaultServer(handler, tls=server_context_or_none(tls=tls)) as server:
        transport = new_transport(connections=20, tls=tls)
        async with pool_client(transport) as client:
            requests = [client.get(f"{ip_url(server)}{n}") for n in range(len(answer) + 1)]
            ends = await asyncio.gather(*requests, return_exceptions=True)
            assert is_idle(transport)
    return ends


@pytest.mark.parametrize(("tls", "farewell"), FAREWELLS.values(), ids=FAREWELLS.keys())
@pytest.mark.parametrize("answer", [BY_LENGTH, BY_CHUNKS], ids=["length", "chunks"])
async def test_an_answer_cut_at_any_byte_is_an_error(
    answer: bytes,
    tls: bool,  # noqa: FBT001 - a column of the table
    farewell: Farewell,
) -> None:
    """The last byte is missed as much as the first, of the trailers too."""
    *cuts, last = await ends_of(answer, tls=tls, farewell=farewell)
    assert len(cuts) > 250
    assert {type(end) for end in cuts} <= {httpx.RemoteProtocolError, httpx.ReadError}
    if isinstance(last, httpx.Response):
        assert (last.content, last.extensions["complete"]) == (_BODY, True)
    else:
        assert farewell is reset_connection  # a reset may overtake what was sent before it


@pytest.mark.parametrize(("tls", "farewell"), FAREWELLS.values(), ids=FAREWELLS.keys())
async def test_an_answer_that_ends_with_its_connection_does_not_claim_to_be_whole(
    tls: bool,  # noqa: FBT001 - a column of the table
    farewell: Farewell,
) -> None:
    """Once its head is there nobody can tell a cut from an end, and it says so."""
    ends = await ends_of(BY_CLOSING, tls=tls, farewell=farewell)
    head = len(BY_CLOSING) - len(_BODY)
    assert {type(end) for end in ends[:head]} <= {httpx.RemoteProtocolError, httpx.ReadError}
    for offset, end in enumerate(ends[head:]):
        if isinstance(end, httpx.Response):
            assert (end.content, end.extensions["complete"]) == (_BODY[:offset], None)
        else:
            assert isinstance(end, httpx.ReadError)
            assert farewell is reset_connection


@pytest.mark.parametrize("answer", [BY_LENGTH, BY_CHUNKS], ids=["length", "chunks"])
async def test_a_resilient_client_gives_no_cut_answer_for_a_success(answer: bytes) -> None:
    """Each cut is an error of one attempt; the whole answer alone is a success."""
    async with FaultServer(serve_requests(cutting(answer, Wire.finish))) as server:
        transport = new_transport(connections=20)
        async with AsyncResilientClient(transport=transport) as client:
            for offset in range(len(answer) + 1):
                await client.get(f"{server.url}{offset}", RequestContext(request_id=str(offset)))
            results = await client.wait_for_all_requests()
            told = [results[str(offset)] for offset in range(len(answer) + 1)]
            statuses = [(result.status, result.attempts) for result in told]
            assert is_idle(transport)
    assert statuses == [(ResultStatus.ERROR, 1)] * len(answer) + [(ResultStatus.SUCCESS, 1)]


@pytest.mark.parametrize(
    ("method", "answer", "complete"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", True),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", True),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", True),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", True),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\n", None),
        ("POST", b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n", None),
        ("GET", b"HTTP/1.0 200 OK\r\n\r\n", None),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
async def test_a_response_says_whether_its_end_can_be_told(
    method: str,
    answer: bytes,
    complete: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    """By its length, its last chunk, or because it has no body; otherwise it is unknown."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.send(answer)
        await wire.finish()

    async with (
        FaultServer(serve_requests(respond)) as server,
        pool_client(new_transport()) as client,
    ):
        response = await client.request(method, server.url)
        assert response.extensions["complete"] is complete
