"""``response.aiter_lines()`` gives the lines of the whole text, whatever the parts of the body."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from hypothesis import given
from splits import parts_of, split_bytes

from typed_async_client.pool.response import WholeResponse

PIECES = [
    *(b"a", b"\r", b"\n", b"\r\n", b"\x0b", b"\x0c", b"\x1c", b"\x1e", b"\xff", b"\xe6\x97"),
    *(text.encode() for text in ("\x85", "\u2028", "\u2029", "é", "日", "😀", "word")),
]


class Body(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body in parts."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts


@pytest.fixture(name="runner", scope="module")
def start_runner() -> Iterator[asyncio.Runner]:
    """Start a loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


async def lines_of(parts: list[bytes]) -> list[str]:
    """Return the lines of a response of our pool."""
    return [line async for line in WholeResponse(200, [], Body(parts), {}).aiter_lines()]


@given(case=split_bytes(PIECES))
def test_lines_are_those_of_the_whole_text(
    runner: asyncio.Runner, case: tuple[bytes, list[bytes]]
) -> None:
    """As ``str.splitlines()`` splits it, synchronously too."""
    data, parts = case
    expected = data.decode("utf-8", "replace").splitlines()
    assert runner.run(lines_of(parts)) == expected
    assert list(httpx.Response(200, stream=Body(parts)).iter_lines()) == expected


async def test_every_split_of_a_text_gives_the_same_lines() -> None:
    """Two cuts, at each pair of positions."""
    text = "a\r\n日\r\r\n😀\u2028\nb\r"
    data = text.encode()
    for first in range(len(data)):
        for second in range(first, len(data)):
            assert await lines_of(parts_of(data, [first, second])) == text.splitlines()
