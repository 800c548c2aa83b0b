"""``client.stream()``: the policies apply to the head of a response, the rest of the request to its body."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from stream_kit import LARGE, RETRIED, Origin, pool_of, read, serving

from typed_async_client import (
    AsyncResilientClient,
    Bulkhead,
    Call,
    CallNext,
    DeadlineExceededError,
    EventType,
    InternalServerError,
    NotFoundError,
    Resilience,
    ResponseTooLargeError,
    ResultStatus,
)
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_a_request_is_over_when_its_body_has_ended() -> None:
    """Until then it counts as active, and has no result and no last event."""
    kinds: list[EventType] = []
    async with serving() as (url, client):
        client.add_event_callback(EventType.SUCCESS, lambda event: kinds.append(event.event_type))
        async with client.stream("GET", f"{url}200", client.new_context("r")) as response:
            assert (response.status_code, response.is_closed) == (200, False)
            assert (client.active_tasks_count, client.statistics().active) == (1, 1)
            assert client.get_result("r") is None
            assert await read(response) == len(LARGE)
            assert client.statistics().active == 0
        result = (await client.wait_for_all_requests())["r"]
        assert (result.status, result.attempts) == (ResultStatus.SUCCESS, 1)
        assert kinds == [EventType.SUCCESS]


async def test_leaving_early_frees_the_connection() -> None:
    """The only one that the pool may have serves the next request, which is another one."""
    async with serving(limits=httpx.Limits(max_connections=1)) as (url, client):
        for _ in range(3):
            async with client.stream("GET", f"{url}200") as response:
                async for _ in response.aiter_bytes():
                    break
        assert (await client.request("GET", f"{url}200")).content == LARGE
        assert pool_of(client).statistics().active == 0
        assert client.statistics().succeeded == 4


async def test_attempts_are_made_until_one_is_answered_well() -> None:
    """What is retried is read to its end, so that all of them use the same connection."""
    async with serving(resilience=RETRIED) as (url, client):
        async with client.stream("GET", f"{url}200?2", client.new_context("r")) as response:
            assert await response.aread() == LARGE
        result = (await client.wait_for_all_requests())["r"]
        assert [record.status for record in result.history] == [503, 503, 200]
        assert pool_of(client).statistics().opened == 1


async def test_the_last_response_is_streamed_when_no_retry_is_left() -> None:
    """As it is, unless ``raise_on_status`` says otherwise."""
    async with (
        serving(resilience=RETRIED) as (url, client),
        client.stream("GET", f"{url}200?3") as response,
    ):
        assert (response.status_code, await response.aread()) == (503, b"later")


@pytest.mark.parametrize("of_client", [True, False])
async def test_a_bad_status_is_raised_with_the_beginning_of_its_body(*, of_client: bool) -> None:
    """At most 64 KiB of it are read; no retry loses its connection."""
    options: Any = {} if of_client else {"raise_on_status": True}
    async with serving(raise_on_status=of_client) as (url, client):
        for status, kind in ((404, NotFoundError), (500, InternalServerError)):
            with pytest.raises(kind) as raised:
                async with client.stream("GET", f"{url}{status}", **options):
                    pytest.fail("the body isn't reached")
            assert raised.value.response.content == LARGE[: 64 * 1024]
            assert raised.value.response.is_closed
        assert client.statistics().failed == 2
        assert pool_of(client).statistics().active == 0


async def test_a_permit_is_held_until_the_body_has_ended() -> None:
    """Another request to the host waits for it."""
    policies = Resilience(bulkhead=Bulkhead(max_concurrent=1))
    async with serving(resilience=policies) as (url, client):
        async with client.stream("GET", f"{url}200") as response:
            waiting = await client.get(f"{url}200")
            await asyncio.sleep(0.01)
            assert not waiting.done()
            assert await read(response) == len(LARGE)
        assert (await waiting).content == LARGE


async def test_the_place_among_the_concurrent_requests_is_held_as_well() -> None:
    """``max_concurrent_requests`` counts requests whose bodies are being read."""
    async with serving(max_concurrent_requests=1) as (url, client):
        async with client.stream("GET", f"{url}200"):
            submitting = asyncio.create_task(client.get(f"{url}200"))
            await asyncio.sleep(0.01)
            assert not submitting.done()
        await (await submitting)


async def test_middleware_gets_the_open_response() -> None:
    """It may send the request again; what it doesn't return is closed."""
    seen: list[tuple[int, bool]] = []

    async def twice(call: Call, call_next: CallNext) -> httpx.Response:
        for _ in range(2):
            response = await call_next(call)
            seen.append((response.status_code, response.is_closed))
        return response

    async with serving(middleware=[twice]) as (url, client):
        async with client.stream("GET", f"{url}200", client.new_context("r")) as response:
            assert client.get_result("r") is None
            assert await read(response) == len(LARGE)
        assert seen == [(200, False), (200, False)]
        assert (await client.wait_for_request("r")).attempts == 2
        assert pool_of(client).statistics().active == 0


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_an_external_client_streams(library: Any) -> None:
    """The responses are of its library."""
    async with (
        FaultServer(each_request(Origin())) as server,
        library.AsyncClient() as own,
        AsyncResilientClient(http_client=own, resilience=RETRIED) as client,
    ):
        async with client.stream("GET", f"{server.url}200?1", deadline=5.0) as response:
            assert isinstance(response, library.Response)
            assert await read(response) == len(LARGE)
        with pytest.raises(DeadlineExceededError) as raised:
            async with client.stream("GET", f"{server.url}stall", deadline=0.05) as response:
                await read(response)
        assert isinstance(raised.value, library.TimeoutException)


