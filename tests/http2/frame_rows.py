"""What a client does with each type of frame in each state of a stream, by RFC 9113."""

from frame_builders import (
    CANCEL,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_STREAM_ID,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    continuation_frame,
    data_frame,
    go_away_frame,
    headers_frame,
    ping_frame,
    priority_frame,
    promise_frame,
    raw_frame,
    reset_frame,
    settings_frame,
    window_frame,
)
from frame_play import ALL_STATES, Outcome, Row, State
from frame_server import FramePeer

__all__ = ["ROWS"]

FINE, STREAM, RESENT = Outcome("fine"), Outcome("stream"), Outcome("resent")
ANY_CONNECTION = Outcome("connection")
STREAM_OR_CONNECTION = (STREAM, Outcome("connection", PROTOCOL_ERROR))
"""A stream error that may be treated as a connection error, section 5.4.1."""
CLOSED = (FINE, Outcome("connection", STREAM_CLOSED), Outcome("connection", PROTOCOL_ERROR))
"""A frame on a stream that both ends have ended, section 5.1."""
BEFORE_HEAD: tuple[State, ...] = ("waiting", "uploading")
AFTER_HEAD: tuple[State, ...] = ("head", "body")
OPEN: tuple[State, ...] = (*BEFORE_HEAD, *AFTER_HEAD)

Outcomes = dict[State, tuple[Outcome, ...]]


def at(states: tuple[State, ...], *outcomes: Outcome) -> Outcomes:
    """Expect one of the outcomes in each of the states."""
    return dict.fromkeys(states, outcomes)


def fails(code: int) -> Outcomes:
    """Expect a connection error with this code in every state."""
    return at(ALL_STATES, Outcome("connection", code))


def closed_or_reset(*closed: Outcome) -> Outcomes:
    """Expect that a frame costs nothing on a reset stream, and ``closed`` on an ended one."""
    return at(("ended",), *closed) | at(("reset",), FINE)


def _trailers(peer: FramePeer, stream_id: int, *fields: tuple[str, str], end: bool = True) -> bytes:
    return headers_frame(stream_id, peer.encode([("x-checksum", "1"), *fields]), end=end)


def _split_head(peer: FramePeer, stream_id: int) -> bytes:
    block = peer.encode([(":status", "200"), ("x-long", "y" * 50)])
    parts = [continuation_frame(stream_id, part) for part in (b"", block[3:9])]
    start = headers_frame(stream_id, block[:3], last=False)
    return (
        start
        + b"".join(p[:4] + b"\0" + p[5:] for p in parts)
        + continuation_frame(stream_id, block[9:])
    )


def _interrupted_head(peer: FramePeer, stream_id: int, frame: bytes) -> bytes:
    block = peer.encode([(":status", "200")])
    return headers_frame(stream_id, block, last=False) + frame + continuation_frame(stream_id)


def _oversized(peer: FramePeer, stream_id: int) -> bytes:
    return data_frame(stream_id, bytes(peer.settings.get(MAX_FRAME_SIZE, 16_384) + 1))


