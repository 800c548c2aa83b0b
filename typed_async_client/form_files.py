"""Files of forms: opened when they are sent, if they are given by their path, and read in a thread.

So a slow disk doesn't hold up the event loop.
"""

import asyncio
import contextvars
import io
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Final

from typed_async_client.waiting import until_done

__all__ = ["PathFile", "parts_of"]

_READ_AT_ONCE: Final = 2**20
"""Bytes that a thread reads at once, and that are sent as one piece, while the next ones are read. With the
64 KiB of httpx's pieces, waking a thread for each would take longer than reading in the loop."""

_ON_DISK: Final = (io.FileIO, io.BufferedReader, io.BufferedRandom)


class PathFile:
    """A file that is opened when it is read, and closed at its end. It has the size that it had at first.

    Args:
        path: the path.

    Raises:
        OSError: there is no such file, or it can't be looked at.
        ValueError: it isn't a regular file, so that its size isn't known.
    """

    def __init__(self, path: Path) -> None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{str(path)!r} isn't a regular file: open it yourself, and pass that")
        self.name: str = str(path)
        self._path = path
        self._size = status.st_size
        self._position = 0
        self._file: IO[bytes] | None = None

    def seekable(self) -> bool:
        """Whether it can be read again from its start: always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes; empty at the end."""
        rest = self._size - self._position
        wanted = rest if size < 0 else min(size, rest)
        if self._file is None and wanted > 0:
            self._file = self._path.open("rb")
            self._file.seek(self._position)
        data = b"" if self._file is None else self._file.read(wanted)
        self._position += len(data)
        if len(data) < wanted or self._position >= self._size:
            self.close()
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another position, and return it."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = max(0, starts[whence] + offset)
        if self._file is not None:
            self._file.seek(self._position)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def close(self) -> None:
        """Close the file, if it is open; it may be read again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()


def parts_of(body: Any) -> AsyncIterator[bytes]:
    """Return an iterator over a request body; it reads the files of a form in a thread.

    Args:
        body: the body, of httpx or httpx2.
    """
    files = [file for file in _files_of(body) if _is_on_disk(file)]
    return _read_in_thread(iter(body), files) if files else aiter(body)


def _files_of(body: Any) -> list[Any]:
    """Return the files of a form; empty for another body."""
    if type(body).__name__ != "MultipartStream":
        return []
    return [file for field in body.fields if (file := getattr(field, "file", None)) is not None]


def _is_on_disk(file: Any) -> bool:
    if isinstance(file, PathFile):
        return True
    return isinstance(getattr(file, "file", file), _ON_DISK)  # a temporary file wraps another one


async def _read_in_thread(parts: Iterator[bytes], files: list[Any]) -> AsyncIterator[bytes]:
    """Yield what an iterator yields, which is called in a thread, one piece ahead."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    reading = loop.run_in_executor(None, context.run, _take, parts)
    try:
        while True:
            await asyncio.wait({reading})  # if this is cancelled, the thread reads on
            taken = reading.result()
            if not taken:
                break
            reading = loop.run_in_executor(None, context.run, _take, parts)
            yield taken
    finally:
        try:
            await until_done([reading])  # the next attempt reads the same files
        finally:
            for file in files:
                if isinstance(file, PathFile):
                    file.close()


def _take(parts: Iterator[bytes]) -> bytes:
    """Return the next parts in one piece, of about as many bytes as are read at once; empty at the end."""
    taken: list[bytes] = []
    size = 0
    for part in parts:
        taken.append(part)
        size += len(part)
        if size >= _READ_AT_ONCE:
            break
    return b"".join(taken)
