"""Builds HTTP/2 frames, valid and invalid, RFC 9113 sections 4 and 6.

Pure: values go in, bytes come out. Nothing is checked, so that any frame can be built.
"""

from collections.abc import Iterable

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

__all__ = [
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "FLOW_CONTROL_ERROR",
    "FRAME_SIZE_ERROR",
    "INITIAL_WINDOW_SIZE",
    "INTERNAL_ERROR",
    "MAX_CONCURRENT_STREAMS",
    "MAX_FRAME_SIZE",
    "MAX_STREAM_ID",
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "REFUSED_STREAM",
    "STREAM_CLOSED",
    "Fields",
    "continuation_frame",
    "data_frame",
    "go_away_frame",
    "headers_frame",
    "ping_frame",
    "priority_frame",
    "promise_frame",
    "raw_frame",
    "reset_frame",
    "settings_frame",
    "window_frame",
]

Fields = Iterable[tuple[str, str] | tuple[bytes, bytes]]
"""Header fields, pseudo-header fields included."""

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = 9, 10, 11

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 3, 4, 5

MAX_STREAM_ID = 2**31 - 1


def raw_frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Build a frame of any type, with any flags, stream and payload."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def data_frame(
    stream_id: int, data: bytes = b"", *, end: bool = False, padding: int | None = None
) -> bytes:
    """Build a DATA frame; ``padding`` is the number of bytes of padding, None for no field."""
    frame = DataFrame(stream_id, data, pad_length=padding or 0)
    return _with_flags(frame, END_STREAM=end, PADDED=padding is not None)


def headers_frame(stream_id: int, block: bytes, *, end: bool = False, last: bool = True) -> bytes:
    """Build a HEADERS frame; unless it is the ``last`` of its block, CONTINUATION must follow."""
    return _with_flags(HeadersFrame(stream_id, block), END_STREAM=end, END_HEADERS=last)


def continuation_frame(stream_id: int, block: bytes = b"", *, last: bool = True) -> bytes:
    """Build a CONTINUATION frame."""
    return _with_flags(ContinuationFrame(stream_id, block), END_HEADERS=last)


def promise_frame(stream_id: int, promised: int, block: bytes) -> bytes:
    """Build a complete PUSH_PROMISE frame."""
    frame = PushPromiseFrame(stream_id, promised_stream_id=promised, data=block)
    return _with_flags(frame, END_HEADERS=True)


def priority_frame(stream_id: int, depends_on: int = 0) -> bytes:
    """Build a PRIORITY frame."""
    return PriorityFrame(stream_id, depends_on=depends_on, stream_weight=15).serialize()


def reset_frame(stream_id: int, code: int) -> bytes:
    """Build a RST_STREAM frame."""
    return RstStreamFrame(stream_id, error_code=code).serialize()


def settings_frame(settings: dict[int, int] | None = None, *, ack: bool = False) -> bytes:
    """Build a SETTINGS frame."""
    return _with_flags(SettingsFrame(0, settings=settings or {}), ACK=ack)


def ping_frame(payload: bytes = b"12345678", *, ack: bool = False) -> bytes:
    """Build a PING frame."""
    return _with_flags(PingFrame(0, opaque_data=payload), ACK=ack)


def go_away_frame(last_stream_id: int, code: int = NO_ERROR, debug_data: bytes = b"") -> bytes:
    """Build a GOAWAY frame."""
    frame = GoAwayFrame(0, last_stream_id, code, additional_data=debug_data)
    return frame.serialize()


def window_frame(stream_id: int, increment: int) -> bytes:
    """Build a WINDOW_UPDATE frame; stream 0 is the connection, and 0 an invalid increment."""
    if increment:
        return WindowUpdateFrame(stream_id, window_increment=increment).serialize()
    return raw_frame(8, 0, stream_id, bytes(4))


def _with_flags(frame: Frame, **flags: bool) -> bytes:
    for name, is_set in flags.items():
        if is_set:
            frame.flags.add(name)
    return frame.serialize()