HEAD_ROWS = [
    Row("HEADERS", "8.1", lambda p, s: p.head(s), at(BEFORE_HEAD, FINE)
        | at(AFTER_HEAD, *STREAM_OR_CONNECTION) | closed_or_reset(*CLOSED), has_head=True),
    Row("HEADERS in four frames", "6.10", _split_head, at(BEFORE_HEAD, FINE)
        | closed_or_reset(*CLOSED), has_head=True),
    Row("HEADERS that end the stream", "8.1", lambda p, s: headers_frame(s, p.encode(
        [(":status", "204")]), end=True), at(("waiting",), FINE)
        | at(AFTER_HEAD, *STREAM_OR_CONNECTION) | closed_or_reset(*CLOSED), finishes=False),
    Row("103", "8.1", lambda p, s: p.head(s, 103, ("link", "</a.css>")), at(BEFORE_HEAD, FINE)
        | at(AFTER_HEAD, *STREAM_OR_CONNECTION) | closed_or_reset(*CLOSED)),
    Row("100", "8.1", lambda p, s: p.head(s, 100), at(BEFORE_HEAD, FINE)
        | at(AFTER_HEAD, *STREAM_OR_CONNECTION) | closed_or_reset(*CLOSED)),
    Row("103 that ends the stream", "8.1", lambda p, s: headers_frame(s, p.encode(
        [(":status", "103")]), end=True), at(("waiting",), *STREAM_OR_CONNECTION)
        | closed_or_reset(*CLOSED), finishes=False),
    Row("trailers", "8.1", _trailers, at(("waiting",), STREAM) | at(AFTER_HEAD, FINE)
        | closed_or_reset(*CLOSED), finishes=False),
    Row("trailers that don't end the stream", "8.1", lambda p, s: _trailers(p, s, end=False),
        at(AFTER_HEAD, *STREAM_OR_CONNECTION) | closed_or_reset(*CLOSED), finishes=False),
    Row("trailers with a pseudo-header", "8.1", lambda p, s: headers_frame(s, p.encode(
        [(":status", "200"), ("x-checksum", "1")]), end=True),
        at(AFTER_HEAD, *STREAM_OR_CONNECTION) | closed_or_reset(*CLOSED), finishes=False),
    Row("HEADERS, then a frame of another stream", "6.10", lambda p, s: _interrupted_head(
        p, s, p.data(3, b"")), fails(PROTOCOL_ERROR), has_head=True),
    Row("HEADERS, then PING", "6.10", lambda p, s: _interrupted_head(p, s, ping_frame()),
        fails(PROTOCOL_ERROR), has_head=True),
    Row("HEADERS, then an unknown frame", "5.5", lambda p, s: _interrupted_head(
        p, s, raw_frame(0x42, 0, s, b"")), fails(PROTOCOL_ERROR), has_head=True),
    Row("HEADERS, then CONTINUATION of another stream", "6.10", lambda p, s: _interrupted_head(
        p, s, continuation_frame(3)), fails(PROTOCOL_ERROR), has_head=True),
    Row("HEADERS that can't be decompressed", "4.3", lambda p, s: headers_frame(s, b"\xff\xff\xff\xff\xff\xff"),
        at(ALL_STATES, Outcome("connection", 9), Outcome("connection", PROTOCOL_ERROR)), has_head=True),
    Row("HEADERS with too much padding", "6.2", lambda p, s: raw_frame(1, 0xC, s, b"\x09\x88"),
        fails(PROTOCOL_ERROR), has_head=True),
    Row("HEADERS on stream 0", "6.2", lambda p, s: raw_frame(1, 4, 0, b"\x88"),
        fails(PROTOCOL_ERROR)),
    Row("HEADERS on a stream that the client never opened", "5.1", lambda p, s: headers_frame(
        101, p.encode([(":status", "200")])), fails(PROTOCOL_ERROR)),
    Row("HEADERS on an even stream", "5.1.1", lambda p, s: headers_frame(
        2, p.encode([(":status", "200")])), fails(PROTOCOL_ERROR)),
    Row("CONTINUATION without HEADERS", "6.10", lambda p, s: continuation_frame(s),
        at(ALL_STATES, Outcome("connection", PROTOCOL_ERROR), Outcome("connection", STREAM_CLOSED))
        | at(("reset",), FINE, Outcome("connection", PROTOCOL_ERROR))),
    Row("CONTINUATION on stream 0", "6.10", lambda p, s: raw_frame(9, 4, 0, b""),
        fails(PROTOCOL_ERROR)),
    Row("PUSH_PROMISE", "6.6", lambda p, s: promise_frame(s, 2, p.encode([(":method", "GET"),
        (":scheme", "http"), (":authority", "a"), (":path", "/")])), fails(PROTOCOL_ERROR)),
]  # fmt: skip

DATA_ROWS = [
    Row("DATA", "8.1", lambda p, s: p.data(s, b"more "), at(BEFORE_HEAD, *STREAM_OR_CONNECTION)
        | at(AFTER_HEAD, FINE) | closed_or_reset(*CLOSED)),
    Row("DATA that ends the stream", "8.1", lambda p, s: p.data(s, b"", end=True),
        at(("waiting",), *STREAM_OR_CONNECTION) | at(AFTER_HEAD, FINE) | closed_or_reset(*CLOSED),
        finishes=False),
    Row("padded DATA", "6.1", lambda p, s: data_frame(s, b"", padding=255), at(AFTER_HEAD, FINE)
        | closed_or_reset(*CLOSED)),
    Row("DATA with too much padding", "6.1", lambda p, s: raw_frame(0, 8, s, b"\x05abc"),
        fails(PROTOCOL_ERROR)),
    Row("DATA that is padded, and empty", "6.1", lambda p, s: raw_frame(0, 8, s, b""),
        at(ALL_STATES, Outcome("connection", FRAME_SIZE_ERROR),
           Outcome("connection", PROTOCOL_ERROR))),
    Row("DATA that is too large", "4.2", _oversized, at(OPEN, STREAM, Outcome("connection",
        FRAME_SIZE_ERROR)) | at(("ended", "reset"), FINE, Outcome("connection", FRAME_SIZE_ERROR))),
    Row("DATA on stream 0", "6.1", lambda p, s: raw_frame(0, 0, 0, b"x"), fails(PROTOCOL_ERROR)),
    Row("DATA on a stream that the client never opened", "5.1", lambda p, s: data_frame(101, b"x"),
        fails(PROTOCOL_ERROR)),
    Row("DATA on an even stream", "5.1", lambda p, s: data_frame(2, b"x"), fails(PROTOCOL_ERROR)),
]  # fmt: skip

