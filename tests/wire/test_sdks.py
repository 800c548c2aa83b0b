"""The SDKs of OpenAI and Anthropic, whose clients are httpx2's, on our transports.

They are imported when a test needs them: it takes two seconds, and every worker imports this file.
"""

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from fault_handlers import wait_until
from sdk_server import FakeApi

from typed_async_client import (
    AsyncEvent,
    AsyncPoolTransport,
    ConnectError,
    EventType,
    ResilientTransport,
    for_httpx2,
)
from typed_async_client.testing import FaultServer

TEXT = "Hello from loopback"
ASK: Any = [{"role": "user", "content": "hi"}]
TRANSPORTS = [AsyncPoolTransport, ResilientTransport]


class OpenAI:
    """What the tests do with the SDK of OpenAI."""

    library, client = "openai", "OpenAI"

    @staticmethod
    def base(url: str) -> str:
        """Return the base URL of the API."""
        return f"{url}v1"

    @staticmethod
    def ask(sdk: Any, **options: Any) -> Any:
        """Ask something."""
        return sdk.chat.completions.create(model="m", messages=ASK, **options)

    @staticmethod
    def text(answer: Any) -> str:
        """Return the text of a whole answer."""
        text: str = answer.choices[0].message.content
        return text

    @staticmethod
    def piece(event: Any) -> str:
        """Return the text of an event."""
        return event.choices[0].delta.content or ""

    @staticmethod
    def upload(sdk: Any, file: Any) -> Any:
        """Upload a file."""
        return sdk.files.create(file=file, purpose="user_data")


class Anthropic:
    """What the tests do with the SDK of Anthropic."""

    library, client = "anthropic", "Anthropic"

    @staticmethod
    def base(url: str) -> str:
        """Return the base URL of the API."""
        return url.rstrip("/")

    @staticmethod
    def ask(sdk: Any, **options: Any) -> Any:
        """Ask something."""
        return sdk.messages.create(model="m", max_tokens=9, messages=ASK, **options)

    @staticmethod
    def text(answer: Any) -> str:
        """Return the text of a whole answer."""
        text: str = answer.content[0].text
        return text

    @staticmethod
    def piece(event: Any) -> str:
        """Return the text of an event."""
        return event.delta.text if event.type == "content_block_delta" else ""

    @staticmethod
    def upload(sdk: Any, file: Any) -> Any:
        """Upload a file."""
        return sdk.beta.files.upload(file=file)


each_sdk = pytest.mark.parametrize("kind", [OpenAI, Anthropic])
each_transport = pytest.mark.parametrize("make", TRANSPORTS)
Kind = type[OpenAI] | type[Anthropic]


def of_library(kind: Kind, name: str) -> Any:
    """Return what an SDK calls by a name."""
    return getattr(importlib.import_module(kind.library), name)


@contextlib.asynccontextmanager
async def opened(kind: Kind, server: FaultServer, transport: Any, **options: Any) -> Any:
    """Create an asynchronous SDK client on a transport of ours."""
    async with httpx2.AsyncClient(transport=for_httpx2(transport)) as client:
        yield of_library(kind, f"Async{kind.client}")(
            api_key="k", base_url=kind.base(server.url), http_client=client, **options
        )


@contextlib.contextmanager
def opened_sync(kind: Kind, server: FaultServer, transport: Any, **options: Any) -> Iterator[Any]:
    """Create a synchronous SDK client on a transport of ours."""
    with httpx2.Client(transport=for_httpx2(transport)) as client:
        yield of_library(kind, kind.client)(
            api_key="k", base_url=kind.base(server.url), http_client=client, **options
        )


@each_sdk
@each_transport
async def test_an_answer_is_read_whole_and_as_a_stream(kind: Kind, make: Callable[[], Any]) -> None:
    """On one connection, which is kept alive."""
    transport = make()
    async with (
        FaultServer(FakeApi().handler) as server,
        opened(kind, server, transport) as sdk,
    ):
        assert kind.text(await kind.ask(sdk)) == TEXT
        pieces = [kind.piece(event) async for event in await kind.ask(sdk, stream=True)]
        assert "".join(pieces) == TEXT
        assert kind.text(await kind.ask(sdk)) == TEXT
        assert server.connections == 1


@each_sdk
async def test_an_answer_is_read_synchronously(kind: Kind) -> None:
    """Whole and as a stream."""

    def ask(server: FaultServer) -> tuple[str, str]:
        with opened_sync(kind, server, ResilientTransport()) as sdk:
            whole = kind.text(kind.ask(sdk))
            return whole, "".join(map(kind.piece, kind.ask(sdk, stream=True)))

    async with FaultServer(FakeApi().handler) as server:
        assert await asyncio.to_thread(ask, server) == (TEXT, TEXT)