async def test_a_redirect_is_followed_to_the_body_that_is_streamed() -> None:
    """With the options that a request takes."""
    async with serving() as (url, client):
        async with client.stream("GET", f"{url}redirect", follow_redirects=True) as response:
            assert response.url == f"{url}200"
            assert await read(response) == len(LARGE)
        async with client.stream("HEAD", f"{url}204") as response:
            assert await response.aread() == b""


async def test_what_is_wrong_is_refused_on_entering() -> None:
    """Nothing is sent; a stream is entered once."""
    async with serving() as (url, client):
        with pytest.raises(TypeError, match="did you mean 'headers'"):
            async with client.stream("GET", url, header={}):  # type: ignore[call-arg]  # misspelt
                pytest.fail("it isn't sent")
        stream = client.stream("GET", f"{url}200")
        async with stream:
            pass
        with pytest.raises(RuntimeError, match=r"call client\.stream\(\) again"):
            await stream.__aenter__()
        assert client.statistics().submitted == 1


class OnlyRequests:
    """The least that an ``http_client`` must be able to do."""

    async def request(self, method: str, url: Any, /, *args: Any, **options: Any) -> Any:
        """Send nothing."""


async def test_an_external_client_that_can_not_stream_is_refused() -> None:
    """Before anything is submitted."""
    async with AsyncResilientClient(http_client=OnlyRequests()) as client:
        with pytest.raises(TypeError, match="OnlyRequests has only request"):
            client.stream("GET", "http://a.test/")


async def test_the_limit_of_a_client_spares_what_need_not_fit_into_memory(tmp_path: Path) -> None:
    """Downloads, lines and events are handled part by part; a request's own limit still counts."""
    lines = b"".join(b'data: {"n": %d}\n\n' % number for number in range(1000))

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.answer(200, lines, "Content-Type: text/event-stream")

    async with (
        FaultServer(each_request(respond)) as server,
        AsyncResilientClient(max_response_bytes=1000) as client,
    ):
        assert (await client.download(server.url, tmp_path / "file")).size == len(lines)
        async with client.lines("GET", server.url) as each_line:
            assert len([line async for line in each_line]) == 2000
        async with client.sse(server.url, reconnect=False) as events:
            assert len([event async for event in events]) == 1000
        with pytest.raises(ResponseTooLargeError):
            async with client.lines("GET", server.url, max_response_bytes=1000) as each_line:
                await anext(each_line)
        with pytest.raises(ResponseTooLargeError):
            async with client.stream("GET", server.url) as response:
                await read(response)


@pytest.mark.parametrize("path", ["404cut", "404stall"])
async def test_a_bad_status_is_raised_although_its_body_breaks(path: str) -> None:
    """It says more than the error of its body, and isn't retried as a lost connection would be."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
        if path == "404stall":
            await wire.stall()
        await wire.finish()

    async with (
        FaultServer(each_request(respond)) as server,
        AsyncResilientClient(raise_on_status=True, resilience=RETRIED, timeout=0.05) as client,
    ):
        with pytest.raises(NotFoundError) as raised:
            async with client.stream("GET", f"{server.url}{path}"):
                pytest.fail("the body isn't reached")
        assert raised.value.response.content == b"x" * 50
        assert [record.status for record in raised.value.history] == [404]


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_the_errors_of_an_external_body_say_what_failed(library: Any) -> None:
    """As those of our own pool do: the method, the host, and the limit that has passed."""
    async with (
        FaultServer(each_request(Origin())) as server,
        library.AsyncClient(timeout=0.05) as own,
        AsyncResilientClient(http_client=own) as client,
    ):
        with pytest.raises(library.ReadTimeout, match=r"GET: .*127\.0\.0\.1"):
            async with client.stream("GET", f"{server.url}stall") as response:
                await read(response)


class OwnInterruptionError(BaseException):
    """Not an ``Exception``."""


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(OwnInterruptionError, OwnInterruptionError), (GeneratorExit, RuntimeError)],
)
async def test_whatever_a_body_raises_ends_its_upload(
    raised: type[BaseException], expected: type[BaseException]
) -> None:
    """The server isn't waited for."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"x"
        raise raised

    async with serving(timeout=None) as (url, client):
        with pytest.raises(expected):
            await client.request("POST", f"{url}200", content=parts())
        assert client.statistics().active == 0


async def test_no_more_of_an_error_is_read_than_is_kept() -> None:
    """Its body may have no end."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await wire.send(b"400\r\n" + b"x" * 1024 + b"\r\n")

    async with (
        FaultServer(each_request(respond)) as server,
        AsyncResilientClient(raise_on_status=True) as client,
    ):
        with pytest.raises(InternalServerError) as raised:
            async with client.stream("GET", server.url):
                pytest.fail("the body isn't reached")
        assert len(raised.value.response.content) == 64 * 1024
