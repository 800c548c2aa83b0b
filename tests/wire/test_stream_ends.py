"""How streamed requests end: at their deadline, by their reader, by the client, or by nobody at all."""

import asyncio
import gc
from collections.abc import AsyncIterator

import httpx
import pytest
from fault_handlers import wait_until
from leak_checks import no_leaks
from stream_kit import LARGE, RETRIED, pool_of, read, serving

from typed_async_client import (
    AsyncResilientClient,
    DeadlineExceededError,
    ResultStatus,
)

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_the_deadline_bounds_the_body() -> None:
    """It is over even if the server keeps the connection open, and sends nothing."""
    async with serving() as (url, client):
        async with client.stream("GET", f"{url}stall", client.new_context("r"), deadline=0.05) as r:
            with pytest.raises(
                DeadlineExceededError, match="the deadline passed before the response from"
            ):
                await read(r)
        result = (await client.wait_for_all_requests())["r"]
        assert result.status is ResultStatus.TIMEOUT


async def test_the_deadline_bounds_a_slow_reader_too() -> None:
    """What has arrived in time isn't read after it."""

    async def read_slowly(client: AsyncResilientClient, url: str) -> None:
        async with client.stream("GET", f"{url}200", deadline=0.2) as response:
            async for _ in response.aiter_bytes():
                await asyncio.sleep(0.1)

    async with serving() as (url, client):
        with pytest.raises(DeadlineExceededError):
            await read_slowly(client, url)
        assert client.statistics().timed_out == 1
        assert pool_of(client).statistics().active == 0


async def test_a_body_that_breaks_is_not_sent_for_again() -> None:
    """The error is raised where the body is read; the result tells of it."""
    async with serving(resilience=RETRIED) as (url, client):
        async with client.stream("GET", f"{url}cut", client.new_context("r")) as response:
            with pytest.raises(httpx.RemoteProtocolError):
                await read(response)
        result = (await client.wait_for_all_requests())["r"]
        assert (result.status, result.attempts) == (ResultStatus.ERROR, 1)
        assert isinstance(result.error, httpx.RemoteProtocolError)


async def test_an_exception_of_the_caller_passes_unchanged() -> None:
    """The request was answered, and is over."""
    error = LookupError("not of the request")
    async with serving() as (url, client):
        with pytest.raises(LookupError) as raised:
            async with client.stream("GET", f"{url}200"):
                raise error
        assert raised.value is error
        assert pool_of(client).statistics().active == 0
        assert client.statistics().succeeded == 1


@pytest.mark.parametrize("reads", [True, False])
async def test_cancelling_the_reader_ends_the_request(*, reads: bool) -> None:
    """As cancelled, whether it was reading or doing something else."""
    is_inside = asyncio.Event()

    async def use(url: str, client: AsyncResilientClient) -> None:
        async with client.stream("GET", f"{url}stall") as response:
            is_inside.set()
            await (read(response) if reads else asyncio.Event().wait())

    async with serving() as (url, client):
        reader = asyncio.create_task(use(url, client))
        await is_inside.wait()
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert client.statistics().cancelled == 1
        assert pool_of(client).statistics().active == 0


async def test_closing_the_client_breaks_the_body() -> None:
    """The request ends as cancelled, and its reader is told why."""
    async with serving() as (url, client), client.stream("GET", f"{url}200") as response:
        await client.close()
        assert client.statistics().cancelled == 1
        with pytest.raises(httpx.ReadError, match="the client was closed meanwhile"):
            await read(response)
        assert client.statistics().succeeded == 0


async def test_all_requests_are_waited_for_until_their_bodies_have_ended() -> None:
    """Except those that the waiting task reads itself: it would wait forever."""
    async with serving() as (url, client):
        async with client.stream("GET", f"{url}200") as response:
            assert await client.wait_for_all_requests() == {}
            waiting = asyncio.create_task(client.wait_for_all_requests())
            await asyncio.sleep(0.01)
            assert not waiting.done()
            await read(response)
        assert len(await waiting) == 1


