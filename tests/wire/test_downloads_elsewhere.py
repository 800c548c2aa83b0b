"""``client.download()`` through other clients and transports than our own pool."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import httpx2
import pytest
from file_server import FILE, FileServer, lie, serving

from typed_async_client import AsyncResilientClient, DownloadError

SIZE = len(FILE)
CUT = 100_000

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_an_external_client_downloads(tmp_path: Path) -> None:
    """Its errors are of its library."""
    files = FileServer(cuts=[CUT])
    async with httpx2.AsyncClient() as own, serving(files, http_client=own) as (url, client):
        done = await client.download(url, tmp_path / "a")
        assert (done.path.read_bytes(), files.sent, done.resumes) == (FILE, SIZE, 1)
        files.replies = [lie(204)]
        with pytest.raises(httpx2.RequestError) as raised:
            await client.download(url, tmp_path / "b")
        assert isinstance(raised.value, DownloadError)


class _Parts(httpx.AsyncByteStream):
    """A body that is shorter than its head says, and comes in one large part."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b""
        yield FILE


async def test_a_mock_transport_can_stand_in_for_the_server(tmp_path: Path) -> None:
    """Whether it gives the body whole or as a stream; one that ends early is continued."""
    heads = {"ETag": '"v1"', "Content-Length": str(SIZE + 2)}
    rest = {"ETag": '"v1"', "Content-Range": f"bytes {SIZE}-{SIZE + 1}/{SIZE + 2}"}
    answers = [
        httpx.Response(200, content=FILE),
        httpx.Response(200, headers=heads, stream=_Parts()),
        httpx.Response(206, headers=rest, content=b"ab"),
    ]
    transport = httpx.MockTransport(lambda request: answers.pop(0))
    async with AsyncResilientClient(transport=transport, base_delay=0.0) as client:
        done = await client.download("http://a.test/", tmp_path / "a")
        assert done.path.read_bytes() == FILE
        done = await client.download("http://a.test/", tmp_path / "a")
        assert done.path.read_bytes() == FILE + b"ab"
        assert done.resumes == 1


async def test_an_error_that_is_not_a_lost_connection_ends_the_download(tmp_path: Path) -> None:
    """Another request would meet it again."""

    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"abc"
            raise LookupError("a bug of the transport")

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Broken()))
    async with AsyncResilientClient(transport=transport) as client:
        with pytest.raises(LookupError, match="a bug"):
            await client.download("http://a.test/", tmp_path / "a")
        assert client.statistics().submitted == 1


async def test_a_cancelled_write_is_waited_for(tmp_path: Path) -> None:
    """A thread can't be cancelled, so the file is closed after it."""

    class Large(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield FILE * 30

    headers = {"ETag": '"v1"', "Content-Length": str(SIZE * 31)}
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, headers=headers, stream=Large())
    )
    async with AsyncResilientClient(transport=transport) as client:
        turns = 0
        while not (tmp_path / "a.part").exists():
            task = asyncio.create_task(client.download("http://a.test/", tmp_path / "a"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            turns += 1
    assert (tmp_path / "a.part").read_bytes() == FILE * 30
