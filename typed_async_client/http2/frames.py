"""Splits bytes into HTTP/2 frames and builds frames, RFC 9113 section 4.1.

Pure: bytes go in, frames come out. It tracks no stream and validates nothing.
"""

import struct
from typing import NamedTuple

__all__ = [
    "ACK",
    "CANCEL",
    "CONTINUATION",
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "GOAWAY",
    "HEADERS",
    "PREFACE",
    "PUSH_PROMISE",
    "REFUSED_STREAM",
    "RST_STREAM",
    "SETTINGS",
    "WINDOW_UPDATE",
    "Frame",
    "FrameReader",
    "make_frame",
    "reset_frame",
    "window_frame",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes that a client sends on a connection, RFC 9113 section 3.4."""

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 3, 4, 5
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
END_STREAM = 0x1
"""Flag of DATA and HEADERS: the sender sends no more on the stream."""
END_HEADERS = 0x4
"""Flag of HEADERS, PUSH_PROMISE and CONTINUATION: the field block is complete."""
ACK = 0x1
"""Flag of SETTINGS: it acknowledges the peer's settings and has none of its own."""

REFUSED_STREAM, CANCEL = 7, 8
"""Error codes: the stream wasn't processed; it is no longer needed. RFC 9113 section 7."""

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


class FrameReader:
    """Splits bytes into frames.

    A frame that is too large is passed on together with everything that follows it, as frames of
    ``kind`` -1. The receiver will refuse it, and nothing is buffered here meanwhile.

    Args:
        max_payload: the most bytes that a payload may have.
    """

    def __init__(self, *, max_payload: int) -> None:
        self._max_payload = max_payload
        self._buffer = b""
        self._is_oversized = False

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete; an incomplete one is buffered."""
        data = self._buffer + data
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
            frames.append(Frame(-1, 0, 0, self._buffer))
            self._buffer = b""
        return frames


def make_frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Build a frame."""
    high, low = divmod(len(payload), 256)
    return _HEADER.pack(high, low, kind, flags, stream_id) + payload


def reset_frame(stream_id: int, error_code: int) -> bytes:
    """Build a RST_STREAM frame, RFC 9113 section 6.4."""
    return make_frame(RST_STREAM, 0, stream_id, error_code.to_bytes(4, "big"))


def window_frame(stream_id: int, size: int) -> bytes:
    """Build a WINDOW_UPDATE frame, RFC 9113 section 6.9; stream 0 is the whole connection."""
    return make_frame(WINDOW_UPDATE, 0, stream_id, size.to_bytes(4, "big"))