async def test_cancelling_at_any_turn_leaves_nothing_behind() -> None:
    """Native cancellation after each number of turns of the event loop; the pool stays whole."""

    async def use(url: str, client: AsyncResilientClient) -> None:
        async with client.stream("GET", f"{url}200?1") as response:
            await read(response)

    limits = httpx.Limits(max_connections=2)
    async with serving(resilience=RETRIED, limits=limits, raise_on_status=True) as (url, client):
        turns, is_cancelled = 0, True
        while is_cancelled:
            reader = asyncio.create_task(use(url, client))
            for _ in range(turns):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait({reader})
            is_cancelled, turns = reader.cancelled(), turns + 1
            await wait_until(lambda: pool_of(client).statistics().active == 0)
            counted = client.statistics()
            assert (counted.active, counted.submitted) == (0, client.results_count)
        assert turns > 10
        async with no_leaks():
            await use(url, client)


async def test_the_deadline_ends_a_request_whose_reader_does_something_else() -> None:
    """Its permits, its place and its connection come back at the deadline, not at the next read."""
    async with serving(max_concurrent_requests=1) as (url, client):
        async with client.stream("GET", f"{url}stall", client.new_context("r"), deadline=0.05) as r:
            await wait_until(lambda: client.get_result("r") is not None)
            assert client.get_all_results()["r"].status is ResultStatus.TIMEOUT
            await wait_until(lambda: pool_of(client).statistics().active == 0)
            assert (await client.request("GET", f"{url}200")).is_success
            with pytest.raises(DeadlineExceededError):
                await read(r)
        assert client.statistics().timed_out == 1


async def test_a_response_that_is_dropped_unclosed_is_cancelled_and_closed() -> None:
    """With a warning, as for other resources; its connection isn't lost to the pool."""
    limits = httpx.Limits(max_connections=1)
    async with serving(limits=limits) as (url, client):

        async def forget(name: str) -> None:
            context = client.new_context(name)
            response = await client.stream("GET", f"{url}200", context).__aenter__()
            assert response.status_code == 200

        async def forget_one(name: str) -> None:
            await forget(name)
            await asyncio.sleep(
                0
            )  # the turn of the loop that woke this task refers to the response
            gc.collect()
            await wait_until(lambda: client.get_result(name) is not None)

        for number in range(3):
            with pytest.warns(ResourceWarning, match="was dropped without being closed"):
                await forget_one(f"r{number}")
            assert client.get_all_results()[f"r{number}"].status is ResultStatus.CANCELLED
        assert (await client.request("GET", f"{url}200")).content == LARGE
        assert client.statistics().active == 0


class _Watched(httpx.AsyncByteStream):
    """A body that says whether it was closed."""

    is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"

    async def aclose(self) -> None:
        """Record it."""
        self.is_closed = True


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_response_that_comes_as_its_reader_is_cancelled_is_closed(*, at_once: bool) -> None:
    """Whether the request's own task is cancelled in that turn, too, or has ended before."""
    readers: list[asyncio.Task[None]] = []
    body = _Watched()

    async def respond(_: httpx.Request) -> httpx.Response:
        if at_once:
            readers[0].cancel()
        else:
            asyncio.get_running_loop().call_soon(readers[0].cancel)
        return httpx.Response(200, stream=body)

    async def use(client: AsyncResilientClient) -> None:
        async with client.stream("GET", "http://a.test/"):
            pytest.fail("it isn't reached")

    async with AsyncResilientClient(transport=httpx.MockTransport(respond)) as client:
        readers.append(asyncio.create_task(use(client)))
        await asyncio.wait(readers)
        assert readers[0].cancelled()
        assert body.is_closed
        assert client.statistics().cancelled == 1


async def test_no_timer_is_left_when_a_stream_has_ended() -> None:
    """A deadline may be hours away, and the streams many."""
    async with serving() as (url, client):
        for _ in range(5):
            async with client.stream("GET", f"{url}200", deadline=3600.0) as response:
                await read(response)
        far = asyncio.get_running_loop().time() + 1000
        handles = [each for each in gc.get_objects() if isinstance(each, asyncio.TimerHandle)]
        assert not [each for each in handles if each.when() > far and not each.cancelled()]
