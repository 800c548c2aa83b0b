"""Splits bytes into HTTP/2 frames, RFC 9113 section 4.1.

Pure: bytes go in, frames come out. It tracks no stream and validates nothing.
"""

import struct
from typing import NamedTuple

__all__ = [
    "ACK",
    "CONTINUATION",
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "GOAWAY",
    "HEADERS",
    "OVERSIZED",
    "PING",
    "PRIORITY",
    "PUSH_PROMISE",
    "RST_STREAM",
    "SETTINGS",
    "WINDOW_UPDATE",
    "Frame",
    "FrameReader",
    "is_plain",
    "name_of",
]

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 2, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
OVERSIZED = -1
"""Not a type of RFC 9113 section 6: stands for a frame that is too large, and all that follows it."""

_NAMES = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)

END_STREAM = 0x1
"""Flag of DATA and HEADERS: the sender sends no more on the stream."""
END_HEADERS = 0x4
"""Flag of HEADERS, PUSH_PROMISE and CONTINUATION: the field block is complete."""
ACK = 0x1
"""Flag of SETTINGS and PING: it acknowledges the peer's, and has nothing of its own."""

_HEADER = struct.Struct(">HBBBL")
"""Length in two parts, type, flags, stream ID."""


class Frame(NamedTuple):
    """One frame; ``data`` is the whole frame, including its header of nine bytes."""

    kind: int
    flags: int
    stream_id: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """The bytes after the header."""
        return self.data[_HEADER.size :]

    @property
    def size(self) -> int:
        """The number of bytes after the header."""
        return len(self.data) - _HEADER.size


class FrameReader:
    """Splits bytes into frames.

    A frame that is too large is passed on together with everything that follows it, as frames of
    ``kind`` ``OVERSIZED``: the receiver refuses it, and nothing is buffered here meanwhile.

    Args:
        max_payload: the most bytes that a payload may have.
    """

    def __init__(self, *, max_payload: int) -> None:
        self._max_payload = max_payload
        self._buffer = b""
        self._is_oversized = False

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete; an incomplete one is buffered."""
        data = self._buffer + data if self._buffer else data
        frames, start = [], 0
        while len(data) - start >= _HEADER.size and not self._is_oversized:
            high, low, kind, flags, stream_id = _HEADER.unpack_from(data, start)
            length = high << 8 | low
            end = start + _HEADER.size + length
            self._is_oversized = length > self._max_payload
            if end > len(data) or self._is_oversized:
                break
            frames.append(Frame(kind, flags, stream_id & 0x7FFFFFFF, data[start:end]))
            start = end
        self._buffer = data[start:]
        if self._is_oversized and self._buffer:
            frames.append(Frame(OVERSIZED, 0, 0, self._buffer))
            self._buffer = b""
        return frames


def is_plain(frame: Frame) -> bool:
    """Whether it is a part of a body, or a whole head, with neither padding nor a priority."""
    if frame.kind == DATA:
        return frame.stream_id != 0 and not frame.flags & ~END_STREAM
    is_head = frame.kind == HEADERS and frame.flags & END_HEADERS != 0
    return is_head and frame.stream_id != 0 and not frame.flags & ~(END_HEADERS | END_STREAM)


def name_of(kind: int) -> str:
    """Return the name of a type of frames."""
    return _NAMES[kind] if 0 <= kind < len(_NAMES) else f"unknown ({kind})"
