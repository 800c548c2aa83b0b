"""A truncated response is never returned as complete, wherever it was cut."""

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

WITH_LENGTH = _HEAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
CHUNKED = (
    _HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + _CHUNKS
    + b"0\r\nX-Sum: 1\r\n\r\n"
)  # fmt: skip
UNTIL_CLOSE = _HEAD + b"\r\n" + _BODY

Ending = Callable[[Wire], Awaitable[None]]

ENDINGS = {
    "FIN": (False, Wire.finish),
    "RST": (False, reset_connection),
    "close_notify": (True, Wire.finish),
    "FIN without close_notify": (True, close_without_close_notify),
}


def truncated(answer: bytes, ending: Ending) -> Callable[[SeenRequest, Wire], Awaitable[None]]:
    """Send as many bytes of ``answer`` as the target asks for, then end the connection."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.send(answer[: int(request.target[1:])])
        await ending(wire)

    return respond


async def results_of(answer: bytes, *, tls: bool, ending: Ending) -> list[Any]:
    """Request a response truncated at each offset, and the complete one."""
    handler = serve_requests(truncated(answer, ending))
    async with FaultServer(handler, tls=server_context_or_none(tls=tls)) as server:
        transport = new_transport(connections=20, tls=tls)
        async with pool_client(transport) as client:
            requests = [client.get(f"{ip_url(server)}{n}") for n in range(len(answer) + 1)]
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert is_idle(transport)
    return results


@pytest.mark.parametrize(("tls", "ending"), ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("answer", [WITH_LENGTH, CHUNKED], ids=["length", "chunks"])
async def test_a_response_truncated_at_any_byte_is_an_error(
    answer: bytes,
    tls: bool,  # noqa: FBT001 - a column of the table
    ending: Ending,
) -> None:
    """Even if only the last byte of the trailers is missing."""
    *truncations, last = await results_of(answer, tls=tls, ending=ending)
    assert len(truncations) > 250
    assert {type(result) for result in truncations} <= {httpx.RemoteProtocolError, httpx.ReadError}
    if isinstance(last, httpx.Response):
        assert (last.content, last.extensions["complete"]) == (_BODY, True)
    else:
        assert ending is reset_connection  # a reset may discard data that was sent before it


@pytest.mark.parametrize(("tls", "ending"), ENDINGS.values(), ids=ENDINGS.keys())
async def test_a_response_that_ends_with_its_connection_is_not_reported_as_complete(
    tls: bool,  # noqa: FBT001 - a column of the table
    ending: Ending,
) -> None:
    """After the headers, truncation can't be detected, so ``complete`` is None."""
    results = await results_of(UNTIL_CLOSE, tls=tls, ending=ending)
    head = len(UNTIL_CLOSE) - len(_BODY)
    assert {type(result) for result in results[:head]} <= {
        httpx.RemoteProtocolError,
        httpx.ReadError,
    }
    for offset, result in enumerate(results[head:]):
        if isinstance(result, httpx.Response):
            assert (result.content, result.extensions["complete"]) == (_BODY[:offset], None)
        else:
            assert isinstance(result, httpx.ReadError)
            assert ending is reset_connection


@pytest.mark.parametrize("answer", [WITH_LENGTH, CHUNKED], ids=["length", "chunks"])
async def test_a_resilient_client_never_reports_a_truncated_response_as_a_success(
    answer: bytes,
) -> None:
    """Each truncation fails after one attempt; only the complete response succeeds."""
    async with FaultServer(serve_requests(truncated(answer, Wire.finish))) as server:
        transport = new_transport(connections=20)
        async with AsyncResilientClient(transport=transport) as client:
            for offset in range(len(answer) + 1):
                await client.get(f"{server.url}{offset}", RequestContext(request_id=str(offset)))
            results = await client.wait_for_all_requests()
            ordered = [results[str(offset)] for offset in range(len(answer) + 1)]
            statuses = [(result.status, result.attempts) for result in ordered]
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
async def test_a_response_reports_whether_it_is_known_to_be_complete(
    method: str,
    answer: bytes,
    complete: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    """By its length, its last chunk or the absence of a body; otherwise, it's unknown."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.send(answer)
        await wire.finish()

    async with (
        FaultServer(serve_requests(respond)) as server,
        pool_client(new_transport()) as client,
    ):
        response = await client.request(method, server.url)
        assert response.extensions["complete"] is complete