@each_sdk
@each_transport
async def test_a_stream_that_is_closed_early_ends_at_the_server(
    kind: Kind, make: Callable[[], Any]
) -> None:
    """And the next request gets a connection of its own."""
    api = FakeApi(endless=True)
    async with FaultServer(api.handler) as server, opened(kind, server, make()) as sdk:
        async with await kind.ask(sdk, stream=True) as stream:
            async for event in stream:
                if kind.piece(event):
                    break
        await wait_until(lambda: api.abandoned == 1)
        assert kind.text(await kind.ask(sdk)) == TEXT
        assert server.connections == 2


@each_sdk
async def test_a_stream_that_is_closed_early_ends_at_the_server_synchronously(kind: Kind) -> None:
    """The same with the synchronous client."""
    api = FakeApi(endless=True)

    def ask(server: FaultServer) -> str:
        with opened_sync(kind, server, ResilientTransport()) as sdk:
            with kind.ask(sdk, stream=True) as stream:
                next(piece for piece in map(kind.piece, stream) if piece)
            return kind.text(kind.ask(sdk))

    async with FaultServer(api.handler) as server:
        assert await asyncio.to_thread(ask, server) == TEXT
        await wait_until(lambda: api.abandoned == 1)


@each_sdk
@each_transport
async def test_a_file_is_uploaded(kind: Kind, make: Callable[[], Any]) -> None:
    """As a form, which is encoded while it is sent."""
    async with FaultServer(FakeApi().handler) as server, opened(kind, server, make()) as sdk:
        await kind.upload(sdk, ("notes.txt", b"note " * 50_000, "text/plain"))
        assert server.requests[0].body.count(b"note ") == 50_000


@each_sdk
async def test_a_file_is_uploaded_synchronously(kind: Kind) -> None:
    """The same with the synchronous client."""

    def upload(server: FaultServer) -> None:
        with opened_sync(kind, server, ResilientTransport()) as sdk:
            kind.upload(sdk, ("notes.txt", b"note " * 50_000, "text/plain"))

    async with FaultServer(FakeApi().handler) as server:
        await asyncio.to_thread(upload, server)
        assert server.requests[0].body.count(b"note ") == 50_000


# Retries


@each_sdk
async def test_refused_connections_are_retried_by_the_transport(kind: Kind) -> None:
    """The SDK's own retries are switched off; an upload is sent whole."""
    async with FaultServer(FakeApi().handler, refusing=True) as server:

        async def open_server(event: AsyncEvent) -> None:
            if event.event_type is EventType.RETRY:
                await server.open()

        transport = ResilientTransport(base_delay=0.05, on_event=open_server)
        async with opened(kind, server, transport, max_retries=0) as sdk:
            await kind.upload(sdk, ("notes.txt", b"note", "text/plain"))
        assert b"note" in server.requests[0].body


@each_sdk
@each_transport
async def test_the_sdk_retries_a_busy_server(kind: Kind, make: Callable[[], Any]) -> None:
    """429 and 500 are its own business."""
    async with (
        FaultServer(FakeApi(429, 500).handler) as server,
        opened(kind, server, make(), max_retries=2) as sdk,
    ):
        assert kind.text(await kind.ask(sdk)) == TEXT
        assert len(server.requests) == 3


@each_sdk
async def test_the_sdk_recognizes_that_there_is_no_connection(kind: Kind) -> None:
    """It raises its own error, whose cause is ours."""
    async with (
        FaultServer(FakeApi().handler, refusing=True) as server,
        opened(kind, server, ResilientTransport(max_retries=0), max_retries=0) as sdk,
    ):
        with pytest.raises(of_library(kind, "APIConnectionError")) as raised:
            await kind.ask(sdk)
    assert isinstance(raised.value.__cause__, httpx2.ConnectError)
    assert isinstance(raised.value.__cause__, ConnectError)


@each_sdk
async def test_the_sdk_recognizes_a_timeout(kind: Kind) -> None:
    """As the timeout of its own error tree."""

    async def stall_forever(wire: Any) -> None:
        await wire.read_request()
        await wire.stall()

    async with (
        FaultServer(stall_forever) as server,
        opened(kind, server, AsyncPoolTransport(), max_retries=0, timeout=0.05) as sdk,
    ):
        with pytest.raises(of_library(kind, "APITimeoutError")):
            await kind.ask(sdk)
