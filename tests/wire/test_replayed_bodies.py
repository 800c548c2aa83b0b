"""Each kind of body, behind each fault: all of it is sent with each attempt, or it isn't sent again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from body_kinds import (
    AGAIN,
    BODY,
    FAULTS,
    KINDS,
    PARTS,
    RETRYING,
    AsyncOnce,
    AsyncShared,
    Bodies,
    Make,
    Send,
    async_generator,
    generator,
    overloaded,
    with_client,
    with_own_client,
    with_sync_transport,
    with_transport,
)

from typed_async_client import (
    AsyncResilientClient,
    Call,
    CallNext,
    RequestBodyConsumedError,
    Resilience,
    RetryPolicy,
)
from typed_async_client.testing import FaultServer, answer

FOR_SYNC_CLIENTS = ["generator", "iterator", "bytes", "iterable", "list"]
ASYNC_ONLY = [kind for kind in KINDS if kind.startswith(("async", "shared", "bytes", "text"))]
CASES = [
    *((with_client, kind) for kind in KINDS),
    *((with_own_client, kind) for kind in KINDS),
    *((with_transport, kind) for kind in ASYNC_ONLY if kind != "bytearray"),
    *((with_sync_transport, kind) for kind in FOR_SYNC_CLIENTS),
]
each_case = pytest.mark.parametrize(
    ("send", "kind"), [pytest.param(*case, id=f"{case[0].__name__}-{case[1]}") for case in CASES]
)


@pytest.mark.parametrize("fault", FAULTS)
@each_case
async def test_every_attempt_sends_the_whole_body_or_is_not_made(
    send: Send, kind: str, fault: str, make: Make
) -> None:
    """The server never sees an empty or a short one."""
    bodies: Bodies = []
    async with FaultServer(FAULTS[fault](bodies)) as server:
        if kind in AGAIN:
            assert await send(server.url, make(kind)) == 200
            assert bodies == [BODY] * (3 if fault == "503" else 1)
        elif fault == "503":
            assert await send(server.url, make(kind)) == 503
            assert bodies == [BODY]
        else:
            with pytest.raises(httpx.TransportError) as raised:
                await send(server.url, make(kind))
            (note,) = raised.value.__notes__
            assert note.startswith("not sent again: the body comes from a")
            assert bodies == []


@each_case
async def test_an_untouched_body_is_sent_after_connections_were_refused(
    send: Send, kind: str, make: Make
) -> None:
    """Nothing was read from its source, so that all of it can be sent."""
    loop = asyncio.get_running_loop()
    async with FaultServer(answer(), refusing=True) as server:
        opening: list[Any] = []

        def open_in_time(_: Any, retry: int) -> float:
            if retry == 2:
                opening.append(asyncio.run_coroutine_threadsafe(server.open(), loop))
            return 0.001

        retry = RetryPolicy(jitter=open_in_time, max_retries=5000)
        assert await send(server.url, make(kind), Resilience(retry=retry)) == 200
        assert [request.body for request in server.requests] == [BODY]
        assert len(opening) == 1


# Sources that hide that they can be read once


class Hidden:
    """Makes a new generator each time, over an iterator that can be read once."""

    def __init__(self, parts: list[bytes]) -> None:
        self._left = iter(parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._left:
            yield part


class HiddenSync:
    """The same, synchronously."""

    def __init__(self, parts: list[bytes]) -> None:
        self._left = iter(parts)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._left


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("send", "kind"),
    [
        (with_client, Hidden),
        (with_own_client, Hidden),
        (with_transport, Hidden),
        (with_client, HiddenSync),
        (with_sync_transport, HiddenSync),
    ],
)
async def test_a_rest_is_never_sent_as_the_whole(
    send: Send, kind: Callable[..., Any], fault: str
) -> None:
    """Of a source that seems to start over, the server sees the whole body, or none."""
    bodies: Bodies = []
    async with FaultServer(FAULTS[fault](bodies)) as server:
        with pytest.raises(RequestBodyConsumedError, match=r"(fewer|other) bytes this time; pass"):
            await send(server.url, kind([b"pay" + bytes(65536), *[bytes(65536)] * 100, b" 5"]))
    assert all(body.startswith(b"pay") and body.endswith(b" 5") for body in bodies)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_second_call_of_a_middleware_sends_the_whole_body_or_nothing(
    kind: str, make: Make
) -> None:
    """Whichever call sends it."""

    async def twice(call: Call, call_next: CallNext) -> httpx.Response:
        await call_next(call.replace(headers={"X-Call": "1"}))
        return await call_next(call)

    async with FaultServer(answer()) as server, AsyncResilientClient(middleware=[twice]) as client:
        task = await client.put(server.url, content=make(kind))
        if kind in AGAIN:
            await task
        else:
            with pytest.raises(RequestBodyConsumedError, match="an earlier call has sent it; pass"):
                await task
        bodies = [request.body for request in server.requests]
        assert bodies == [BODY] * (2 if kind in AGAIN else 1)


async def test_a_body_that_a_middleware_brings_is_known_in_its_second_call() -> None:
    """Its rest, or nothing, would be sent."""
    parts = iter(PARTS)

    async def bringing(call: Call, call_next: CallNext) -> httpx.Response:
        await call_next(call.replace(content=parts))
        return await call_next(call.replace(content=parts))

    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(middleware=[bringing]) as client,
    ):
        with pytest.raises(RequestBodyConsumedError, match="comes from an iterator"):
            await client.request("PUT", server.url)
        assert [request.body for request in server.requests] == [BODY]


class Signing(httpx.Auth):
    """Reads the body before it is sent, as authentication that signs it does."""

    requires_request_body = True

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # a generator
        """Sign the body."""
        request.headers["Signature"] = request.content.hex()
        yield request


@pytest.mark.parametrize("send", ["own", "external"])
@pytest.mark.parametrize("kind", [async_generator, AsyncOnce, AsyncShared, generator])
async def test_authentication_that_reads_the_body_counts_as_reading_it(
    kind: Callable[[], Any], send: str
) -> None:
    """Nothing would be left of it for a second attempt."""
    bodies: Bodies = []
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(FaultServer(overloaded(bodies)))
        options: dict[str, Any] = {"resilience": RETRYING}
        if send == "external":
            options["http_client"] = await stack.enter_async_context(httpx.AsyncClient())
        client = await stack.enter_async_context(AsyncResilientClient(**options))
        response = await client.request("PUT", server.url, content=kind(), auth=Signing())
        assert response.status_code == 503
    assert bodies == [BODY]
