"""Reads open files as request bodies, from where they stood when the request was submitted."""

import inspect
import io
import math
import os
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from typed_async_client.sources.kinds import refused_kind

__all__ = ["FileBody", "is_file", "is_text", "position_of"]

_CHUNK: Final = 256 * 1024
"""Bytes per read: copying them takes several times as long as handing them to the event loop."""

_PLAIN: Final = (io.BufferedReader, io.BufferedRandom, io.FileIO)
"""Files of the system. Others that are derived from ``io.BufferedIOBase`` may decompress."""


class FileBody(NamedTuple):
    """How an open file is sent.

    Attributes:
        open_parts: returns its parts, from the start each time; they are read in a thread.
        length: the bytes to send; None if that isn't known before.
        is_single_use: whether it can't be rewound, as a pipe can't.
    """

    open_parts: Callable[[], Iterator[bytes]]
    length: int | None
    is_single_use: bool

    @classmethod
    def of(cls, file: Any) -> "FileBody":
        """Look at an open file, which isn't read yet, and stays at its position.

        Raises:
            TypeError: it can't be read, or not as bytes.
            ValueError: it is closed.
        """
        _check(file)
        start = position_of(file)
        if start is None:
            return cls(lambda: _rest(file), None, is_single_use=True)
        length = _length_from(file, start)
        parts = _by_position if type(file) in _PLAIN and hasattr(os, "pread") else _rewound
        return cls(lambda: parts(file, start, length), length, is_single_use=False)


def is_file(content: Any) -> bool:
    """Whether an object has the method that makes a file of it."""
    return callable(getattr(content, "read", None))


def is_text(file: Any) -> bool:
    """Whether a file was opened in text mode."""
    return isinstance(file, io.TextIOBase) or hasattr(file, "encoding")


def position_of(file: Any) -> int | None:
    """Return where a file stands; None if it can't be rewound to it."""
    if not (hasattr(file, "seek") and hasattr(file, "tell")):
        return None
    seekable = getattr(file, "seekable", None)
    try:
        return int(file.tell()) if seekable is None or seekable() else None
    except OSError:  # io.UnsupportedOperation is one
        return None


def _check(file: Any) -> None:
    if is_text(file):
        raise TypeError(refused_kind(file))
    if getattr(file, "closed", False) is True:
        raise ValueError(
            "content is a file that is closed: keep it open until the response is there"
        )
    readable = getattr(file, "readable", None)
    if callable(readable) and not readable():
        raise TypeError("content is a file that was opened for writing only: open it in mode 'rb'")
    if inspect.iscoroutinefunction(file.read):
        raise TypeError(
            f"content is a {type(file).__name__} whose read() is async, and that isn't an async "
            "iterable: pass an async generator that yields what it reads"
        )


def _length_from(file: Any, start: int) -> int | None:
    """Return how many bytes a file has from a position on; None if that takes reading it."""
    is_plain = type(file) in _PLAIN and isinstance(getattr(file, "raw", file), io.FileIO)
    if isinstance(file, io.BufferedIOBase | io.RawIOBase) and not is_plain:
        return None
    try:
        file.seek(0, os.SEEK_END)
        end = int(file.tell())
        file.seek(start)
        if end <= start and file.read(1):  # as in /proc, where the size of a file is unknown
            file.seek(start)
            return None
    except (OSError, ValueError):
        file.seek(start)
        return None
    return max(end - start, 0)


def _by_position(file: Any, start: int, length: int | None) -> Iterator[bytes]:
    """Read a file of the system, whose position isn't moved: others may read it at the same time."""

    def read(size: int, position: int) -> bytes:
        return os.pread(file.fileno(), size, position)  # fileno() raises if it was closed

    return _parts(read, start, length)


def _rewound(file: Any, start: int, length: int | None) -> Iterator[bytes]:
    """Read any other file that can be rewound."""

    def read(size: int, position: int) -> bytes:
        file.seek(position)
        data: bytes = _received(file.read(size))
        return data

    return _parts(read, start, length)


def _parts(read: Callable[[int, int], bytes], position: int, length: int | None) -> Iterator[bytes]:
    left = math.inf if length is None else length
    while left > 0:
        data = read(int(min(left, _CHUNK)), position)
        if not data:
            return
        position += len(data)
        left -= len(data)
        yield data


def _rest(file: Any) -> Iterator[bytes]:
    """Read what can't be rewound, without waiting for more than there is."""
    read = getattr(file, "read1", file.read)
    while data := _received(read(_CHUNK)):
        yield data


def _received(data: Any) -> Any:
    if data is None:
        raise BlockingIOError("the file of a request body is in non-blocking mode, and has no data")
    return data
