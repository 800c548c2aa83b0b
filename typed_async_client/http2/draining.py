"""What a server of HTTP/2 says about the end of a connection, told in words that httpcore follows.

httpcore fails every stream at a GOAWAY. Here the frames are read on their way: a GOAWAY is taken
out, and in its place each stream that it ends is reset; the others go on. Pure: bytes go in, bytes
come out. Which connection a request takes then is the pool's affair.
"""

import struct

from typed_async_client.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    FrameReader,
    make_frame,
    reset_frame,
    window_frame,
)

__all__ = ["FrameWatch"]

_NO_ERROR, _INTERNAL_ERROR = 0, 2
"""Error codes, RFC 9113 section 7."""

_FAREWELL = struct.Struct(">LL")
"""The last stream that was or will be processed, and an error code."""

_SETTING = struct.Struct(">HL")
"""A number and a value."""

_MAX_CONCURRENT_STREAMS = 3
"""The number of a setting, RFC 9113 section 6.5.2."""

_MOST = 100
"""Streams that httpcore opens at once on a connection, whatever the server allows."""

_LONGEST_INBOUND, _LONGEST_OUTBOUND = 2**14, 2**24 - 1
"""Bytes of a payload: what httpcore allows the server, and what a server may allow."""

_MOVING = (RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE)
"""Frames after which an upload that waits may have to go on, or to end."""

_BLOCK = (HEADERS, PUSH_PROMISE, CONTINUATION)
"""Frames that follow each other without any other one in between, RFC 9113 section 4.3."""

_NUDGE = make_frame(0xFF, 0, 0, b"")
"""Of a kind that nobody has defined, which is ignored: RFC 9113 section 5.5."""

_MAX_REMEMBERED = 1000
"""Streams ended by the server that are remembered."""


