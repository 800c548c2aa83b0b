"""A generator that a request has begun to send is closed when the request has ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncPoolTransport, AsyncResilientClient, ResilientTransport
from typed_async_client.testing import FaultServer, Handler, Wire

CLIENTS: dict[str, Callable[[], Any]] = {
    "client": lambda: resilient_client(trust_env=False),
    "llhttp": lambda: pool_client(AsyncPoolTransport(http11="llhttp")),
    "h11": lambda: pool_client(AsyncPoolTransport(http11="h11")),
    "resilient": lambda: pool_client(ResilientTransport(AsyncPoolTransport(), max_retries=0)),
    "httpx's own": lambda: pool_client(
        ResilientTransport(httpx.AsyncHTTPTransport(), max_retries=0)
    ),
    "aiohttp": lambda: resilient_client(transport="aiohttp"),
    "pyreqwest": lambda: resilient_client(transport="pyreqwest"),
}


def pool_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Create a client with a short timeout."""
    return httpx.AsyncClient(transport=transport, timeout=0.2)


def resilient_client(**options: Any) -> AsyncResilientClient:
    """Create a client with a short timeout that doesn't retry."""
    return AsyncResilientClient(timeout=0.2, max_retries=0, **options)


class Upload:
    """A generator of far more than any buffer holds, and whether it was started and closed."""

    def __init__(self) -> None:
        self.started: bool = False
        self.closed: bool = False
        self.parts: AsyncIterator[bytes] = self._generate()  # this reference remains

    async def _generate(self) -> AsyncIterator[bytes]:
        self.started = True
        try:
            for _ in range(3000):
                yield b"x" * 10_000
        finally:
            self.closed = True


async def refuse(wire: Wire) -> None:
    """Answer before the body has arrived, and close the connection."""
    await wire.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


async def reset(wire: Wire) -> None:
    """Reset the connection after the first bytes."""
    await wire.read(1)
    wire.reset()


async def stall(_: Wire) -> None:
    """Read nothing."""
    await asyncio.sleep(3600)


@pytest.mark.parametrize("handler", [refuse, reset, stall])
@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_generator_is_closed_when_its_request_has_ended(
    kind: str, handler: Handler
) -> None:
    """Whether with an early answer or with an error."""
    upload = Upload()
    async with FaultServer(handler) as server, CLIENTS[kind]() as client:
        with contextlib.suppress(httpx.HTTPError):
            await client.request("POST", server.url, content=upload.parts)
        assert upload.started
        assert upload.closed


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_generator_is_closed_when_its_request_was_cancelled(kind: str) -> None:
    """Before the task has ended."""
    upload = Upload()
    async with FaultServer(stall) as server, CLIENTS[kind]() as client:
        sending = asyncio.ensure_future(client.request("POST", server.url, content=upload.parts))
        while not upload.started:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.001)
        sending.cancel()
        await asyncio.wait({sending})
        assert upload.closed


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_generator_that_was_not_started_can_still_be_sent(kind: str) -> None:
    """It holds nothing; closing it would make the next request send an empty body."""
    upload = Upload()
    async with CLIENTS[kind]() as client:
        with pytest.raises(httpx.ConnectError):
            await client.request("POST", "http://127.0.0.1:1/", content=upload.parts)
        assert not upload.started
        assert len(await anext(upload.parts)) == 10_000


async def test_an_error_of_the_generator_is_reported_to_the_loop() -> None:
    """The response was received, so that the request hasn't failed."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def generate() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            raise OSError("the disk is gone")

    async with FaultServer(stall) as server, CLIENTS["llhttp"]() as client:
        parts = generate()
        with pytest.raises(httpx.WriteTimeout):
            await client.post(server.url, content=parts)
    assert [str(context["exception"]) for context in reported] == ["the disk is gone"]


def test_a_synchronous_generator_is_closed_too() -> None:
    """By ``ResilientTransport`` in an ``httpx.Client``."""
    closed: list[bool] = []

    def generate() -> Iterator[bytes]:
        try:
            yield b"pay"
            yield b"5"
        finally:
            closed.append(True)

    def fail(request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        next(iter(request.stream))
        raise httpx.ReadError("reset", request=request)

    class Failing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return fail(request)

    parts = generate()
    client = httpx.Client(transport=ResilientTransport(Failing()))
    with client, pytest.raises(httpx.ReadError):
        client.post("http://a.test/", content=parts)
    assert closed == [True]
