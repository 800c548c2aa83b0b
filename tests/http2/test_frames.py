"""HTTP/2 frames are split correctly, however the bytes arrive."""

import struct

from hyperframe.frame import GoAwayFrame
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http2.frames import DATA, GOAWAY, Frame, FrameReader


def make_frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Build a frame of any kind."""
    return (
        struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream_id) + payload
    )


FRAMES = st.builds(
    make_frame,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**31 - 1),
    st.binary(max_size=40) | st.binary(min_size=250, max_size=600),
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Split bytes at the given offsets."""
    offsets = sorted({min(cut, len(data)) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *offsets], [*offsets, len(data)], strict=True)]


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 3000), max_size=12))
def test_the_same_frames_are_read_however_the_bytes_are_split(
    frames: list[bytes], cuts: list[int]
) -> None:
    """Each frame is returned complete, with its fields parsed."""
    reader = FrameReader(max_payload=600)
    seen = [frame for piece in in_pieces(b"".join(frames), cuts) for frame in reader.read(piece)]
    assert [frame.data for frame in seen] == frames
    for frame in seen:
        length, stream_id = frame.size, frame.stream_id
        assert length == len(frame.payload)
        assert make_frame(frame.kind, frame.flags, stream_id, frame.payload) == frame.data
        assert int.from_bytes(frame.data[:3], "big") == length


def test_a_frame_is_returned_when_its_last_byte_arrives() -> None:
    """Not before, even if the bytes arrive one at a time."""
    data = GoAwayFrame(0, last_stream_id=5, error_code=2, additional_data=b"why").serialize()
    reader = FrameReader(max_payload=100)
    assert all(reader.read(bytes([byte])) == [] for byte in data[:-1])
    assert reader.read(data[-1:]) == [Frame(GOAWAY, 0, 0, data)]


def test_the_reserved_bit_is_not_part_of_the_stream_id() -> None:
    """It is ignored, RFC 9113 section 4.1."""
    data = make_frame(DATA, 0, 2**31 + 7, b"x")
    (frame,) = FrameReader(max_payload=100).read(data)
    assert (frame.stream_id, frame.data) == (7, data)


@given(st.binary(max_size=50), st.lists(st.integers(0, 200), max_size=5))
def test_an_oversized_frame_is_passed_on_with_everything_that_follows(
    rest: bytes, cuts: list[int]
) -> None:
    """None of it is buffered; frames before it are returned as usual."""
    before, head = make_frame(DATA, 0, 1, b"good"), b"\x00\x00\x0b" + bytes(6)
    reader = FrameReader(max_payload=10)
    pieces = in_pieces(before + head + rest, cuts)
    seen = [frame for piece in pieces for frame in reader.read(piece)]
    assert b"".join(frame.data for frame in seen) == before + head + rest
    assert [frame.kind for frame in seen[:2]] == [DATA, -1]