RESET_ROWS = [
    *(
        Row(f"RST_STREAM with {name}", "5.4.2", lambda p, s, code=code: reset_frame(s, code),  # type: ignore[misc]  # of a loop variable
            at(OPEN, STREAM) | at(("ended", "reset"), FINE), finishes=False)
        for name, code in {"NO_ERROR": NO_ERROR, "CANCEL": CANCEL, "INTERNAL_ERROR":
                           INTERNAL_ERROR, "an unknown code": 0xFFFFFFFF}.items()
    ),
    Row("RST_STREAM with REFUSED_STREAM", "8.7", lambda p, s: reset_frame(s, REFUSED_STREAM),
        at(BEFORE_HEAD, RESENT) | at(AFTER_HEAD, STREAM) | at(("ended", "reset"), FINE),
        finishes=False),
    Row("RST_STREAM twice", "5.1", lambda p, s: reset_frame(s, CANCEL) * 2,
        at(OPEN, STREAM) | at(("ended", "reset"), FINE), finishes=False),
    Row("RST_STREAM of 3 bytes", "6.4", lambda p, s: raw_frame(3, 0, s, bytes(3)),
        fails(FRAME_SIZE_ERROR)),
    Row("RST_STREAM on stream 0", "6.4", lambda p, s: raw_frame(3, 0, 0, bytes(4)),
        fails(PROTOCOL_ERROR)),
    Row("RST_STREAM on a stream that the client never opened", "6.4", lambda p, s: reset_frame(
        101, CANCEL), fails(PROTOCOL_ERROR)),
]  # fmt: skip

