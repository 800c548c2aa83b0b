"""A request that ends before its synchronous body does: the thread stops, and closes the generator."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from body_kinds import WaitingSource, no_reader_left
from fault_handlers import wait_until

from typed_async_client import AsyncResilientClient
from typed_async_client.testing import FaultServer, Handler, Wire, answer


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    """Check that each thread ends."""
    with no_reader_left():
        yield


class Endless:
    """A generator of far more than any buffer holds."""

    def __init__(self) -> None:
        self.closed: threading.Event = threading.Event()
        self.produced: int = 0

    def parts(self) -> Iterator[bytes]:
        """Yield parts until it is closed."""
        try:
            while True:
                self.produced += 1
                yield bytes(100_000)
        finally:
            self.closed.set()


async def refuse(wire: Wire) -> None:
    """Answer before the whole body has arrived, and close the connection."""
    await wire.read(65536)
    await wire.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


async def reset(wire: Wire) -> None:
    """Reset the connection in the middle of the body."""
    await wire.read(65536)
    wire.reset()


async def stall(wire: Wire) -> None:
    """Read nothing."""
    wire.transport.pause_reading()
    await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [refuse, reset, stall])
@pytest.mark.parametrize("external", [False, True])
async def test_a_generator_is_closed_when_its_request_has_ended(
    handler: Handler, *, external: bool
) -> None:
    """Whether with an early answer, with an error or because of a timeout."""
    source = Endless()
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(FaultServer(handler))
        options: dict[str, Any] = {"timeout": 0.2}
        if external:
            own = await stack.enter_async_context(httpx.AsyncClient(timeout=0.2))
            options = {"http_client": own}
        client = await stack.enter_async_context(AsyncResilientClient(**options))
        with contextlib.suppress(httpx.TransportError):
            await client.request("PUT", server.url, content=source.parts())
        assert source.closed.wait(10)  # by its thread, which may just be reading


async def test_cancelling_a_request_closes_its_generator() -> None:
    """The thread has read ahead, and waits, as the server doesn't read."""
    source = Endless()
    async with FaultServer(stall) as server, AsyncResilientClient() as client:
        task = await client.put(server.url, content=source.parts())
        await wait_until(lambda: source.produced > 20)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert source.closed.wait(10)


async def test_a_cancelled_request_ends_although_its_source_waits() -> None:
    """The generator is closed by its thread, as soon as what it waits for is there."""
    source = WaitingSource()
    async with FaultServer(answer()) as server, AsyncResilientClient() as client:
        task = await client.put(server.url, content=source.parts())
        await wait_until(source.waiting.is_set)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert not source.closed.is_set()
    source.released.set()
    assert source.closed.wait(10)


def test_a_source_may_outlive_the_event_loop() -> None:
    """Its thread has nobody left to tell, and ends."""
    source = WaitingSource()

    async def main() -> None:
        async with FaultServer(answer()) as server, AsyncResilientClient() as client:
            task = await client.put(server.url, content=source.parts())
            await wait_until(source.waiting.is_set)
            task.cancel()

    asyncio.run(main())
    source.released.set()
    assert source.closed.wait(10)


async def test_what_closing_a_generator_raises_is_reported_to_the_loop() -> None:
    """The request has ended for another reason, which its caller gets."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def parts() -> Iterator[bytes]:
        try:
            while True:
                loop.call_soon_threadsafe(begun.set)
                yield bytes(100_000)
        finally:
            raise OSError("the disk is gone")

    async def reset_once_begun(wire: Wire) -> None:
        await begun.wait()  # one that wasn't started isn't closed
        await reset(wire)

    async with FaultServer(reset_once_begun) as server, AsyncResilientClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.request("PUT", server.url, content=parts())
        await wait_until(lambda: bool(reported))  # its thread may still be in the generator
    assert [str(context["exception"]) for context in reported] == ["the disk is gone"]
