"""Measures large bodies, up and down: megabytes per second, next to httpx and aiohttp, and memory.

The clients take turns in each round, in alternating order, and the ratio to aiohttp is calculated within
each round. The server is ``body_server.py``, in a process of its own. The memory is that of a process which
downloads one gibibyte, beyond what it needed for a small response.

Run it with ``python benchmarks/bodies.py``; ``--rounds`` and ``--size`` make it longer or shorter.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import io
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any, cast

import aiohttp
import httpx

from typed_async_client import AsyncResilientClient

MIB = 2**20
PART = 64 * 1024
BASELINE = "aiohttp"
NOT_SENT = ("httpx", "upload of a file")
"""What httpx's asynchronous client refuses."""

MAX_GROWTH = 8.0
"""Mebibytes that a download may need."""


class MismatchError(Exception):
    """A transfer had another size than it should have."""


async def parts(size: int) -> AsyncIterator[bytes]:
    """Generate the body of an upload."""
    part = bytes(PART)
    for _ in range(size // PART):
        yield part


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One transfer.

    Attributes:
        url: the URL of the server, without the size.
        size: bytes to transfer.
        path: a file of that size.
    """

    url: str
    size: int
    path: pathlib.Path

    def body(self, kind: str) -> Any:
        """Return the body of an upload of that kind."""
        if kind == "generator":
            return parts(self.size)
        return bytes(self.size) if kind == "bytes" else self.path.open("rb")


class Ours:
    """Our client."""

    def client(self) -> Any:
        """Return a client to open."""
        return AsyncResilientClient()

    async def stream(self, client: Any, url: str) -> int:
        """Read a body part by part; return its size."""
        async with client.stream("GET", url) as response:
            return sum([len(part) async for part in response.aiter_bytes()])

    async def whole(self, client: Any, url: str) -> int:
        """Read a body in one piece; return its size."""
        return len((await client.request("GET", url)).content)

    async def upload(self, client: Any, url: str, body: Any) -> None:
        """Send a body."""
        await client.request("POST", url, content=body)


class Httpx(Ours):
    """httpx."""

    def client(self) -> Any:
        """Return a client to open."""
        return httpx.AsyncClient()


class Aiohttp(Ours):
    """aiohttp."""

    def client(self) -> Any:
        """Return a session to open."""
        return aiohttp.ClientSession()

    async def stream(self, client: Any, url: str) -> int:
        """Read a body part by part; return its size."""
        async with client.get(url) as response:
            return sum([len(part) async for part in response.content.iter_any()])

    async def whole(self, client: Any, url: str) -> int:
        """Read a body in one piece; return its size."""
        async with client.get(url) as response:
            return len(await response.read())

    async def upload(self, client: Any, url: str, body: Any) -> None:
        """Send a body."""
        async with client.post(url, data=body) as response:
            await response.read()


CLIENTS: dict[str, Ours] = {"ours": Ours(), "httpx": Httpx(), BASELINE: Aiohttp()}

KINDS = (
    "download, streamed",
    "download, in one piece",
    "upload of a generator",
    "upload of bytes",
    "upload of a file",
)


async def speed(ours: Ours, kind: str, job: Job) -> float:
    """Return the megabytes per second of one transfer, with a client that is open already."""
    async with ours.client() as client:
        body = job.body(kind.rsplit(maxsplit=1)[-1]) if kind.startswith("upload") else None
        start = time.perf_counter()
        if body is not None:
            received = job.size
            await ours.upload(client, f"{job.url}0", body)
        elif kind.endswith("streamed"):
            received = await ours.stream(client, f"{job.url}{job.size}")
        else:
            received = await ours.whole(client, f"{job.url}{job.size}")
        elapsed = time.perf_counter() - start
    if isinstance(body, io.IOBase):
        body.close()
    if received != job.size:
        raise MismatchError(kind, received)
    return job.size / elapsed / 1e6


def compare(job: Job, rounds: int) -> None:
    """Print one row per kind of transfer and client."""
    print(f"{'':26}{'client':10}{'MB/s':>8}{'x aiohttp':>11}")
    for kind in KINDS:
        names = [each for each in CLIENTS if (each, kind) != NOT_SENT]
        measured: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds + 1):  # the first warms up
            for name in names[:: 1 if turn % 2 else -1]:
                measured[name].append(asyncio.run(speed(CLIENTS[name], kind, job)))
        for name, speeds in measured.items():
            pairs = zip(speeds[1:], measured[BASELINE][1:], strict=True)
            ratio = statistics.median(own / other for own, other in pairs)
            print(f"{kind:26}{name:10}{statistics.median(speeds[1:]):8.0f}{ratio:11.2f}")


async def growth(url: str) -> float:
    """Return the mebibytes that a download of one gibibyte adds to this process."""
    async with AsyncResilientClient() as client:
        await client.request("GET", f"{url}1000")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with client.stream("GET", f"{url}{2**30}") as response:
            async for _ in response.aiter_bytes():
                pass
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run the server in a process of its own; yield its URL."""
    script = pathlib.Path(__file__).with_name("body_server.py")
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own server
        try:
            yield f"http://127.0.0.1:{cast('IO[str]', process.stdout).readline().strip()}/"
        finally:
            process.terminate()


def main() -> None:
    """Measure everything, in this process and in one for the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=256, help="mebibytes of each transfer")
    parser.add_argument("--growth", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.growth:
        print(asyncio.run(growth(options.growth)))
        return
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "upload")
        path.write_bytes(bytes(options.size * MIB))
        compare(Job(url, options.size * MIB, path), options.rounds)
        command = [sys.executable, __file__, "--growth", url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this script
        grown = float(done.stdout)
        verdict = "" if grown <= MAX_GROWTH else f", more than {MAX_GROWTH:.0f}"
        print(f"\nmemory for a streamed download of 1 GiB: {grown:.1f} MiB{verdict}")


if __name__ == "__main__":
    main()
