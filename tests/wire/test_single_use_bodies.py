"""A body whose source can be read only once is never sent a second time, empty.

A redirect with status 307 and an authentication challenge ask for the body of the request before.
"""

import asyncio
import io
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import pytest
from external_clients import ALL_CLIENTS, ClientSetup

from typed_async_client import (
    AsyncResilientClient,
    RequestBodyConsumedError,
    ResilientTransport,
    ResultStatus,
)
from typed_async_client.testing import FaultServer, answer

PARTS = [b"pay", b" 5"]
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5'


async def generator() -> AsyncIterator[bytes]:
    """Yield the parts once."""
    for part in PARTS:
        yield part


class Iterator:
    """Iterates once, and isn't a generator; aiofiles and ``response.aiter_bytes()`` do the same."""

    def __init__(self) -> None:
        self._parts = iter(PARTS)

    def __aiter__(self) -> "Iterator":
        return self

    async def __anext__(self) -> bytes:
        for part in self._parts:
            return part
        raise StopAsyncIteration


class AsyncFile:
    """An open file with anyio's method names."""

    def __init__(self) -> None:
        self._file = io.BytesIO(b"".join(PARTS))

    async def aread(self, size: int) -> bytes:
        """Read some bytes."""
        return self._file.read(size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield await self.aread(-1)


class Iterable:
    """Starts over each time it is iterated."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in PARTS:
            yield part


class SharedIterator:
    """Gives everybody the same iterator, as a channel or a queue does."""

    def __init__(self) -> None:
        self._iterator = Iterator()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterator


class Wrapped(httpx.AsyncByteStream, httpx2.AsyncByteStream):
    """A stream class around a source that can be read once, which can't be told from outside."""

    def __init__(self) -> None:
        self._iterator = Iterator()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._iterator:
            yield part


class Unseekable:
    """A file that can only be read on, such as the output of a process."""

    def __init__(self) -> None:
        self._file = io.BytesIO(b"".join(PARTS))

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        return self._file.read(size)


class Pipe(Unseekable, io.RawIOBase):
    """The same, with every method of a file."""

    def fileno(self) -> int:
        """Raise: httpx would ask for the size."""
        raise OSError

    tell = fileno


SINGLE_USE: dict[str, Callable[[], Any]] = {
    "generator": lambda: {"content": generator()},
    "iterator": lambda: {"content": Iterator()},
    "shared iterator": lambda: {"content": SharedIterator()},
    "file": lambda: {"content": AsyncFile()},
    "form with what has no seek()": lambda: {"files": {"bill": Unseekable()}},
    "form with a pipe": lambda: {"files": {"bill": Pipe()}},
}
REPEATABLE: dict[str, Callable[[], dict[str, Any]]] = {
    "bytes": lambda: {"content": b"pay 5"},
    "iterable": lambda: {"content": Iterable()},
    "form": lambda: {"files": {"bill": b"pay 5"}},
}


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@pytest.mark.parametrize("body", SINGLE_USE)
async def test_a_redirect_does_not_resend_what_can_be_read_once(
    setup: ClientSetup, body: str
) -> None:
    """The request fails before the second server hears of it, and the error says what to do."""
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}")) as first,
        setup.client(follow_redirects=True) as client,
    ):
        task = await client.post(first.url, client.new_context("r"), **SINGLE_USE[body]())
        with pytest.raises(RequestBodyConsumedError, match=r"POST 127\.0\.0\.1.*pass bytes"):
            await task
        result = client.get_result("r")
        assert result is not None
        assert (result.status, result.attempts) == (ResultStatus.ERROR, 1)
        assert [b"pay 5" in request.body for request in first.requests] == [True]
        assert second.requests == []


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@pytest.mark.parametrize("body", SINGLE_USE)
async def test_a_challenge_does_not_resend_what_can_be_read_once(
    setup: ClientSetup, body: str
) -> None:
    """Digest authentication learns of the challenge only after the body was sent."""
    auth = setup.library.DigestAuth("ann", "s3cret")
    async with (
        FaultServer(answer(401, b"", CHALLENGE)) as server,
        setup.client(auth=auth) as client,
    ):
        task = await client.post(server.url, **SINGLE_USE[body]())
        with pytest.raises(RequestBodyConsumedError):
            await task
        assert [b"pay 5" in request.body for request in server.requests] == [True]


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
@pytest.mark.parametrize("body", REPEATABLE)
async def test_a_redirect_resends_what_can_be_read_again(setup: ClientSetup, body: str) -> None:
    """Both servers get the same bytes."""
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}")) as first,
        setup.client(follow_redirects=True) as client,
    ):
        response = await (await client.post(first.url, **REPEATABLE[body]()))
        assert response.status_code == 200
        assert b"pay 5" in second.requests[0].body
        assert [r.body for r in first.requests] == [r.body for r in second.requests]


