"""``client.lines()``: lines of a response as they arrive, and what its request ends with."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import (
    AsyncPoolTransport,
    AsyncResilientClient,
    DeadlineExceededError,
    LineTooLongError,
    NotFoundError,
    Resilience,
    ResultStatus,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)
ROWS = [{"id": 1, "text": "日\u2028本"}, {"id": 2, "text": "\x85😀"}, {"id": 3}]
NDJSON = b"\r\n".join(json.dumps(row, ensure_ascii=False).encode() for row in ROWS)

pytestmark = pytest.mark.usefixtures("no_leaks")


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def respond(request: SeenRequest, wire: Wire) -> None:
    """Answer with lines, in the way that the path says."""
    match request.target.partition("?")[0]:
        case "/rows":
            parts = [chunk(NDJSON[at : at + 1]) for at in range(len(NDJSON))]
            await wire.send(HEAD + b"".join(parts) + b"0\r\n\r\n")
        case "/two-then-stall":
            await wire.send(HEAD + chunk(b"first\nsec"))
            await wire.send(chunk(b"ond\nthi"))
            await wire.stall()
        case "/cut":
            await wire.send(HEAD + chunk(b"first\nsec"))
            await wire.finish()
        case "/long":
            await wire.send(HEAD + chunk(b"short\n" + b"x" * 2000 + b"\nshort\n"))
            await wire.stall()
        case "/once-busy" if len(wire._seen) == 1:
            await wire.answer(503, b"later")
        case "/once-busy":
            await wire.answer(200, b"a\nb\n")
        case _:
            await wire.answer(404, b"nothing\nhere\n")


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[str, AsyncResilientClient]]:
    """Run a server, and a client whose pool has one connection; yield the URL and the client."""
    async with (
        FaultServer(each_request(respond)) as server,
        AsyncResilientClient(limits=httpx.Limits(max_connections=1), **options) as client,
    ):
        yield server.url, client


def active_in(client: AsyncResilientClient) -> int:
    """Return the connections in use."""
    pool: AsyncPoolTransport = client._client._transport
    return pool.statistics().active


async def test_each_line_is_a_document() -> None:
    """Whatever the chunks; separators of other standards don't split a JSON string."""
    async with serving() as (url, client):
        async with client.lines("GET", f"{url}rows", client.new_context("r")) as lines:
            assert lines.response.headers["content-type"] == "application/x-ndjson"
            assert [json.loads(line) async for line in lines] == ROWS
            assert [line async for line in lines] == []
        assert (await client.wait_for_request("r")).is_success


async def test_a_line_is_returned_as_soon_as_it_is_complete() -> None:
    """The server says nothing more; leaving early ends the request and frees the connection."""
    async with serving() as (url, client):
        for _ in range(2):
            async with client.lines("GET", f"{url}two-then-stall") as lines:
                assert [await anext(lines), await anext(lines)] == ["first", "second"]
        assert active_in(client) == 0
        assert client.statistics().succeeded == 2


async def test_a_body_that_breaks_raises_after_its_complete_lines() -> None:
    """What is left of a line isn't taken for one; the iteration is over then."""
    async with serving() as (url, client):
        async with client.lines("GET", f"{url}cut", client.new_context("r")) as lines:
            assert await anext(lines) == "first"
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(lines)
            assert [line async for line in lines] == []
        assert (await client.wait_for_request("r")).status is ResultStatus.ERROR


@pytest.mark.parametrize("library", [None, httpx, httpx2])
async def test_a_line_beyond_the_limit_is_an_error(library: Any) -> None:
    """It names the limit and the line, never its text; the request fails with it."""
    async with FaultServer(each_request(respond)) as server, contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(library.AsyncClient()) if library else None
        client = await stack.enter_async_context(AsyncResilientClient(http_client=own))
        url = f"{server.url}long"
        async with client.lines(
            "GET", url, client.new_context("r"), max_line_bytes=1000, params={"token": "s3cret"}
        ) as lines:
            assert await anext(lines) == "short"
            with pytest.raises((library or httpx).DecodingError) as raised:
                await anext(lines)
            assert [line async for line in lines] == []
        assert type(raised.value).__name__ == LineTooLongError.__name__
        assert isinstance(raised.value, LineTooLongError)
        assert str(raised.value) == (
            f"GET {server.url}long?token=REDACTED: line 2 is longer than max_line_bytes=1000"
        )
        result = await client.wait_for_request("r")
        assert type(result.error).__name__ == LineTooLongError.__name__


