"""Forms with files: what is sent, in which memory, and again for each attempt."""

import asyncio
import io
import subprocess
import sys
import tempfile
import textwrap
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client import AsyncResilientClient, Resilience, RetryPolicy
from typed_async_client.form_files import PathFile
from typed_async_client.testing import FaultServer, SeenRequest, Wire, answer, each_request, reset

pytestmark = pytest.mark.usefixtures("no_leaks")

ONCE_MORE = Resilience(retry=RetryPolicy(base_delay=0.001, max_delay=0.001))
CONTENT = bytes(range(251)) * 13_000
"""More than three times what is read at once."""


def parts(request: SeenRequest) -> list[Message]:
    """Parse a form with another parser."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    assert message.is_multipart()
    payload: Any = message.get_payload()
    return list(payload)


def described(part: Message) -> tuple[Any, ...]:
    """Return the name, the file name, the type and the content of a part."""
    name = part.get_param("name", header="content-disposition")
    content_type = part["content-type"]
    return name, part.get_filename(), content_type, part.get_payload(decode=True)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """A file that is larger than what is read at once."""
    path = tmp_path / "report.pdf"
    path.write_bytes(CONTENT)
    return path


async def test_a_form_has_a_part_for_each_field(tmp_path: Path) -> None:
    """Texts, bytes, paths, open files, and tuples with a name, a type and headers."""
    path = tmp_path / "a.json"
    path.write_bytes(b"{}")
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(trust_env=False) as client,
    ):
        with path.open("rb") as opened:
            task = await client.post_multipart(
                server.url,
                {
                    "text": "é",
                    "bytes": b"b",
                    "path": path,
                    "opened": opened,
                    "memory": io.BytesIO(b"m"),
                    "typed": ("n.txt", "t", "text/plain"),
                    "headed": ("n.bin", b"h", None, {"X-A": "1"}),
                    "unnamed": (None, b"u"),
                },
                headers={"X-B": "2"},
            )
            await task
            assert not opened.closed
    (request,) = server.requests
    assert (request.method, request.headers["x-b"]) == ("POST", "2")
    sent = parts(request)
    assert list(map(described, sent)) == [
        ("text", None, None, "é".encode()),
        ("bytes", "bytes", "application/octet-stream", b"b"),
        ("path", "a.json", "application/json", b"{}"),
        ("opened", "a.json", "application/json", b"{}"),
        ("memory", "memory", "application/octet-stream", b"m"),
        ("typed", "n.txt", "text/plain", b"t"),
        ("headed", "n.bin", "application/octet-stream", b"h"),
        ("unnamed", None, None, b"u"),
    ]
    assert sent[6]["x-a"] == "1"


@pytest.mark.parametrize("name", ["content", "data", "files", "json"])
async def test_a_form_takes_no_other_body(name: str) -> None:
    """Two bodies can't be sent."""
    async with AsyncResilientClient(trust_env=False) as client:
        options: Any = {name: {}}
        with pytest.raises(TypeError, match=f"so it takes no {name}"):
            await client.post_multipart("http://a.test/", {"a": "b"}, **options)


@pytest.mark.parametrize("library", [None, httpx, httpx2])
@pytest.mark.parametrize("kind", ["path", "open file", "temporary file", "files"])
async def test_each_attempt_sends_the_same_form(library: Any, kind: str, path: Path) -> None:
    """The same bytes with the same boundary, from a file that is larger than one piece."""

    async def fail_twice(_: SeenRequest, wire: Wire) -> None:
        await wire.answer(503 if len(server.requests) < 3 else 200)

    given = None if library is None else library.AsyncClient(trust_env=False)
    own: dict[str, Any] = {"trust_env": False} if given is None else {"http_client": given}
    with tempfile.NamedTemporaryFile() as temporary, path.open("rb") as opened:
        temporary.write(CONTENT)
        file = {"open file": opened, "temporary file": temporary}.get(kind, path)
        async with (
            FaultServer(each_request(fail_twice)) as server,
            AsyncResilientClient(resilience=ONCE_MORE, **own) as client,
        ):
            options: dict[str, Any] = {"idempotency_key": "k"}
            if kind == "files":
                task = await client.post(server.url, files={"f": file}, **options)
            else:
                task = await client.post_multipart(server.url, [("f", file)], **options)
            assert (await task).status_code == 200
            if given is not None:
                await given.aclose()
    assert len(server.requests) == 3
    assert (
        len({(request.headers["content-type"], request.body) for request in server.requests}) == 1
    )
    (part,) = parts(server.requests[0])
    assert part.get_payload(decode=True) == CONTENT
    assert "content-length" in server.requests[0].headers