class Rewinding(httpx.AsyncByteStream):
    """A stream class of the caller's own, which rewinds its file."""

    def __init__(self) -> None:
        self._stream = io.BytesIO(b"pay 5")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._stream.seek(0)
        yield self._stream.read()


async def test_a_stream_class_that_rewinds_itself_is_sent_again() -> None:
    """Whatever it keeps its source in, only the class knows how to start over."""
    transport = ResilientTransport()
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}")) as first,
        httpx.AsyncClient(transport=transport, follow_redirects=True) as client,
    ):
        headers = {"Host": f"127.0.0.1:{first.port}", "Content-Length": "5"}
        request = httpx.Request("POST", first.url, headers=headers, stream=Rewinding())
        assert (await client.send(request)).status_code == 200
        assert [r.body for r in (*first.requests, *second.requests)] == [b"pay 5"] * 2


@pytest.mark.parametrize("setup", ALL_CLIENTS, ids=str)
async def test_a_body_that_has_become_empty_is_no_success(setup: ClientSetup) -> None:
    """If a source hides that it can be read once, the second request isn't completed."""
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}")) as first,
        setup.client(follow_redirects=True) as client,
    ):
        task = await client.post(first.url, content=Wrapped())
        with pytest.raises(RequestBodyConsumedError, match="can be read only once") as raised:
            await task
        assert isinstance(raised.value, setup.library.StreamConsumed)
        assert [request.body for request in first.requests] == [b"pay 5"]


async def test_a_redirect_to_a_get_needs_no_body() -> None:
    """Status 303 turns the request into a GET, which has none."""
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(303, b"", f"Location: {second.url}")) as first,
        AsyncResilientClient(follow_redirects=True) as client,
    ):
        task = await client.post(first.url, content=Iterator())
        assert (await task).status_code == 200
        assert second.requests[0].method == "GET"


@pytest.mark.parametrize(
    "body",
    [
        lambda: {"content": iter(PARTS)},
        lambda: {"content": Pipe()},
        lambda: {"files": {"bill": Unseekable()}},
    ],
    ids=["iterator", "pipe", "form"],
)
async def test_the_transport_refuses_too_under_a_synchronous_client(
    body: Callable[[], dict[str, Any]],
) -> None:
    """An iterator, and a file that can't be rewound."""
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}")) as first,
    ):

        def send() -> None:
            transport = ResilientTransport()
            with httpx.Client(transport=transport, follow_redirects=True) as client:
                client.post(first.url, **body())

        with pytest.raises(RequestBodyConsumedError):
            await asyncio.to_thread(send)
        assert second.requests == []


async def test_a_file_is_rewound_under_a_synchronous_client() -> None:
    """Otherwise httpx would read it on from its end, and send an empty body."""
    async with (
        FaultServer(answer()) as second,
        FaultServer(answer(307, b"", f"Location: {second.url}")) as first,
    ):

        def send() -> None:
            transport = ResilientTransport()
            with httpx.Client(transport=transport, follow_redirects=True) as client:
                client.post(first.url, content=io.BytesIO(b"pay 5"))

        await asyncio.to_thread(send)
        assert [r.body for r in (*first.requests, *second.requests)] == [b"pay 5"] * 2


def test_the_error_can_be_pickled() -> None:
    """With its message, unlike httpx's own ``StreamConsumed``."""
    error = RequestBodyConsumedError("read once")
    assert str(pickle.loads(pickle.dumps(error))) == "read once"
    assert isinstance(error, httpx.StreamConsumed)