async def test_a_status_of_400_or_above_is_raised_unless_the_caller_wants_its_lines() -> None:
    """After the retries of the policies."""
    policies = Resilience(retry=RetryPolicy(base_delay=0.001))
    async with serving(resilience=policies) as (url, client):
        with pytest.raises(NotFoundError):
            async with client.lines("GET", f"{url}missing"):
                pytest.fail("the body isn't reached")
        async with client.lines("GET", f"{url}missing", raise_on_status=False) as lines:
            assert [line async for line in lines] == ["nothing", "here"]


async def test_the_policies_apply_until_the_head_has_arrived() -> None:
    """A 503 is retried, and its body isn't taken for lines."""
    policies = Resilience(retry=RetryPolicy(base_delay=0.001))
    async with (
        serving(resilience=policies) as (url, client),
        client.lines("POST", f"{url}once-busy", idempotency_key="k", json={"q": 1}) as lines,
    ):
        assert [line async for line in lines] == ["a", "b"]


async def test_the_deadline_bounds_the_lines() -> None:
    """Also while the server says nothing."""
    async with (
        serving() as (url, client),
        client.lines("GET", f"{url}two-then-stall", deadline=0.05) as lines,
    ):
        assert [await anext(lines), await anext(lines)] == ["first", "second"]
        with pytest.raises(DeadlineExceededError):
            await anext(lines)


async def test_cancelling_the_reader_ends_the_request() -> None:
    """As cancelled; the connection is free again."""
    is_inside = asyncio.Event()

    async def use(url: str, client: AsyncResilientClient) -> None:
        async with client.lines("GET", f"{url}two-then-stall") as lines:
            async for _ in lines:
                is_inside.set()

    async with serving() as (url, client):
        reader = asyncio.create_task(use(url, client))
        await is_inside.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert client.statistics().cancelled == 1
        assert active_in(client) == 0


async def test_other_tasks_have_their_turn_while_many_lines_are_read() -> None:
    """Also if all of them have arrived at once."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"{}\n" * 100_000))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with AsyncResilientClient(transport=transport) as client:
        async with client.lines("GET", "http://a.test/") as lines:
            counting = asyncio.create_task(count())
            assert len([line async for line in lines]) == 100_000
            counting.cancel()
        assert turns >= 18


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, None, "1000"])
async def test_a_limit_that_is_no_size_is_refused(limit: Any) -> None:
    """Before anything is sent."""
    async with AsyncResilientClient() as client:
        with pytest.raises(ValueError, match="max_line_bytes must be an integer >= 1, got"):
            client.lines("GET", "http://a.test/", max_line_bytes=limit)


async def test_a_misspelt_limit_is_refused() -> None:
    """The message names that of the call, and not one of the client."""
    async with AsyncResilientClient() as client:
        with pytest.raises(TypeError, match=r"unknown lines\(\) option .* mean 'max_line_bytes'\?"):
            client.lines("GET", "http://a.test/", max_lines_bytes=9)  # type: ignore[call-arg]  # misspelt


async def test_lines_are_only_read_within_the_context() -> None:
    """The message says how."""
    async with serving() as (url, client):
        stream = client.lines("GET", f"{url}rows")
        with pytest.raises(RuntimeError, match="use it in `async with`"):
            aiter(stream)
        async with stream as lines:
            await anext(lines)
        with pytest.raises(RuntimeError, match="within it only"):
            _ = lines.response
        with pytest.raises(RuntimeError, match="entered before"):
            await stream.__aenter__()


async def test_lines_need_no_room_in_memory() -> None:
    """The limit on responses that are kept doesn't apply to them."""
    async with (
        serving(max_response_bytes=5) as (url, client),
        client.lines("GET", f"{url}rows") as lines,
    ):
        assert [json.loads(line) async for line in lines] == ROWS
