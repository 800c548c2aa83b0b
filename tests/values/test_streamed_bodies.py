"""Bodies that are read while they are sent: which of them can be read again, and what they notice."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import RequestBodyConsumedError
from typed_async_client.sources.kinds import kind_of
from typed_async_client.sources.readings import Readings
from typed_async_client.sources.streamed import as_body
from typed_async_client.sources.threads import ThreadParts


async def read(body: Any) -> bytes:
    """Read a body once."""
    return b"".join([part async for part in body])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, None),
        ("text", "text"),
        (b"bytes", b"bytes"),
        (bytearray(b"bytes"), b"bytes"),
        (memoryview(b"bytes"), b"bytes"),
        ([b"by", bytearray(b"tes")], b"bytes"),
        ((), b""),
        (io.BytesIO(b"bytes"), b"bytes"),
    ],
)
def test_what_is_in_memory_becomes_bytes(content: Any, expected: Any) -> None:
    """Later changes aren't sent."""
    assert as_body(content) == expected


def test_a_file_in_memory_is_sent_from_its_position() -> None:
    """It stays there."""
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    assert as_body(file) == b"456789"
    assert file.tell() == 4


@pytest.mark.parametrize("content", [{}, {"a": b"b"}, 3, object(), io.StringIO("a")])
def test_what_cannot_be_a_body_is_refused(content: Any) -> None:
    """The message names its type."""
    with pytest.raises(TypeError, match=type(content).__name__):
        as_body(content)


@pytest.mark.parametrize("part", ["text", 3, None])
def test_a_list_of_something_else_is_refused(part: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError, match=f"must be bytes, got {type(part).__name__}"):
        as_body([b"bytes", part])


def test_a_body_stays_what_it_is() -> None:
    """A middleware passes it on."""
    body = as_body(iter([b"bytes"]))
    assert as_body(body) is body


async def test_a_body_that_can_be_read_once_is_refused_a_second_time() -> None:
    """It would be empty; asking whether it can be read isn't reading it."""
    body = as_body(iter([b"by", b"tes"]))
    assert aiter(body) is not aiter(body)
    assert not body.is_consumed
    assert await read(body) == b"bytes"
    assert body.is_consumed
    with pytest.raises(RequestBodyConsumedError, match="comes from an iterator, which can be read"):
        await read(body)


class AsyncFile:
    """An open file with the method that httpx looks for."""

    def __init__(self) -> None:
        self._file = io.BytesIO(b"0123456789")

    async def aread(self, size: int) -> bytes:
        """Read some bytes."""
        return self._file.read(min(size, 3))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("read by lines")
        yield b""


async def test_an_async_file_is_read_once_and_in_chunks() -> None:
    """Not by lines."""
    body = as_body(AsyncFile())
    assert (body.kind, body.is_single_use) == ("an async file", True)
    assert await read(body) == b"0123456789"


class Iterable:
    """Starts over each time, and counts its generators that are open."""

    def __init__(self) -> None:
        self.open = 0

    def __iter__(self) -> Iterator[bytes]:
        self.open += 1
        try:
            while True:
                yield bytes(1000)
        finally:
            self.open -= 1


async def test_a_second_reading_ends_the_first() -> None:
    """Nobody will read that on; its generator is closed."""
    source = Iterable()
    body = as_body(source)
    first = aiter(body)
    await anext(first)
    await anext(aiter(body))
    with pytest.raises(asyncio.CancelledError):
        await anext(first)
    await body.aclose()
    await body.aclose()
    assert body.kind == "an iterable"
    for thread in threading.enumerate():
        if thread.name == "typed_async_client: request body":
            thread.join(10)
    assert source.open == 0


class AsyncIterable:
    """Starts over each time."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"by"
        yield b"tes"


async def test_a_second_reading_of_an_async_iterable_starts_over() -> None:
    """The first one wasn't read to its end."""
    body = as_body(AsyncIterable())
    first = aiter(body)
    assert await anext(first) == b"by"
    assert await read(body) == b"bytes"
    assert (body.kind, body.is_single_use) == ("an async iterable", False)


async def test_a_thread_reads_ahead_by_a_limited_amount() -> None:
    """However long nobody takes what it has read."""
    produced: list[int] = []

    def parts() -> Iterator[bytes]:
        while True:
            produced.append(1)
            yield bytes(100 * 1024)

    reading = ThreadParts(parts)
    await reading.__anext__()
    while len(produced) < 7:  # noqa: ASYNC110 - a thread sets no asyncio.Event
        await asyncio.sleep(0)
    await reading.aclose()  # waits for the thread, which has waited for room
    assert len(produced) <= 8


async def test_closing_does_not_wait_for_a_source_that_waits() -> None:
    """Its generator is closed as soon as it goes on."""
    asked, release, closed = threading.Event(), threading.Event(), threading.Event()

    def parts() -> Iterator[bytes]:
        try:
            yield b"bytes"
            asked.set()
            release.wait(30)
            yield b"more"
        finally:
            closed.set()

    reading = ThreadParts(parts)
    await reading.__anext__()
    while not asked.is_set():  # noqa: ASYNC110 - a thread sets no asyncio.Event
        await asyncio.sleep(0)
    await reading.aclose()
    assert not closed.is_set()
    release.set()
    assert await asyncio.to_thread(closed.wait, 30)


async def test_small_parts_are_handed_over_together() -> None:
    """As many as fit into 64 KiB."""
    reading = ThreadParts(lambda: iter([bytes(20 * 1024)] * 7))
    first = len(await reading.__anext__())
    while not reading._has_ended:  # noqa: ASYNC110 - a thread sets no asyncio.Event
        await asyncio.sleep(0)
    assert first in {20 * 1024, 40 * 1024, 60 * 1024}
    assert len(await reading.__anext__()) == 60 * 1024


async def test_a_body_that_nobody_has_read_is_closed_without_a_thread() -> None:
    """There is nothing to close."""
    reading = ThreadParts(lambda: iter([b"bytes"]))
    before = threading.active_count()
    await reading.aclose()
    assert threading.active_count() == before


def test_the_kind_of_a_source_is_told_in_words() -> None:
    """For messages."""
    kinds = ["a file that can't be rewound", "an iterator", "an iterable"]
    assert list(map(kind_of, [io.BytesIO(), iter([b""]), [b""]])) == kinds


# Readings


@given(body=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=5))
def test_the_same_bytes_in_other_parts_are_the_same(body: bytes, cuts: list[int]) -> None:
    """Wherever a part ends."""
    readings = Readings()
    assert not readings.difference(0, body)
    ends = [*sorted(min(cut, len(body)) for cut in cuts), len(body)]
    start = 0
    for end in ends:
        assert not readings.difference(start, body[start:end])
        start = end
    assert not readings.difference_at_end(len(body))


@given(body=st.binary(min_size=1, max_size=1000), index=st.integers(0, 999))
def test_another_byte_at_the_start_is_noticed(body: bytes, index: int) -> None:
    """Whichever it is."""
    index %= len(body)
    readings = Readings()
    assert not readings.difference(0, body)
    changed = bytearray(body)
    changed[index] ^= 1
    assert readings.difference(0, bytes(changed)) == "other bytes"


@given(read=st.integers(0, 5000), again=st.integers(0, 5000))
def test_a_shorter_body_is_noticed_at_its_end(read: int, again: int) -> None:
    """A longer one may be the rest of one that was read in part."""
    readings = Readings()
    assert not readings.difference(0, bytes(read))
    assert not readings.difference(0, bytes(again))
    assert readings.difference_at_end(again) == ("fewer bytes" if again < read else "")