async def test_an_abandoned_upload_closes_its_file_and_the_next_one_is_whole(path: Path) -> None:
    """A thread that still reads for the first attempt takes nothing away from the second one."""

    async def refuse_once(wire: Wire) -> None:
        if server.connections == 1:
            await wire.read(1000)
            await reset(wire)
        else:
            await answer()(wire)

    async with (
        FaultServer(refuse_once) as server,
        AsyncResilientClient(trust_env=False, resilience=ONCE_MORE) as client,
    ):
        options: dict[str, Any] = {"files": {"f": path}, "idempotency_key": "k"}
        assert (await client.request("POST", server.url, **options)).status_code == 200
    (part,) = parts(server.requests[0])
    assert part.get_payload(decode=True) == CONTENT


async def test_a_response_before_the_end_of_an_upload_closes_its_file(path: Path) -> None:
    """The response doesn't keep it open."""

    async def reject(wire: Wire) -> None:
        await wire.read(1000)
        await wire.answer(413, b"", "Connection: close")

    async with (
        FaultServer(reject) as server,
        AsyncResilientClient(trust_env=False) as client,
    ):
        response = await client.request("POST", server.url, files={"f": path})
        stream: Any = response.request.stream
        while hasattr(stream, "source"):
            stream = stream.source
        assert isinstance(stream.fields[0].file, PathFile)
        assert stream.fields[0].file._file is None
        assert response.status_code == 413


async def test_a_slow_file_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """Another task runs while it is being read: here it is what lets the file be read on."""

    class SlowFile(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            loop.call_soon_threadsafe(asked.set)
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(30)
            return super().read(size)

    async def release() -> None:
        await asked.wait()
        released.set()

    loop = asyncio.get_running_loop()
    asked, released = asyncio.Event(), asyncio.Event()
    path = tmp_path / "a"
    path.write_bytes(b"content")
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(release())
        with SlowFile(io.FileIO(path)) as slow:
            await (await client.post_multipart(server.url, {"f": slow}))
    (part,) = parts(server.requests[0])
    assert part.get_payload(decode=True) == b"content"


async def test_an_error_of_a_file_is_the_error_of_the_request(tmp_path: Path) -> None:
    """A file that disappears after the request was submitted."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    async with (
        FaultServer(answer()) as server,
        AsyncResilientClient(trust_env=False) as client,
    ):
        with pytest.raises(FileNotFoundError):
            await client.post_multipart(server.url, {"f": tmp_path / "missing"})
        task = await client.post_multipart(server.url, {"f": path})
        path.unlink()
        with pytest.raises(FileNotFoundError):
            await task
    assert server.requests == []


MEMORY = """
    import asyncio, pathlib, resource, sys
    from typed_async_client import AsyncResilientClient

    SIZE = 64 * 2**20

    async def discard(reader, writer):
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0])
        while length > 0:
            length -= len(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        await writer.drain()
        writer.close()

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def main():
        large, small = pathlib.Path(sys.argv[1], "large"), pathlib.Path(sys.argv[1], "small")
        small.write_bytes(b"x")
        with large.open("wb") as file:
            file.truncate(SIZE)
        server = await asyncio.start_server(discard, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with AsyncResilientClient(trust_env=False) as client:
            await (await client.post_multipart(url, {"f": small}))
            before = peak()
            await (await client.post_multipart(url, {"f": large}))
            print(peak() - before)
        server.close()

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    """A file of 64 MiB costs less than 16 MiB."""
    command = [sys.executable, "-c", textwrap.dedent(MEMORY), str(tmp_path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 16 * 1024
