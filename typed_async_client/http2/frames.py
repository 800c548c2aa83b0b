"""The frames of HTTP/2, RFC 9113 section 4.1: cut out of bytes that come in any pieces, and made.

Pure: bytes go in, frames come out. It knows no stream's state and judges nothing.
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
"""What a client begins a connection with, RFC 9113 section 3.4."""

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 3, 4, 5
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
END_STREAM = 0x1
"""Flag of DATA and HEADERS: the stream's sender is done."""
END_HEADERS = 0x4
"""Flag of HEADERS, PUSH_PROMISE and CONTINUATION: nothing may stand between them before it."""
ACK = 0x1
"""Flag of SETTINGS: it only says that the other side's were taken."""

REFUSED_STREAM, CANCEL = 7, 8
"""Error codes: the stream was not processed; it is not wanted any more. RFC 9113 section 7."""

_HEAD = struct.Struct(">HBBBL")
"""Length in two parts, kind, flags, stream."""


class Frame(NamedTuple):
    """One frame; ``data`` is all of it, its head of nine bytes included."""

    kind: int
    flags: int
    stream_id: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """What follows the head."""
        return self.data[_HEAD.size :]


class FrameReader:
    """Cuts bytes into frames.

    A frame longer than allowed comes out as it is, with all that follows it, as one piece of
    ``kind`` -1: whoever reads it will refuse it, and nothing is kept in memory meanwhile.

    Args:
        longest: bytes that a payload may have.
    """

    def __init__(self, *, longest: int) -> None:
        self._longest = longest
        self._rest = b""
        self._is_lost = False

    def read(self, data: bytes) -> list[Frame]:
        """Give the frames that are whole now; the beginning of another one is kept."""
        data = self._rest + data
        frames, start = [], 0
        while len(data) - start >= _HEAD.size and not self._is_lost:
            high, low, kind, flags, stream_id = _HEAD.unpack_from(data, start)
            length = high << 8 | low
            end = start + _HEAD.size + length
            self._is_lost = length > self._longest
            if end > len(data) or self._is_lost:
                break
            frames.append(Frame(kind, flags, stream_id & 0x7FFFFFFF, data[start:end]))
            start = end
        self._rest = data[start:]
        if self._is_lost and self._rest:
            frames.append(Frame(-1, 0, 0, self._rest))
            self._rest = b""
        return frames


def make_frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Make a frame."""
    high, low = divmod(len(payload), 256)
    return _HEAD.pack(high, low, kind, flags, stream_id) + payload


def reset_frame(stream_id: int, error_code: int) -> bytes:
    """Make a frame that ends a stream, RFC 9113 section 6.4."""
    return make_frame(RST_STREAM, 0, stream_id, error_code.to_bytes(4, "big"))


def window_frame(stream_id: int, size: int) -> bytes:
    """Make a frame that allows ``size`` bytes more, RFC 9113 section 6.9; stream 0 is all of them."""
    return make_frame(WINDOW_UPDATE, 0, stream_id, size.to_bytes(4, "big"))
