"""Rewrites the frames of an HTTP/2 connection so that httpcore shuts it down gracefully.

httpcore fails every stream when a GOAWAY arrives. Here the frames are filtered before httpcore sees
them: a GOAWAY is removed, the streams that it ends are reset one by one, and the others continue.
Pure: bytes go in, bytes come out. Choosing a connection for the next request is the pool's task.
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

__all__ = ["FrameFilter"]

_NO_ERROR, _INTERNAL_ERROR = 0, 2
"""Error codes, RFC 9113 section 7."""

_GOAWAY_FIELDS = struct.Struct(">LL")
"""The last stream that was or will be processed, and an error code."""

_SETTING = struct.Struct(">HL")
"""An identifier and a value."""

_MAX_CONCURRENT_STREAMS = 3
"""The identifier of a setting, RFC 9113 section 6.5.2."""

_HTTPCORE_MAX_STREAMS = 100
"""The most streams that httpcore opens on a connection, whatever the server allows."""

_MAX_INBOUND_PAYLOAD, _MAX_OUTBOUND_PAYLOAD = 2**14, 2**24 - 1
"""Bytes: what httpcore allows the server to send, and the most that a server may allow."""

_UNBLOCKING = (RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE)
"""Frames that may let a waiting upload continue, or end it."""

_FIELD_BLOCK = (HEADERS, PUSH_PROMISE, CONTINUATION)
"""Frames of a field block, which no other frame may interrupt, RFC 9113 section 4.3."""

_NOOP_FRAME = make_frame(0xFF, 0, 0, b"")
"""A frame of an unknown type, which receivers ignore, RFC 9113 section 5.5."""

_MAX_REMEMBERED = 1000
"""Reset streams whose error codes are remembered."""


class FrameFilter:
    """Filters the frames of one connection in both directions, from the client's preface on.

    Attributes:
        is_draining: whether the connection accepts no more streams.
        reset_streams: streams that were reset before they were complete, until httpcore's state of
            them is dropped.
    """

    def __init__(self) -> None:
        self.is_draining: bool = False
        self.reset_streams: set[int] = set()
        self._inbound = FrameReader(max_payload=_MAX_INBOUND_PAYLOAD)
        self._outbound = FrameReader(max_payload=_MAX_OUTBOUND_PAYLOAD)
        self._open: set[int] = set()  # sent, but without a complete response
        self._uploads: set[int] = set()  # whose request body is still being sent
        self._in_field_block = False  # a field block has started and isn't complete
        self._noops_left = 0
        self._last_sent = 0  # the highest stream ID that was sent
        self._reset_codes: dict[int, int] = {}
        self._replies: list[bytes] = []
        self._max_streams: int | None = None

    def receive(self, data: bytes) -> bytes:
        """Filter bytes from the server; return what httpcore is to read instead."""
        return b"".join([self._receive(frame) for frame in self._inbound.read(data)])

    def send(self, data: bytes) -> bytes:
        """Filter bytes that httpcore writes; return what is to be sent instead."""
        preface = PREFACE if data.startswith(PREFACE) else b""
        frames = self._outbound.read(data[len(preface) :])
        return preface + b"".join([self._send(frame) for frame in frames])

    def take_replies(self) -> bytes:
        """Return, once, what httpcore is to read in reply to frames that weren't sent.

        Nothing is returned while a field block is incomplete; the replies follow at its end.
        """
        if self._in_field_block:
            return b""
        replies = b"".join(self._replies)
        self._replies.clear()
        return replies

    def take_noop(self) -> bytes:
        """Return a no-op frame if another upload may need to check its window; else nothing.

        In httpcore, an upload that waits for window space checks it only after a read of its own,
        although another stream may have read the WINDOW_UPDATE. So after such a frame, one read for
        each stream must return without waiting, or uploads could wait forever.
        """
        if self._noops_left <= 0 or self._in_field_block:
            return b""
        self._noops_left -= 1
        return _NOOP_FRAME

    @property
    def unfinished(self) -> set[int]:
        """The streams that were sent, and whose request or response isn't complete."""
        return self._open | self._uploads

    @property
    def max_streams(self) -> int | None:
        """How many streams may be open at the same time; None before the server's settings."""
        return self._max_streams

    def reset_code(self, stream_id: int) -> int | None:
        """Return the error code that a stream was reset with; None if it wasn't.

        ``REFUSED_STREAM`` means that the server didn't process the stream, or it was never sent.
        """
        return self._reset_codes.get(stream_id)

    def _receive(self, frame: Frame) -> bytes:
        if self._uploads and frame.kind in _UNBLOCKING:
            self._noops_left = len(self._open) + len(self._uploads)
        if frame.kind in _FIELD_BLOCK:
            return self._receive_field_block(frame)
        if frame.kind == DATA and frame.flags & END_STREAM:
            self._open.discard(frame.stream_id)
        elif frame.kind == RST_STREAM:
            return self._reset(frame.stream_id, int.from_bytes(frame.payload, "big"))
        elif frame.kind == SETTINGS and not frame.flags & ACK:
            return self._receive_settings(frame)
        elif frame.kind == GOAWAY and len(frame.payload) >= _GOAWAY_FIELDS.size:
            return self._receive_goaway(*_GOAWAY_FIELDS.unpack_from(frame.payload))
        return frame.data

    def _receive_field_block(self, frame: Frame) -> bytes:
        """Receive a part of a field block; append the pending replies to its last part."""
        if frame.kind == HEADERS and frame.flags & END_STREAM:
            self._open.discard(frame.stream_id)
        self._in_field_block = not frame.flags & END_HEADERS
        return frame.data + self.take_replies()

    def _receive_goaway(self, last_stream_id: int, error_code: int) -> bytes:
        """Replace a GOAWAY by resets of the streams that it ends, RFC 9113 section 6.8.

        Streams above the last one weren't processed. Those up to it continue, unless the GOAWAY has
        an error code, which ends them.
        """
        self.is_draining = True
        last_stream_id &= 0x7FFFFFFF
        ends = {stream_id: REFUSED_STREAM for stream_id in self._open if stream_id > last_stream_id}
        if error_code != _NO_ERROR:
            # even if the code is REFUSED_STREAM, these may have been processed
            code = _INTERNAL_ERROR if error_code == REFUSED_STREAM else error_code
            ends = dict.fromkeys(self._open, code) | ends
        return b"".join([self._reset(*end) for end in ends.items()])

    def _reset(self, stream_id: int, error_code: int) -> bytes:
        """End a stream, and record it for an upload that waits for window space on it."""
        if stream_id in self._open or stream_id in self._uploads:
            self.reset_streams.add(stream_id)
        self._open.discard(stream_id)
        # keep the first code: the server may reset the stream again for frames that arrive late
        self._reset_codes.setdefault(stream_id, error_code)
        if len(self._reset_codes) > _MAX_REMEMBERED:
            del self._reset_codes[next(iter(self._reset_codes))]
        self._uploads.discard(stream_id)
        return reset_frame(stream_id, error_code)

    def _receive_settings(self, frame: Frame) -> bytes:
        """Rewrite settings so that httpcore always knows a stream limit that never decreases.

        Without a limit in the first settings, httpcore opens one stream at a time. If the limit
        drops below the number of open streams, httpcore waits forever, so the connection is drained
        instead.
        """
        if len(frame.payload) % _SETTING.size:
            return frame.data
        settings = dict(_SETTING.iter_unpack(frame.payload))
        current, new = self._max_streams, settings.get(_MAX_CONCURRENT_STREAMS)
        if current is None:
            self._max_streams = min(
                settings.setdefault(_MAX_CONCURRENT_STREAMS, _HTTPCORE_MAX_STREAMS),
                _HTTPCORE_MAX_STREAMS,
            )
        elif new is None:
            return frame.data
        elif new < current:
            self.is_draining = True
            settings[_MAX_CONCURRENT_STREAMS] = current
        else:
            self._max_streams = min(new, _HTTPCORE_MAX_STREAMS)
        payload = b"".join([_SETTING.pack(*setting) for setting in settings.items()])
        return make_frame(SETTINGS, frame.flags, frame.stream_id, payload)

    def _send(self, frame: Frame) -> bytes:
        if self.is_draining and frame.stream_id > self._last_sent:
            self._refuse(frame)
            return b""
        if frame.kind == HEADERS:
            self._last_sent = max(self._last_sent, frame.stream_id)
            self._open.add(frame.stream_id)
            self._uploads.add(frame.stream_id)
        if frame.kind == RST_STREAM:
            self._open.discard(frame.stream_id)
            self._uploads.discard(frame.stream_id)
        elif frame.kind in (DATA, HEADERS) and frame.flags & END_STREAM:
            self._uploads.discard(frame.stream_id)
        return frame.data

    def _refuse(self, frame: Frame) -> None:
        """Reply to a frame of a stream that was opened too late; its data gets its window back."""
        if frame.kind == HEADERS:
            self._replies.append(self._reset(frame.stream_id, REFUSED_STREAM))
            self.reset_streams.add(frame.stream_id)
            self._noops_left += 1
        elif frame.kind == DATA and frame.payload:
            self._replies.append(window_frame(0, len(frame.payload)))