class FrameWatch:
    """Watches the frames of one connection, from the client's preface on.

    Attributes:
        drains: whether the connection takes no further stream.
        ended: streams that were ended before their time, until httpcore's state forgets them.
    """

    def __init__(self) -> None:
        self.drains: bool = False
        self.ended: set[int] = set()
        self._inbound = FrameReader(longest=_LONGEST_INBOUND)
        self._outbound = FrameReader(longest=_LONGEST_OUTBOUND)
        self._open: set[int] = set()  # sent, and not answered whole yet
        self._uploads: set[int] = set()  # whose body is still being sent
        self._is_in_block = False  # a head has begun to come, and its last frame is to follow
        self._nudges = 0
        self._newest = 0
        self._codes: dict[int, int] = {}  # of streams that the server ended
        self._replies: list[bytes] = []
        self._most_streams: int | None = None

    def receive(self, data: bytes) -> bytes:
        """Take what has come from the server; give what httpcore is to read of it."""
        return b"".join([self._receive(frame) for frame in self._inbound.read(data)])

    def send(self, data: bytes) -> bytes:
        """Take what httpcore writes; give what is to go out of it."""
        preface = PREFACE if data.startswith(PREFACE) else b""
        frames = self._outbound.read(data[len(preface) :])
        return preface + b"".join([self._send(frame) for frame in frames])

    def take_replies(self) -> bytes:
        """Give, once, what httpcore is to read in answer to frames that did not go out.

        Nothing inside a head that is still coming: what there is is read after it.
        """
        if self._is_in_block:
            return b""
        replies = b"".join(self._replies)
        self._replies.clear()
        return replies

    def take_nudge(self) -> bytes:
        """Give a frame without meaning, if another stream may have to look at its window.

        An upload of httpcore's that waits for room looks only after it has read something itself,
        though another stream may have read what gave it room: as many reads as there are streams
        must not wait then, or uploads wait for ever.
        """
        if self._nudges <= 0 or self._is_in_block:
            return b""
        self._nudges -= 1
        return _NUDGE

    @property
    def unfinished(self) -> set[int]:
        """The streams that were sent, and whose request or response is not whole yet."""
        return self._open | self._uploads

    @property
    def most_streams(self) -> int | None:
        """How many streams there may be at once; None before the server has said it."""
        return self._most_streams

    def reset_code(self, stream_id: int) -> int | None:
        """Give the error code that a stream was ended with, None when it was not.

        ``REFUSED_STREAM`` says that the server did not process it, or that it never went out.
        """
        return self._codes.get(stream_id)

    def _receive(self, frame: Frame) -> bytes:
        if self._uploads and frame.kind in _MOVING:
            self._nudges = len(self._open) + len(self._uploads)
        if frame.kind in _BLOCK:
            return self._receive_block(frame)
        if frame.kind == DATA and frame.flags & END_STREAM:
            self._open.discard(frame.stream_id)
        elif frame.kind == RST_STREAM:
            return self._reset(frame.stream_id, int.from_bytes(frame.payload, "big"))
        elif frame.kind == SETTINGS and not frame.flags & ACK:
            return self._settle(frame)
        elif frame.kind == GOAWAY and len(frame.payload) >= _FAREWELL.size:
            return self._drain(*_FAREWELL.unpack_from(frame.payload))
        return frame.data

    def _receive_block(self, frame: Frame) -> bytes:
        """Take a part of a head; behind its last one comes what had to wait for it."""
        if frame.kind == HEADERS and frame.flags & END_STREAM:
            self._open.discard(frame.stream_id)
        self._is_in_block = not frame.flags & END_HEADERS
        return frame.data + self.take_replies()

    def _drain(self, last_stream_id: int, error_code: int) -> bytes:
        """Reset what a GOAWAY ends, RFC 9113 section 6.8.

        Streams above the last one were not processed. Those up to it go on, or end with the error.
        """
        self.drains = True
        last_stream_id &= 0x7FFFFFFF
        ends = {stream_id: REFUSED_STREAM for stream_id in self._open if stream_id > last_stream_id}
        if error_code != _NO_ERROR:
            # whatever the code is, these may have been processed
            code = _INTERNAL_ERROR if error_code == REFUSED_STREAM else error_code
            ends = dict.fromkeys(self._open, code) | ends
        return b"".join([self._reset(*end) for end in ends.items()])

    def _reset(self, stream_id: int, error_code: int) -> bytes:
        """End a stream, and note it for an upload that waits for room on it."""
        if stream_id in self._open or stream_id in self._uploads:
            self.ended.add(stream_id)
        self._open.discard(stream_id)
        self._codes.setdefault(stream_id, error_code)  # late frames may be answered by another
        if len(self._codes) > _MAX_REMEMBERED:
            del self._codes[next(iter(self._codes))]
        self._uploads.discard(stream_id)
        return reset_frame(stream_id, error_code)

    def _settle(self, frame: Frame) -> bytes:
        """Make httpcore know from the first settings on how many streams there may be, once for all.

        It opens one at a time when they say nothing, and waits for ever when a number is lowered
        below the streams that are open: a connection that is told so drains instead.
        """
        if len(frame.payload) % _SETTING.size:
            return frame.data
        settings = dict(_SETTING.iter_unpack(frame.payload))
        before, told = self._most_streams, settings.get(_MAX_CONCURRENT_STREAMS)
        if before is None:
            self._most_streams = min(settings.setdefault(_MAX_CONCURRENT_STREAMS, _MOST), _MOST)
        elif told is None:
            return frame.data
        elif told < before:
            self.drains = True
            settings[_MAX_CONCURRENT_STREAMS] = before
        else:
            self._most_streams = min(told, _MOST)
        payload = b"".join([_SETTING.pack(*setting) for setting in settings.items()])
        return make_frame(SETTINGS, frame.flags, frame.stream_id, payload)

    def _send(self, frame: Frame) -> bytes:
        if self.drains and frame.stream_id > self._newest:
            self._refuse(frame)
            return b""
        if frame.kind == HEADERS:
            self._newest = max(self._newest, frame.stream_id)
            self._open.add(frame.stream_id)
            self._uploads.add(frame.stream_id)
        if frame.kind == RST_STREAM:
            self._open.discard(frame.stream_id)
            self._uploads.discard(frame.stream_id)
        elif frame.kind in (DATA, HEADERS) and frame.flags & END_STREAM:
            self._uploads.discard(frame.stream_id)
        return frame.data

    def _refuse(self, frame: Frame) -> None:
        """Answer a frame of a stream that came too late; what was not sent costs no window."""
        if frame.kind == HEADERS:
            self._replies.append(self._reset(frame.stream_id, REFUSED_STREAM))
            self.ended.add(frame.stream_id)
            self._nudges += 1
        elif frame.kind == DATA and frame.payload:
            self._replies.append(window_frame(0, len(frame.payload)))
