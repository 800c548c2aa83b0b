"""Each attempt sends the same body, or none is made: on real sockets, after a lost answer."""

import io
import itertools
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from policy_ways import ALL_WAYS, ASYNC_WAYS, CLIENTS, open_way

from typed_async_client import Resilience, RetryPolicy
from typed_async_client.testing import FaultServer, SeenRequest, Wire, each_request
from typed_async_client.testing.server import Handler

RETRYING = Resilience(retry=RetryPolicy(base_delay=0.001))

BODY = b"0123456789" * 1000

pytestmark = pytest.mark.usefixtures("no_leaks")


def fail_twice(*, is_lost: bool) -> Handler:
    """Lose two answers, or answer 503 twice; then answer."""
    count = itertools.count()

    async def respond(_: SeenRequest, wire: Wire) -> None:
        if next(count) >= 2:
            await wire.answer(200, b"ok")
        elif is_lost:
            wire.reset()
        else:
            await wire.answer(503, b"busy")

    return each_request(respond)


class Repeatable:
    """Yields the same parts each time."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield BODY[:10]
        yield BODY[10:]


class Consumed:
    """Looks repeatable, but yields its parts once."""

    def __init__(self) -> None:
        self._parts = iter([BODY[:10], BODY[10:]])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


async def generated() -> AsyncIterator[bytes]:
    """Yield a body, once."""
    yield BODY[:10]
    yield BODY[10:]


def generated_sync() -> Iterator[bytes]:
    """Yield a body, once."""
    yield BODY[:10]
    yield BODY[10:]


@pytest.mark.parametrize("fault", ["lost", "503"])
@pytest.mark.parametrize("kind", ["bytes", "json", "form", "files", "file at an offset"])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_body_in_memory_or_a_file_is_the_same_in_all_attempts(
    way: str, kind: str, fault: str, tmp_path: pathlib.Path
) -> None:
    """A multipart body even has the same boundary."""
    path = tmp_path / "report.txt"
    path.write_bytes(BODY)
    with path.open("rb") as file:
        if kind == "file at an offset":
            file.seek(100)
        bodies: dict[str, dict[str, Any]] = {
            "bytes": {"content": BODY},
            "json": {"json": {"key": "value"}},
            "form": {"data": {"key": "value"}},
            "files": {"files": {"report": file}, "data": {"key": "value"}},
            "file at an offset": {"files": {"report": file}},
        }
        async with (
            FaultServer(fail_twice(is_lost=fault == "lost")) as server,
            open_way(way, RETRYING) as client,
        ):
            response = await client.request("PUT", server.url, **bodies[kind])
            assert response.status_code == 200
            sent = [
                (each.headers["content-type"] if kind != "bytes" else "", each.body)
                for each in server.requests
            ]
        assert len(sent) == 3
        assert len(set(sent)) == 1
        assert len(sent[0][1]) > 5


@pytest.mark.parametrize("fault", ["lost", "503"])
@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_generator_that_was_read_is_not_sent_again(way: str, fault: str) -> None:
    """The caller gets the original error, or the original response."""
    body = generated_sync() if way == "sync transport" else generated()
    async with (
        FaultServer(fail_twice(is_lost=fault == "lost")) as server,
        open_way(way, RETRYING) as client,
    ):
        request = client.request("PUT", server.url, content=body)
        if fault == "503":
            assert (await request).status_code == 503
        else:
            with pytest.raises((httpx.ReadError, client.library.ReadError)):
                await request
        assert [request.body for request in server.requests] == [BODY]


@pytest.mark.parametrize("way", ALL_WAYS)
async def test_a_generator_that_was_not_read_is_sent_by_the_attempt_that_connects(
    way: str,
) -> None:
    """The first attempt is refused."""
    body = generated_sync() if way == "sync transport" else generated()
    async with (
        FaultServer(each_request(lambda _, wire: wire.answer(200)), refusing=True) as server,
        open_way(way, RETRYING, on_retry=server.open) as client,
    ):
        assert (await client.request("POST", server.url, content=body)).status_code == 200
        assert [request.body for request in server.requests] == [BODY]


@pytest.mark.parametrize("fault", ["lost", "503"])
@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_an_object_that_starts_over_is_sent_by_each_attempt(way: str, fault: str) -> None:
    """It makes a new iterator each time."""
    async with (
        FaultServer(fail_twice(is_lost=fault == "lost")) as server,
        open_way(way, RETRYING) as client,
    ):
        response = await client.request("PUT", server.url, content=Repeatable())
        assert response.status_code == 200
        assert [request.body for request in server.requests] == [BODY] * 3


@pytest.mark.parametrize("fault", ["lost", "503"])
@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_an_object_that_only_seems_to_start_over_never_arrives_empty(
    way: str, fault: str
) -> None:
    """The second attempt isn't completed; a note tells what the first has ended with."""
    async with (
        FaultServer(fail_twice(is_lost=fault == "lost")) as server,
        open_way(way, RETRYING) as client,
    ):
        with pytest.raises(client.library.StreamConsumed, match="can be read only once") as raised:
            await client.request("PUT", server.url, content=Consumed())
        (note,) = raised.value.__notes__
        assert ("status 503" if fault == "503" else "ReadError") in note
        assert [request.body for request in server.requests] == [BODY]


@pytest.mark.parametrize("way", CLIENTS)
async def test_an_open_file_as_content_arrives_whole(way: str) -> None:
    """Httpx reads it once; a client of ours doesn't send half of it."""
    async with FaultServer(fail_twice(is_lost=False)) as server, open_way(way, RETRYING) as client:
        try:
            response = await client.request("PUT", server.url, content=io.BytesIO(BODY))
        except (TypeError, RuntimeError):
            assert server.requests == []
        else:
            assert response.status_code in {200, 503}
            assert {request.body for request in server.requests} == {BODY}
