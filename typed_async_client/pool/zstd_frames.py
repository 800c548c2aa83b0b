"""Cuts the data of zstd frames into slices that decode to a bounded size, RFC 8878 section 3.1.

The library decodes all that it is given in one call, and four bytes can decode to 128 KiB. Only the
headers of frames and blocks are read here. Whether they are valid is left to the library.
"""

import sys
from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

__all__ = ["FrameSlicer"]

_BLOCKS: Final = 8
"""Blocks in a slice, each of which decodes to 128 KiB at most (RFC 8878 section 3.1.1.2.4)."""

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = 0x184D2A50
_RLE: Final = 1
"""The type of a block that consists of one byte to repeat."""


class _Part(NamedTuple):
    """A part of a frame.

    Attributes:
        length: its bytes.
        is_header: whether it says what follows.
        ends_slice: whether a slice ends with it.
    """

    length: int
    is_header: bool = False
    ends_slice: bool = False


def _layout() -> Generator[_Part, bytes, None]:
    """Yield the parts of frames, one after another; each header is sent back."""
    while True:
        start = yield _Part(5, is_header=True)
        if start[:4] == _MAGIC:
            yield from _blocks(start[4])
        elif int.from_bytes(start[:4], "little") & ~0xF == _SKIPPABLE:
            size = start[4:] + (yield _Part(3, is_header=True))
            yield _Part(int.from_bytes(size, "little"), ends_slice=True)
        else:
            yield _Part(sys.maxsize)  # it is no frame


def _blocks(descriptor: int) -> Generator[_Part, bytes, None]:
    """Yield the parts of a frame after its magic number and its descriptor."""
    is_single = bool(descriptor & 0x20)
    of_dictionary = (0, 1, 2, 4)[descriptor & 3]
    of_content_size = (int(is_single), 2, 4, 8)[descriptor >> 6]
    yield _Part((not is_single) + of_dictionary + of_content_size)
    is_last, number = False, 0
    while not is_last:
        header = int.from_bytes((yield _Part(3, is_header=True)), "little")
        is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        number += 1
        yield _Part(1 if kind == _RLE else size, ends_slice=number % _BLOCKS == 0)
    yield _Part(4 if descriptor & 4 else 0, ends_slice=True)


class FrameSlicer:
    """Cuts data that arrives in parts; each frame starts with a slice of its own."""

    def __init__(self) -> None:
        self._layout = _layout()
        self._part = next(self._layout)
        self._header = b""
        self._missing = self._part.length

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yield the data in slices."""
        start = position = 0
        while position < len(data):
            end = min(position + self._missing, len(data))
            if self._part.is_header:
                self._header += data[position:end]
            self._missing -= end - position
            position = end
            if self._missing == 0 and self._begin_part():
                yield data[start:position]
                start = position
        if start < position:
            yield data[start:]

    def _begin_part(self) -> bool:
        """Go on to the next part that isn't empty; return whether a slice ends before it."""
        ends_slice = False
        while self._missing == 0:
            ends_slice = ends_slice or self._part.ends_slice
            self._part = self._layout.send(self._header)
            self._header, self._missing = b"", self._part.length
        return ends_slice
