"""HTTP/2 frames are cut out of bytes, however these come."""

from hyperframe.frame import GoAwayFrame, RstStreamFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http2.frames import (
    DATA,
    GOAWAY,
    RST_STREAM,
    Frame,
    FrameReader,
    make_frame,
    reset_frame,
    window_frame,
)

FRAMES = st.builds(
    make_frame,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**31 - 1),
    st.binary(max_size=40) | st.binary(min_size=250, max_size=600),
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    places = sorted({min(cut, len(data)) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 3000), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_frames(frames: list[bytes], cuts: list[int]) -> None:
    """Each of them whole, and none before its last byte."""
    reader = FrameReader(longest=600)
    seen = [frame for piece in in_pieces(b"".join(frames), cuts) for frame in reader.read(piece)]
    assert [frame.data for frame in seen] == frames
    for frame in seen:
        length, stream_id = len(frame.payload), frame.stream_id
        assert make_frame(frame.kind, frame.flags, stream_id, frame.payload) == frame.data
        assert int.from_bytes(frame.data[:3], "big") == length


def test_a_frame_byte_by_byte_comes_out_at_its_last_byte() -> None:
    """As it is, with what its head says."""
    data = GoAwayFrame(0, last_stream_id=5, error_code=2, additional_data=b"why").serialize()
    reader = FrameReader(longest=100)
    assert all(reader.read(bytes([byte])) == [] for byte in data[:-1])
    assert reader.read(data[-1:]) == [Frame(GOAWAY, 0, 0, data)]


def test_the_reserved_bit_is_no_part_of_the_stream() -> None:
    """RFC 9113 section 4.1: it is ignored."""
    data = make_frame(DATA, 0, 2**31 + 7, b"x")
    (frame,) = FrameReader(longest=100).read(data)
    assert (frame.stream_id, frame.data) == (7, data)


@given(st.binary(max_size=50), st.lists(st.integers(0, 200), max_size=5))
def test_a_frame_that_is_too_long_is_handed_on_with_all_that_follows(
    rest: bytes, cuts: list[int]
) -> None:
    """Nothing of it is kept; what is before it comes out as ever."""
    before, head = make_frame(DATA, 0, 1, b"good"), b"\x00\x00\x0b" + bytes(6)
    reader = FrameReader(longest=10)
    pieces = in_pieces(before + head + rest, cuts)
    seen = [frame for piece in pieces for frame in reader.read(piece)]
    assert b"".join(frame.data for frame in seen) == before + head + rest
    assert [frame.kind for frame in seen[:2]] == [DATA, -1]


def test_frames_are_made_as_others_make_them() -> None:
    """By hyperframe, the library that h2 stands on."""
    assert reset_frame(7, 11) == RstStreamFrame(7, error_code=11).serialize()
    assert window_frame(3, 70_000) == WindowUpdateFrame(3, window_increment=70_000).serialize()
    assert reset_frame(7, 11)[3] == RST_STREAM
