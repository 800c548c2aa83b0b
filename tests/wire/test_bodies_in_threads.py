"""Synchronous bodies in an asynchronous client: read in a thread, which never holds up the event loop."""

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from body_kinds import BODY, RETRYING, WaitingSource, no_reader_left
from fault_handlers import wait_until

from typed_async_client import AsyncResilientClient, RequestBodyConsumedError
from typed_async_client.testing import FaultServer, Wire, answer


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    """Check that each thread ends."""
    with no_reader_left():
        yield


async def test_other_tasks_run_while_a_generator_waits() -> None:
    """It waits for one of them, which would never run if the loop were held up."""
    source = WaitingSource()

    async def release() -> None:
        await wait_until(source.waiting.is_set)
        source.released.set()

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        other = asyncio.ensure_future(release())
        await client.request("PUT", server.url, content=source.parts())
        await other
        assert [request.body for request in server.requests] == [BODY]


async def test_a_part_is_sent_before_the_next_is_there() -> None:
    """What a slow source has is on its way while it waits."""
    source = WaitingSource()
    arrived = asyncio.Event()

    async def handler(wire: Wire) -> None:
        data = b""
        while b"pay" not in data:
            data += await wire.read(65536)
        arrived.set()
        while not data.endswith(b"0\r\n\r\n"):
            data += await wire.read(65536)
        await wire.answer(200)

    async with FaultServer(handler) as server, AsyncResilientClient() as client:
        task = await client.put(server.url, content=source.parts())
        await arrived.wait()
        source.released.set()
        assert (await task).status_code == 200


async def test_two_sources_that_wait_for_each_other_are_both_sent() -> None:
    """Each has a thread of its own."""
    first, second = WaitingSource(), WaitingSource()

    def crossed(own: WaitingSource, other: WaitingSource) -> Iterator[bytes]:
        for part in own.parts():
            yield part
            other.released.set()

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        await asyncio.gather(
            client.request("PUT", server.url, content=crossed(first, second)),
            client.request("PUT", server.url, content=crossed(second, first)),
        )
        assert [request.body for request in server.requests] == [BODY, BODY]


async def test_a_source_is_read_in_the_context_of_its_request_and_in_one_thread() -> None:
    """The cursor of a database, for example, belongs to a thread."""
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    threads: set[int] = set()

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            threads.add(threading.get_ident())
            yield tenant.get().encode() * 1000

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        tenant.set("acme")
        await client.request("PUT", server.url, content=parts())
        assert len(server.requests[0].body) == 100 * 1000 * 4
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_an_error_of_a_source_reaches_the_caller_as_it_is() -> None:
    """It isn't retried, whatever it is."""

    def parts() -> Iterator[bytes]:
        yield b"pay"
        raise KeyError("the row is gone")

    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(resilience=RETRYING) as client,
    ):
        with pytest.raises(KeyError, match="the row is gone"):
            await client.request("PUT", server.url, content=parts())
        assert server.requests == []


@pytest.mark.parametrize("error", [StopAsyncIteration, asyncio.CancelledError])
async def test_an_error_that_means_something_else_to_a_task_is_wrapped(
    error: type[BaseException],
) -> None:
    """It would end the body early, or look like a cancellation."""

    class Failing:
        def __iter__(self) -> "Failing":
            return self

        def __next__(self) -> bytes:
            raise error

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        with pytest.raises(RuntimeError, match=f"raised {error.__name__}"):
            await client.request("PUT", server.url, content=Failing())
        assert server.requests == []


@pytest.mark.parametrize("part", ["text", None, 3])
async def test_a_part_that_is_not_bytes_is_refused(part: Any) -> None:
    """The message says what it is."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        with pytest.raises(TypeError, match=f"must be bytes, got {type(part).__name__}"):
            await client.request("PUT", server.url, content=iter([b"pay", part]))
        assert server.requests == []


async def test_a_generator_that_was_not_started_can_still_be_sent() -> None:
    """No connection was made, so that nothing was read."""
    parts = iter([b"pay", b" 5"])
    source = (part for part in parts)
    async with FaultServer(answer()) as server, AsyncResilientClient(max_retries=0) as client:
        with pytest.raises(httpx.ConnectError):
            await client.request("PUT", "http://127.0.0.1:1/", content=source)
        await client.request("PUT", server.url, content=source)
        assert [request.body for request in server.requests] == [BODY]


async def test_a_generator_that_has_ended_is_refused() -> None:
    """It would be sent as an empty body."""
    source = (part for part in [b"pay"])
    list(source)
    async with AsyncResilientClient() as client:
        with pytest.raises(RequestBodyConsumedError, match="has ended"):
            await client.put("http://a.test/", content=source)


async def test_many_small_parts_are_sent_together() -> None:
    """Handing each over by itself would take longer than sending it."""
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        await client.request("PUT", server.url, content=(b"%d\n" % n for n in range(50_000)))
        assert server.requests[0].body == b"".join(b"%d\n" % n for n in range(50_000))


async def test_a_thread_that_cannot_be_started_fails_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the system has none left."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        await client.request("GET", server.url)
        monkeypatch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await client.request("PUT", server.url, content=iter([b"pay"]))
