"""Downloads that are killed again and again, from a server that cuts connections as well."""

import asyncio
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from file_server import PIECE, FileServer, names, serving

from typed_async_client.testing import SeenRequest, Wire

KILLS = 50
CHUNK = 256 * 1024
"""What a kill may lose: bytes that were sent, and aren't on the disk yet. That is how many a connection
of the client buffers; the system buffers fewer here. It is half of what is sent between two kills."""

pytestmark = pytest.mark.usefixtures("no_leaks")


class Killer(FileServer):
    """Kills, or cuts the connection, each time that a random number of bytes was sent.

    Attributes:
        kills: what is called for each, with the request that is being answered.
    """

    def __init__(self, size: int, seed: int, kills: list[Any]) -> None:
        super().__init__(body=random.Random(seed).randbytes(size))
        self.kills = kills
        self._most = size // len(kills)
        self._random = random.Random(seed)
        self._request: SeenRequest | None = None

    async def __call__(self, request: SeenRequest, wire: Wire) -> None:
        """Answer one request."""
        sock = wire.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
        wire.transport.set_write_buffer_limits(0)
        self._request = request
        await super().__call__(request, wire)

    async def send_body(self, body: bytes, wire: Wire) -> None:
        """Send a little of a body, and kill its client, or cut its connection."""
        if self.kills and self._random.random() < 0.5:
            await super().send_body(body[: self._random.randrange(self._most)], wire)
            self.kills.pop()(self._request)
            await wire.stall()
            return
        self.cuts = [self._random.randrange(50_000)] if self.kills else []
        await super().send_body(body, wire)


def kill_process(request: SeenRequest) -> None:
    """Kill the process that has sent a request."""
    os.kill(int(request.headers["x-pid"]), signal.SIGKILL)


async def test_a_download_that_is_cancelled_fifty_times_sends_hardly_anything_twice(
    tmp_path: Path,
) -> None:
    """The file is byte-identical; each cancellation loses at most what was just sent."""
    path, tasks = tmp_path / "a", list[asyncio.Task[Any]]()

    def cancel(request: SeenRequest) -> None:
        tasks[-1].cancel()

    files = Killer(6_000_000, 11, [cancel] * KILLS)
    async with serving(files) as (url, client):
        while not path.exists():
            tasks.append(asyncio.create_task(client.download(url, path)))
            await asyncio.wait({tasks[-1]})
    assert path.read_bytes() == files.body
    assert names(tmp_path) == {"a"}
    assert [task.cancelled() for task in tasks] == [True] * KILLS + [False]
    assert len(files.ranges) > KILLS + 20  # there were cut connections as well
    assert files.sent <= len(files.body) + KILLS * 2 * PIECE


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize(
    ("kills", "size"), [(5, 3_000_000), pytest.param(KILLS, 40_000_000, marks=pytest.mark.bulk)]
)
async def test_a_download_whose_process_is_killed_sends_hardly_anything_twice(
    tmp_path: Path, kills: int, size: int
) -> None:
    """With SIGKILL, in the middle of whatever it is doing."""
    path = tmp_path / "a"
    files = Killer(size, 12, [kill_process] * kills)
    async with serving(files) as (url, _):
        program = Path(__file__).with_name("killed_downloads.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable, program, url, path, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert output.decode().split("\n") == ["ended with 9"] * kills + ["done", ""]
    assert path.read_bytes() == files.body
    assert names(tmp_path) == {"a"}
    assert files.sent <= len(files.body) + kills * CHUNK
