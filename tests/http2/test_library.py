"""A frame that is handed to h2 is processed as its bytes would be."""

from collections.abc import Iterator
from typing import Any

import hpack
import pytest
from frame_builders import continuation_frame, data_frame, headers_frame, raw_frame, settings_frame
from hyperframe.frame import DataFrame
from hypothesis import example, given
from hypothesis import strategies as st

from typed_async_client.http2.compression import decoded_fields
from typed_async_client.http2.frames import FrameReader
from typed_async_client.http2.library import MAX_FRAME_SIZE, H2State, ProtocolError

REQUEST = [(b":method", b"GET"), (b":authority", b"a"), (b":scheme", b"http"), (b":path", b"/")]
BLOCK = hpack.Encoder().encode([(":status", "200"), ("x-name", "value")])

STREAMS = st.sampled_from([0, 1, 3, 5])
BOOLEANS = st.booleans()
FRAMES = st.one_of(
    st.builds(
        lambda stream, data, end, padding: data_frame(stream, data, end=end, padding=padding),
        st.sampled_from([1, 3, 5]),
        st.binary(max_size=30),
        BOOLEANS,
        st.none() | st.integers(0, 5),
    ),
    st.builds(
        lambda stream, end, last: headers_frame(stream, BLOCK, end=end, last=last),
        st.sampled_from([1, 3, 5]),
        BOOLEANS,
        BOOLEANS,
    ),
    st.builds(
        lambda stream, last: continuation_frame(stream, last=last),
        st.sampled_from([1, 3]),
        BOOLEANS,
    ),
    st.builds(
        lambda kind, flags, stream, start: raw_frame(kind, flags, stream, start + BLOCK),
        st.sampled_from([0, 1]),
        st.sampled_from(
            [0x0, 0x1, 0x4, 0x5, 0xC, 0x24, 0x2D, 0xFF]
        ),  # padded, with a priority, ...
        STREAMS,
        st.sampled_from([b"", b"\0", bytes(5), bytes(6)]),
    ),
)
SEQUENCES = st.lists(FRAMES, max_size=8)


def opened() -> H2State:
    """Return the state after two requests and the settings of the server."""
    state = H2State()
    state.start()
    for _ in range(2):
        state.send_request(REQUEST, ends=True)
    state.receive_data(settings_frame())
    state.data_to_send()
    return state


def shown(value: Any) -> Any:
    """Return what can be compared of an event, or of what it refers to."""
    if type(value).__module__ == "h2.events":
        return type(value), {name: shown(part) for name, part in vars(value).items()}
    if isinstance(value, list) and value and hasattr(value[0], "fields"):
        return decoded_fields(value).head()
    return value


def in_bytes(state: H2State, frames: list[bytes]) -> Iterator[Any]:
    """Pass the bytes of frames to h2; yield its events."""
    for data in frames:
        yield [shown(event) for event in state.receive_data(data)]


def in_frames(state: H2State, frames: list[bytes]) -> Iterator[Any]:
    """Pass frames to h2; yield its events."""
    reader, is_in_head = FrameReader(max_payload=MAX_FRAME_SIZE), False
    for data in frames:
        for frame in reader.read(data):
            yield [shown(event) for event in state.receive_frame(frame, is_in_head=is_in_head)]
            if frame.kind in {1, 9}:
                is_in_head = not frame.flags & 0x4


def outcome(state: H2State, events: Iterator[Any]) -> list[Any]:
    """Return what h2 made of frames: events, the error that ended them, and what it would send."""
    seen: list[Any] = []
    try:
        seen.extend(events)
    except ProtocolError as error:
        seen.append((type(error), str(error)))
    return [*seen, state.data_to_send(), state.inbound_flow_control_window]


@given(SEQUENCES)
@example([raw_frame(1, 0x2D, 1, bytes(6) + BLOCK)])
@example([raw_frame(1, 0x4, 0, BLOCK)])
def test_frames_give_the_events_that_their_bytes_give(frames: list[bytes]) -> None:
    """The same errors too, and the same answers."""
    one, other = opened(), opened()
    assert outcome(one, in_frames(one, frames)) == outcome(other, in_bytes(other, frames))


def test_a_body_is_not_formatted_for_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of the time that it took to receive one went into that."""
    plain, padded = data_frame(1, b"body"), data_frame(1, b"body", padding=1)
    state, formatted = opened(), list[bytes]()
    list(in_frames(state, [headers_frame(1, BLOCK)]))

    def format_body(frame: DataFrame) -> bytes:
        formatted.append(frame.data)
        return frame.data

    monkeypatch.setattr(DataFrame, "serialize_body", format_body)
    assert len(list(in_frames(state, [plain, plain]))) == 2
    assert formatted == []
    assert len(list(in_frames(state, [padded]))) == 1
    assert formatted == [b"body"]  # hardly anybody sends padding: h2 reads it itself
