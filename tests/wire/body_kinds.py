"""Kinds of bodies, faults that end after two attempts, and clients to send the bodies with."""

import asyncio
import contextlib
import io
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx

from typed_async_client import AsyncResilientClient, Resilience, ResilientTransport, RetryPolicy
from typed_async_client.testing import SeenRequest, Wire, each_request

__all__ = [
    "AGAIN",
    "BODY",
    "FAULTS",
    "KINDS",
    "ONCE",
    "PARTS",
    "RETRYING",
    "AsyncOnce",
    "AsyncShared",
    "Bodies",
    "Make",
    "Send",
    "WaitingSource",
    "async_generator",
    "closing_maker",
    "generator",
    "no_reader_left",
    "overloaded",
    "resetting",
    "with_client",
    "with_own_client",
    "with_sync_transport",
    "with_transport",
]

PARTS = [b"pay", b" 5"]
BODY = b"pay 5"
RETRYING = Resilience(retry=RetryPolicy(base_delay=0.0))

Bodies = list[bytes]
Make = Callable[[str], Any]
Send = Callable[..., Awaitable[int]]

# Bodies


async def async_generator() -> AsyncIterator[bytes]:
    """Yield the parts once."""
    for part in PARTS:
        yield part


class AsyncOnce:
    """An async iterable object that is its own iterator."""

    def __init__(self) -> None:
        self._parts = iter(PARTS)

    def __aiter__(self) -> "AsyncOnce":
        return self

    async def __anext__(self) -> bytes:
        for part in self._parts:
            return part
        raise StopAsyncIteration


class AsyncShared:
    """Gives everybody the same iterator, which may be exhausted."""

    def __init__(self) -> None:
        self._iterator = AsyncOnce()

    def __aiter__(self) -> AsyncOnce:
        return self._iterator


class AsyncAgain:
    """Starts over each time it is iterated."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in PARTS:
            yield part


def generator() -> Iterator[bytes]:
    """Yield the parts once."""
    yield from PARTS


class Again:
    """Starts over each time it is iterated."""

    def __iter__(self) -> Iterator[bytes]:
        yield from PARTS


def file_at_offset() -> Any:
    """Return an open file that stands behind its first bytes."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - freed with the test
    file.write(b"skipped " + BODY)
    file.seek(8)
    return file


def memory_at_offset() -> io.BytesIO:
    """Return the same in memory."""
    file = io.BytesIO(b"skipped " + BODY)
    file.seek(8)
    return file


class Wrapped:
    """A file in a class of its own, as those that show progress are."""

    def __init__(self) -> None:
        self._file = memory_at_offset()
        self.read = self._file.read
        self.seek = self._file.seek
        self.tell = self._file.tell


def pipe() -> Any:
    """Return the end of a pipe that holds the body."""
    reader, writer = os.pipe()
    os.write(writer, BODY)
    os.close(writer)
    return os.fdopen(reader, "rb")


ONCE: dict[str, Callable[[], Any]] = {
    "async generator": async_generator,
    "async iterator": AsyncOnce,
    "shared async iterator": AsyncShared,
    "generator": generator,
    "iterator": lambda: iter(PARTS),
    "pipe": pipe,
}
AGAIN: dict[str, Callable[[], Any]] = {
    "bytes": lambda: BODY,
    "text": lambda: "pay 5",
    "bytearray": lambda: bytearray(BODY),
    "async iterable": AsyncAgain,
    "iterable": Again,
    "list": lambda: PARTS,
    "file": file_at_offset,
    "file in memory": memory_at_offset,
    "file in a class of its own": Wrapped,
}
KINDS = {**ONCE, **AGAIN}


@contextlib.contextmanager
def closing_maker() -> Iterator[Make]:
    """Yield what makes a body of a kind, and close the files."""
    with contextlib.ExitStack() as stack:

        def make(kind: str) -> Any:
            body = KINDS[kind]()
            if isinstance(body, io.IOBase):
                stack.callback(body.close)
            return body

        yield make


# Faults, which end after two attempts


def overloaded(bodies: Bodies) -> Callable[[Wire], Awaitable[None]]:
    """Answer 503 twice, after the whole body."""

    async def respond(request: SeenRequest, wire: Wire) -> None:
        bodies.append(request.body)
        await wire.answer(503 if len(bodies) < 3 else 200)

    return each_request(respond)


def resetting(bodies: Bodies) -> Callable[[Wire], Awaitable[None]]:
    """Reset the first two connections after a part of the body."""
    seen: list[Wire] = []

    async def handler(wire: Wire) -> None:
        seen.append(wire)
        if len(seen) < 3:
            data = b""
            while b"pay" not in data and (part := await wire.read(65536)):
                data += part
            wire.reset()
        elif (request := await wire.read_request()) is not None:
            bodies.append(request.body)
            await wire.answer(200)

    return handler


FAULTS = {"503": overloaded, "reset": resetting}

# Clients


async def with_client(url: str, content: Any, resilience: Resilience = RETRYING) -> int:
    """Send it with our client."""
    async with AsyncResilientClient(resilience=resilience) as client:
        return (await client.request("PUT", url, content=content)).status_code


async def with_own_client(url: str, content: Any, resilience: Resilience = RETRYING) -> int:
    """Send it with our client, through a client of httpx."""
    async with (
        httpx.AsyncClient() as own,
        AsyncResilientClient(http_client=own, resilience=resilience) as client,
    ):
        return (await client.request("PUT", url, content=content)).status_code


async def with_transport(url: str, content: Any, resilience: Resilience = RETRYING) -> int:
    """Send it with httpx's asynchronous client."""
    async with httpx.AsyncClient(transport=ResilientTransport(resilience=resilience)) as client:
        return (await client.put(url, content=content)).status_code


async def with_sync_transport(url: str, content: Any, resilience: Resilience = RETRYING) -> int:
    """Send it with httpx's synchronous client."""

    def send() -> int:
        with httpx.Client(transport=ResilientTransport(resilience=resilience)) as client:
            return client.put(url, content=content).status_code

    return await asyncio.to_thread(send)


# Synchronous bodies, which are read in threads


class WaitingSource:
    """A generator that waits after its first part until it is released.

    Attributes:
        closed: set when the generator was closed, or has ended.
        released: lets it go on.
        waiting: set when it waits.
    """

    def __init__(self) -> None:
        self.closed: threading.Event = threading.Event()
        self.released: threading.Event = threading.Event()
        self.waiting: threading.Event = threading.Event()

    def parts(self) -> Iterator[bytes]:
        """Yield two parts."""
        try:
            yield b"pay"
            self.waiting.set()
            assert self.released.wait(10)
            yield b" 5"
        finally:
            self.closed.set()


@contextlib.contextmanager
def no_reader_left() -> Iterator[None]:
    """Check that each thread that reads a body ends."""
    yield
    for thread in threading.enumerate():
        if thread.name == "typed_async_client: request body":
            thread.join(10)
            assert not thread.is_alive()
