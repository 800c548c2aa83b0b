"""A transport that is given to a client is entered and left with it, as in httpx."""

import asyncio
from typing import Any, Self

import anyio
import httpx
import pytest

from typed_async_client import (
    ASGITransport,
    AsyncResilientClient,
    ClientClosedError,
    ResilientTransport,
)

URL = "https://service.test/"


class Recorded(httpx.AsyncBaseTransport):
    """Records each call, and what it was left with."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.calls: list[str] = []
        self.left_with: object = None
        self.failures: list[Exception] = []
        self._gate = gate

    async def __aenter__(self) -> Self:
        self.calls.append("enter")
        if self._gate is not None:
            await self._gate.wait()
        if self.failures:
            raise self.failures.pop()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.calls.append("exit")
        _, self.left_with, _ = exc_info

    async def aclose(self) -> None:
        """Record the call."""
        self.calls.append("close")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record the call, and respond."""
        self.calls.append("request")
        return httpx.Response(200)


async def test_async_with_enters_and_leaves_the_transport() -> None:
    """Once, although the first request starts the client too."""
    transport = Recorded()
    async with AsyncResilientClient(transport=transport) as client:
        assert transport.calls == ["enter"]
        await (await client.get(URL))
    assert transport.calls == ["enter", "request", "exit"]
    assert client._client.is_closed


async def test_the_first_request_enters_the_transport_and_close_leaves_it() -> None:
    """Without ``async with``; ``_initialize_client()`` does the same."""
    transport = Recorded()
    client = AsyncResilientClient(transport=transport)
    await (await client.get(URL))
    await client._initialize_client()
    await client.close()
    await client.close()
    assert transport.calls == ["enter", "request", "exit"]


async def test_mounts_are_entered_and_left_too() -> None:
    """In reverse order, whatever else the client sends with."""
    mounts = {"all://a.test": Recorded(), "all://b.test": Recorded(), "all://c.test": None}
    async with AsyncResilientClient(mounts=mounts) as client:
        await (await client.get("http://a.test/"))
    assert [mount.calls for mount in mounts.values() if mount is not None] == [
        ["enter", "request", "exit"],
        ["enter", "exit"],
    ]


async def test_a_client_that_was_never_used_closes_its_transport() -> None:
    """It wasn't entered, so it isn't left."""
    transport = Recorded()
    await AsyncResilientClient(transport=transport).close()
    assert transport.calls == ["close"]


async def test_the_transport_is_left_with_the_exception_of_the_body() -> None:
    """The exception itself reaches the caller unchanged."""
    transport = Recorded()
    with pytest.raises(ZeroDivisionError) as raised:
        async with AsyncResilientClient(transport=transport):
            raise ZeroDivisionError
    assert transport.left_with is raised.value


async def test_concurrent_first_requests_enter_the_transport_once() -> None:
    """They wait for it, and a caller that is cancelled meanwhile doesn't stop the others."""
    gate = asyncio.Event()
    transport = Recorded(gate)
    client = AsyncResilientClient(transport=transport)
    submitting = [asyncio.ensure_future(client.get(URL)) for _ in range(4)]
    await asyncio.sleep(0)
    submitting[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    for submitted in submitting[1:]:
        await (await submitted)
    await client.close()
    assert submitting[0].cancelled()
    assert transport.calls == ["enter", *["request"] * 3, "exit"]


async def test_a_transport_that_cannot_be_entered_fails_the_submission() -> None:
    """Those entered before it are left, and the next request enters all of them again."""
    first, second = Recorded(), Recorded()
    second.failures = [httpx.ConnectError("the tunnel is down")]
    client = AsyncResilientClient(transport=first, mounts={"http://": second})
    with pytest.raises(httpx.ConnectError, match="the tunnel is down"):
        await client.get(URL)
    assert (first.calls, second.calls) == (["enter", "exit"], ["enter"])
    await (await client.get(URL))
    await client.close()
    assert first.calls[2:] == ["enter", "request", "exit"]
    assert second.calls[1:] == ["enter", "exit"]
    assert client.statistics().submitted == 1


async def test_async_with_closes_a_client_whose_transport_cannot_be_entered() -> None:
    """Python doesn't call ``__aexit__`` then."""
    transport = Recorded()
    transport.failures = [OSError("no such device")]
    client = AsyncResilientClient(transport=transport)
    with pytest.raises(OSError, match="no such device"):
        await client.__aenter__()
    assert client.is_closed
    assert transport.calls == ["enter", "close"]


async def test_closing_interrupts_the_entering() -> None:
    """A request that waits for it fails as it does with any closed client."""
    transport = Recorded(asyncio.Event())
    client = AsyncResilientClient(transport=transport)
    submitting = asyncio.ensure_future(client.get(URL))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ClientClosedError):
        await submitting
    with pytest.raises(ClientClosedError):
        await client.get(URL)
    assert transport.calls == ["enter", "close"]


async def test_cancelling_async_with_interrupts_the_entering() -> None:
    """And closes the client."""
    transport = Recorded(asyncio.Event())
    client = AsyncResilientClient(transport=transport)
    entering = asyncio.ensure_future(client.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert client.is_closed
    assert transport.calls == ["enter", "close"]


class TaskGroupTransport(Recorded):
    """Runs a task group while it is entered, as the WebSocket transport of httpx-ws does."""

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return await super().__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await super().__aexit__(*exc_info)
        await self._group.__aexit__(*exc_info)  # type: ignore[arg-type]  # it is what was passed


async def test_a_task_group_is_left_by_the_task_that_entered_it() -> None:
    """Although one task sends the first request, and another closes the client."""
    transport = TaskGroupTransport()
    client = AsyncResilientClient(transport=ResilientTransport(transport))

    async def send() -> None:
        await (await client.get(URL))

    await asyncio.create_task(send())
    await client.close()
    assert transport.calls == ["enter", "request", "exit"]


async def test_an_error_on_leaving_is_raised_by_close() -> None:
    """The other transports are left all the same."""

    class Broken(Recorded):
        async def __aexit__(self, *exc_info: object) -> None:
            raise OSError("cannot leave")

    first = Recorded()
    client = AsyncResilientClient(transport=first, mounts={"http://": Broken()})
    await (await client.get(URL))
    with pytest.raises(OSError, match="cannot leave"):
        await client.close()
    assert first.calls == ["enter", "request", "exit"]


async def test_a_client_that_is_dropped_leaves_its_transport() -> None:
    """As soon as the event loop runs again."""
    transport = Recorded()
    client = AsyncResilientClient(transport=transport)
    await (await client.get(URL))
    with pytest.warns(ResourceWarning, match="unclosed <AsyncResilientClient open"):
        del client
    for _ in range(3):
        await asyncio.sleep(0)
    assert transport.calls == ["enter", "request", "exit"]


async def test_an_application_that_is_wrapped_for_its_records_is_left_too() -> None:
    """The wrapper passes entering and leaving on."""
    calls: list[str] = []

    class App(ASGITransport):
        async def __aenter__(self) -> Self:
            calls.append("enter")
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            calls.append("exit")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async with AsyncResilientClient(transport=App(app)) as client:
        assert (await (await client.get(URL))).status_code == 204
    assert calls == ["enter", "exit"]


async def test_the_transport_of_an_external_client_stays_the_users() -> None:
    """Whoever enters a client leaves it."""
    transport = Recorded()
    async with httpx.AsyncClient(transport=transport) as external:
        async with AsyncResilientClient(http_client=external) as client:
            await (await client.get(URL))
        assert transport.calls == ["enter", "request"]
    assert transport.calls == ["enter", "request", "exit"]
