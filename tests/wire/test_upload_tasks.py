"""The task of an upload: its context, its cancellation, task factories, and stubborn generators."""

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from pool_helpers import run_loop_turns
from trace_recorder import TraceRecorder
from upload_servers import REFUSAL, Source, after_head, echo_chunks, reach

from typed_async_client.testing import Wire, answer

pytestmark = pytest.mark.usefixtures("http11", "no_leaks")

color: contextvars.ContextVar[str] = contextvars.ContextVar("color")


async def test_a_body_is_generated_in_a_copy_of_the_callers_context() -> None:
    """A trace or a logger in it sees which request it belongs to."""
    seen = []

    async def parts() -> AsyncIterator[bytes]:
        seen.append(color.get())
        yield b"x"
        await run_loop_turns(3)
        seen.append(color.get())

    color.set("green")
    async with reach(answer()) as (client, server, _):
        assert (await client.post(server.url, content=parts())).status_code == 200
    assert seen == ["green", "green"]


async def test_a_body_may_hold_a_cancel_scope_while_it_is_sent() -> None:
    """It is entered and left in the same task, also if the upload is stopped."""
    ended = []

    async def parts(*, endless: bool) -> AsyncIterator[bytes]:
        try:
            with anyio.CancelScope():
                yield bytes(100_000)
                while endless:
                    with anyio.move_on_after(0):
                        await anyio.sleep_forever()
                    yield bytes(100_000)
        finally:
            ended.append(asyncio.current_task())

    async with reach(answer()) as (client, server, _):
        assert (await client.post(server.url, content=parts(endless=False))).status_code == 200
    async with reach(after_head(REFUSAL)) as (client, server, _):
        assert (await client.post(server.url, content=parts(endless=True))).status_code == 413
    assert len(ended) == 2


async def test_a_body_that_suppresses_its_cancellation_is_stopped_anyway() -> None:
    """At its next part."""
    produced = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal produced
        while True:
            produced += 1
            try:
                yield b"x"
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    async with reach(after_head(REFUSAL)) as (client, server, _):
        assert (await client.post(server.url, content=parts())).status_code == 413
        before = produced
        await run_loop_turns(100)
        assert produced == before


async def test_an_error_in_closing_a_body_is_reported_to_the_loop() -> None:
    """The response has been received, so it is delivered."""
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            raise ZeroDivisionError

    async with reach(after_head(REFUSAL)) as (client, server, _):
        assert (await client.post(server.url, content=parts())).status_code == 413
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


async def test_a_second_cancellation_does_not_wait_for_a_body_that_does_not_end() -> None:
    """The first one does: a body that is closed may have to wait."""
    release = asyncio.Event()
    source = Source(between=release.wait)

    async def stubborn() -> AsyncIterator[bytes]:
        try:
            async for part in source.parts():
                yield part
        finally:
            await release.wait()

    async with reach(after_head()) as (client, server, _):
        sending = asyncio.ensure_future(client.post(server.url, content=stubborn()))
        while not source.produced:  # noqa: ASYNC110 - the source sets no event
            await asyncio.sleep(0)
        sending.cancel()
        await run_loop_turns(20)
        assert not sending.done()
        sending.cancel()
        await asyncio.wait({sending})
        assert sending.cancelled()
        release.set()


UPLOAD_EVENTS = [
    "http11.send_request_body.started",
    "http11.send_request_body.failed",
    "http11.receive_response_headers.started",
    "http11.receive_response_headers.complete",
]


@pytest.mark.parametrize("is_early", [True, False], ids=["early", "in time"])
async def test_a_trace_reports_a_stopped_upload_as_failed(
    is_early: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """In the order of any exchange; a complete one is reported as httpx does."""
    recorder = TraceRecorder()
    handler = after_head(REFUSAL) if is_early else answer(413, b"no")
    async with reach(handler) as (client, server, _):
        content = Source(None if is_early else 20).parts()
        extensions = {"trace": recorder}
        response = await client.post(server.url, content=content, extensions=extensions)
        assert response.status_code == 413
    names = [name for name in recorder.names if "request_body" in name or "headers" in name]
    expected = (
        UPLOAD_EVENTS if is_early else [n.replace("failed", "complete") for n in UPLOAD_EVENTS]
    )
    assert names[2:6] == expected


def wrapping(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> "asyncio.Task[Any]":
    """Create a task that runs the coroutine inside another one, as tracing libraries do."""

    async def traced() -> Any:
        return await coro

    return asyncio.Task(traced(), loop=loop, **options)


FACTORIES: dict[str, Callable[..., Any]] = {"wrapping": wrapping}
if sys.version_info >= (3, 12):
    FACTORIES["eager"] = asyncio.eager_task_factory


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES.keys())
async def test_any_task_factory_may_create_the_task(factory: Callable[..., Any]) -> None:
    """Whether the upload is complete, refused, echoed or fails."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    loop = asyncio.get_running_loop()
    async with reach(answer()) as (client, server, _):
        loop.set_task_factory(factory)
        assert (await client.post(server.url, content=Source(3).parts())).status_code == 200
        with pytest.raises(ZeroDivisionError):
            await client.post(server.url, content=failing())
    async with reach(after_head(REFUSAL)) as (client, server, _):
        assert (await client.post(server.url, content=Source().parts())).status_code == 413
    async with reach(echo_chunks) as (client, server, _):
        echoed = await client.post(server.url, content=Source(200).parts())
        assert len(echoed.content) > 200 * 65536
    loop.set_task_factory(None)


async def test_a_task_factory_that_refuses_fails_the_request() -> None:
    """Its error is raised, and the slot is given back."""

    def refusing(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        if coro.__qualname__ == "BodyTask._run":
            raise ZeroDivisionError
        return asyncio.Task(coro, loop=loop, **options)

    async with reach(answer()) as (client, server, _):
        asyncio.get_running_loop().set_task_factory(refusing)
        with pytest.raises(ZeroDivisionError):
            await client.post(server.url, content=Source(3).parts())
        asyncio.get_running_loop().set_task_factory(None)


async def test_a_body_of_another_kind_is_left_open() -> None:
    """A file belongs to the caller: only generators are closed."""

    class File:
        def __init__(self) -> None:
            self.closed = False

        async def aread(self, size: int) -> bytes:
            return bytes(size)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield await self.aread(1000)

        async def aclose(self) -> None:
            self.closed = True

    async def refuse(wire: Wire) -> None:
        await wire.send(REFUSAL)
        await wire.stall()

    file = File()
    async with reach(after_head(then=refuse)) as (client, server, _):
        assert (await client.post(server.url, content=file)).status_code == 413
    assert not file.closed