CONNECTION_ROWS = [
    Row("SETTINGS", "6.5", lambda p, s: settings_frame({MAX_CONCURRENT_STREAMS: 50}),
        at(ALL_STATES, FINE)),
    Row("SETTINGS without values", "6.5", lambda p, s: settings_frame(), at(ALL_STATES, FINE)),
    Row("an unknown setting", "6.5.2", lambda p, s: settings_frame({0xABC: 7}),
        at(ALL_STATES, FINE)),
    Row("SETTINGS ACK", "6.5", lambda p, s: settings_frame(ack=True),
        at(ALL_STATES, FINE, Outcome("connection", PROTOCOL_ERROR))),
    Row("SETTINGS ACK with a value", "6.5", lambda p, s: raw_frame(4, 1, 0, bytes(6)),
        at(ALL_STATES, Outcome("connection", FRAME_SIZE_ERROR),
           Outcome("connection", PROTOCOL_ERROR))),
    Row("SETTINGS of 5 bytes", "6.5", lambda p, s: raw_frame(4, 0, 0, bytes(5)),
        fails(FRAME_SIZE_ERROR)),
    Row("SETTINGS on a stream", "6.5", lambda p, s: raw_frame(4, 0, s, b""), fails(PROTOCOL_ERROR)),
    Row("ENABLE_PUSH = 1", "6.5.2", lambda p, s: settings_frame({2: 1}), fails(PROTOCOL_ERROR)),
    Row("ENABLE_PUSH = 2", "6.5.2", lambda p, s: settings_frame({2: 2}), fails(PROTOCOL_ERROR)),
    Row("INITIAL_WINDOW_SIZE = 2^31", "6.5.2", lambda p, s: settings_frame(
        {INITIAL_WINDOW_SIZE: 2**31}), fails(FLOW_CONTROL_ERROR)),
    Row("MAX_FRAME_SIZE = 100", "6.5.2", lambda p, s: settings_frame({MAX_FRAME_SIZE: 100}),
        fails(PROTOCOL_ERROR)),
    Row("PING", "6.7", lambda p, s: ping_frame(), at(ALL_STATES, FINE)),
    Row("PING ACK", "6.7", lambda p, s: ping_frame(ack=True), at(ALL_STATES, FINE)),
    Row("PING of 7 bytes", "6.7", lambda p, s: raw_frame(6, 0, 0, bytes(7)),
        fails(FRAME_SIZE_ERROR)),
    Row("PING on a stream", "6.7", lambda p, s: raw_frame(6, 0, s, bytes(8)),
        fails(PROTOCOL_ERROR)),
    Row("GOAWAY before more streams", "6.8", lambda p, s: go_away_frame(MAX_STREAM_ID),
        at(ALL_STATES, FINE)),
    Row("GOAWAY after these streams", "6.8", lambda p, s: go_away_frame(3), at(ALL_STATES, FINE)),
    Row("GOAWAY with an error", "6.8", lambda p, s: go_away_frame(3, INTERNAL_ERROR),
        at(ALL_STATES, ANY_CONNECTION), finishes=False),
    Row("GOAWAY of 7 bytes", "6.8", lambda p, s: raw_frame(7, 0, 0, bytes(7)),
        fails(FRAME_SIZE_ERROR)),
    Row("GOAWAY on a stream", "6.8", lambda p, s: raw_frame(7, 0, s, bytes(8)),
        fails(PROTOCOL_ERROR)),
    Row("WINDOW_UPDATE", "6.9", lambda p, s: window_frame(0, 1000), at(ALL_STATES, FINE)),
    Row("WINDOW_UPDATE of 0 for the connection", "6.9", lambda p, s: window_frame(0, 0),
        fails(PROTOCOL_ERROR)),
    Row("WINDOW_UPDATE above 2^31 for the connection", "6.9.1",
        lambda p, s: window_frame(0, 2**31 - 1) * 2, fails(FLOW_CONTROL_ERROR)),
    Row("an unknown frame", "5.5", lambda p, s: raw_frame(0x42, 0xFF, 0, b"anything"),
        at(ALL_STATES, FINE)),
]  # fmt: skip

STREAM_ROWS = [
    Row("WINDOW_UPDATE for the stream", "6.9", lambda p, s: window_frame(s, 1000),
        at(ALL_STATES, FINE)),
    Row("WINDOW_UPDATE of 0", "6.9", lambda p, s: window_frame(s, 0), at(OPEN, STREAM)
        | closed_or_reset(FINE, Outcome("connection", PROTOCOL_ERROR))),
    Row("WINDOW_UPDATE above 2^31", "6.9.1", lambda p, s: window_frame(s, 2**31 - 1) * 2,
        at(OPEN, STREAM) | at(("ended", "reset"), FINE)),
    Row("WINDOW_UPDATE of 3 bytes", "6.9", lambda p, s: raw_frame(8, 0, s, bytes(3)),
        fails(FRAME_SIZE_ERROR)),
    Row("WINDOW_UPDATE for a stream that the client never opened", "5.1",
        lambda p, s: window_frame(101, 1000), fails(PROTOCOL_ERROR)),
    Row("PRIORITY", "6.3", lambda p, s: priority_frame(s), at(ALL_STATES, FINE)),
    Row("PRIORITY of a stream that the client never opened", "6.3",
        lambda p, s: priority_frame(101), at(ALL_STATES, FINE)),
    Row("PRIORITY of an even stream", "6.3", lambda p, s: priority_frame(2), at(ALL_STATES, FINE)),
    Row("PRIORITY of 4 bytes", "6.3", lambda p, s: raw_frame(2, 0, s, bytes(4)),
        at(OPEN, STREAM, Outcome("connection", FRAME_SIZE_ERROR))
        | at(("ended", "reset"), FINE, Outcome("connection", FRAME_SIZE_ERROR))),
    Row("PRIORITY on stream 0", "6.3", lambda p, s: raw_frame(2, 0, 0, bytes(5)),
        fails(PROTOCOL_ERROR)),
    Row("an unknown frame on the stream", "5.5", lambda p, s: raw_frame(0x42, 0xFF, s, b"anything"),
        at(ALL_STATES, FINE)),
]  # fmt: skip

ROWS = [*HEAD_ROWS, *DATA_ROWS, *RESET_ROWS, *CONNECTION_ROWS, *STREAM_ROWS]
