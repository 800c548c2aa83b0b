"""The frame filter, between the HTTP/2 state machines of a real client and a real server."""

import itertools
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.http2.draining import FrameFilter
from typed_async_client.http2.frames import PREFACE, FrameReader, make_frame, reset_frame

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]
MAX_STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class Pair:
    """A client and a server, with a filter between them.

    Attributes:
        client: the client's state machine.
        filter: the filter under test.
        server: the server's state machine.
    """

    def __init__(self) -> None:
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.filter = FrameFilter()
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.send()
        self.receive()

    def send(self) -> bytes:
        """Pass the client's output to the server; return the bytes that were sent."""
        out = self.filter.send(self.client.data_to_send())
        self.server.receive_data(out)
        return out

    def receive(self, extra: bytes = b"") -> list[h2.events.Event]:
        """Pass the server's output, and extra bytes, to the client; return the client's events."""
        data = self.filter.receive(self.server.data_to_send() + extra) + self.filter.take_replies()
        return self.client.receive_data(data)

    def open(self, *stream_ids: int, headers: Any = GET, end: bool = True) -> None:
        """Send request headers on each of the streams."""
        for stream_id in stream_ids:
            self.client.send_headers(stream_id, headers, end_stream=end)

    def resets(self, extra: bytes = b"") -> dict[int, int]:
        """Receive, and return the error code of each stream that the client sees reset."""
        events = self.receive(extra)
        assert not any(isinstance(event, h2.events.ConnectionTerminated) for event in events)
        return {
            event.stream_id: int(event.error_code)
            for event in events
            if isinstance(event, h2.events.StreamReset)
        }


def goaway(last: int, code: int = 0) -> bytes:
    """Build a GOAWAY frame."""
    return GoAwayFrame(0, last_stream_id=last, error_code=code).serialize()


@pytest.mark.parametrize(
    ("last", "code", "expected"),
    [
        (2**31 - 1, 0, {}),
        (5, 0, {}),
        (3, 0, {5: 7}),
        (0, 0, {1: 7, 3: 7, 5: 7}),
        (3, 2, {1: 2, 3: 2, 5: 7}),
        (2**31 - 1, 11, {1: 11, 3: 11, 5: 11}),
        (1, 7, {1: 2, 3: 7, 5: 7}),
    ],
)
def test_a_goaway_is_replaced_by_resets_of_the_streams_it_ends(
    last: int, code: int, expected: dict[int, int]
) -> None:
    """Streams above the last one are refused; the others end with the error code, if any."""
    pair = Pair()
    pair.open(1, 3, 5)
    pair.send()
    assert not pair.filter.is_draining
    assert pair.resets(goaway(last, code)) == expected
    assert pair.filter.is_draining
    assert {stream: pair.filter.reset_code(stream) for stream in expected} == expected


def test_a_stream_with_a_complete_response_is_not_reset() -> None:
    """Whatever a later GOAWAY says: the response may not have been read yet."""
    pair = Pair()
    pair.open(1, 3)
    pair.send()
    pair.server.send_headers(1, [(":status", "200")], end_stream=True)
    assert pair.resets(goaway(0, 2)) == {3: 7}
    assert pair.filter.reset_code(1) is None


def test_a_new_stream_is_not_sent_after_a_goaway() -> None:
    """RFC 9113 section 6.8 forbids it. httpcore sees it refused; the server sees nothing."""
    pair = Pair()
    pair.open(1)
    pair.send()
    pair.receive(goaway(2**31 - 1))
    pair.open(3)
    assert pair.send() == b""
    assert pair.resets() == {3: 7}
    assert pair.filter.take_replies() == b""


def test_data_of_a_stream_that_was_not_sent_uses_no_window() -> None:
    """The other streams can use the full window of the connection."""
    pair = Pair()
    pair.open(1, headers=POST, end=False)
    pair.send()
    pair.receive(goaway(2**31 - 1))
    before = pair.client.outbound_flow_control_window
    pair.open(3, headers=POST, end=False)
    pair.client.send_data(3, bytes(10_000))
    assert pair.client.outbound_flow_control_window == before - 10_000
    pair.send()
    pair.receive()
    assert pair.client.outbound_flow_control_window == before
    pair.client.send_data(1, bytes(10_000), end_stream=True)
    assert len(pair.send()) == 10_009


def test_a_reset_stream_is_recorded_for_its_upload() -> None:
    """Otherwise httpcore would wait forever for window space on a closed stream."""
    pair = Pair()
    pair.open(1, 3, headers=POST, end=False)
    pair.send()
    pair.server.reset_stream(1, 2)
    assert pair.resets(reset_frame(99, 2)) == {1: 2}
    assert pair.filter.reset_streams == {1}


def test_nothing_is_inserted_into_a_field_block() -> None:
    """RFC 9113 section 4.3 forbids it, for no-op frames and for the resets of late streams."""
    pair = Pair()
    pair.open(1, headers=POST, end=False)
    pair.open(3)
    pair.send()
    block = pair.server.encoder.encode([(":status", "200"), ("x-long", "y" * 50)])
    pair.receive(goaway(2**31 - 1) + make_frame(1, 1, 3, block[:5]))
    pair.open(5)
    assert pair.send() == b""
    assert pair.filter.take_noop() == b""
    events = [type(event).__name__ for event in pair.receive(make_frame(9, 4, 3, block[5:]))]
    assert events == ["ResponseReceived", "StreamEnded", "StreamReset"]
    assert pair.filter.take_noop() != b""


def test_the_first_error_code_of_a_stream_is_kept() -> None:
    """A server may reset a refused stream again for frames that still arrive on it."""
    pair = Pair()
    pair.open(1, headers=POST, end=False)
    pair.send()
    pair.receive(reset_frame(1, 7))
    pair.receive(reset_frame(1, 5))
    assert pair.filter.reset_code(1) == 7


@pytest.mark.parametrize(
    ("limits", "expected"), [({}, 100), ({MAX_STREAMS: 3}, 3), ({MAX_STREAMS: 1000}, 1000)]
)
def test_the_first_settings_always_have_a_stream_limit(
    limits: dict[int, int], expected: int
) -> None:
    """It is 100 if the server sets none, because httpcore would open one stream at a time."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    settings = SettingsFrame(
        0, settings={h2.settings.SettingCodes.HEADER_TABLE_SIZE: 4096, **limits}
    )
    (event, *_) = client.receive_data(FrameFilter().receive(settings.serialize()))
    assert isinstance(event, h2.events.RemoteSettingsChanged)
    assert event.changed_settings[MAX_STREAMS].new_value == expected
    assert h2.settings.SettingCodes.HEADER_TABLE_SIZE in event.changed_settings


@pytest.mark.parametrize(
    ("limits", "expected", "is_draining"),
    [
        ([10, 20], [10, 20], False),
        ([10, 3], [10, 10], True),
        ([10, 20, 15], [10, 20, 20], True),
        ([250, 120], [250, 120], False),
        ([250, 50], [250, 100], True),
    ],
)
def test_a_lower_stream_limit_drains_the_connection(
    limits: list[int],
    expected: list[int],
    is_draining: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The client keeps its current limit; it never opens more than 100 streams anyway."""
    frame_filter, seen = FrameFilter(), []
    for limit in limits:
        frame = SettingsFrame(0, settings={MAX_STREAMS: limit})
        seen.append(int.from_bytes(frame_filter.receive(frame.serialize())[-4:], "big"))
    assert (seen, frame_filter.is_draining) == (expected, is_draining)


@pytest.mark.parametrize(
    "frame",
    [
        make_frame(4, 0, 0, b"half a setting"[:7]),
        make_frame(7, 0, 0, b"short"),
        make_frame(4, 1, 0, b""),
        make_frame(0x42, 0, 9, b"an unknown frame type"),
        b"\xff\xff\xff" + bytes(40),
    ],
    ids=["settings", "goaway", "acknowledgement", "unknown", "too long"],
)
def test_invalid_and_unknown_frames_pass_unchanged(frame: bytes) -> None:
    """h2 validates them."""
    frame_filter = FrameFilter()
    assert frame_filter.receive(frame) == frame
    assert not frame_filter.is_draining


def test_each_stream_gets_a_noop_frame_when_an_upload_may_continue() -> None:
    """After each frame that may have opened a window; never if there is no upload."""
    pair = Pair()
    pair.open(1, 3)
    pair.open(5, headers=POST, end=False)
    pair.send()
    assert pair.filter.take_noop() == b""
    pair.server.increment_flow_control_window(1000)
    pair.receive()
    noops = list(itertools.takewhile(bool, iter(pair.filter.take_noop, None)))
    assert len(noops) >= 3
    assert [type(it).__name__ for it in pair.client.receive_data(noops[0])] == [
        "UnknownFrameReceived"
    ]
    pair.client.end_stream(5)
    pair.send()
    pair.server.increment_flow_control_window(1000)
    pair.receive()
    assert pair.filter.take_noop() == b""


@given(
    st.lists(st.tuples(st.binary(max_size=30), st.integers(0, 40), st.booleans()), max_size=6),
    st.integers(1, 50),
)
def test_without_a_goaway_all_bytes_pass_unchanged(
    requests: list[tuple[bytes, int, bool]], size: int
) -> None:
    """In both directions, however they are split; only settings may be changed."""
    pair = Pair()
    for number, (body, response_size, ends) in enumerate(requests):
        stream_id = 2 * number + 1
        pair.open(stream_id, headers=POST, end=False)
        pair.client.send_data(stream_id, body, end_stream=True)
        out = pair.client.data_to_send()
        assert pair.filter.send(out) == out
        pair.server.receive_data(out)
        pair.server.send_headers(stream_id, [(":status", "200")])
        pair.server.send_data(stream_id, bytes(response_size), end_stream=ends)
        output = pair.server.data_to_send()
        pieces = [output[start : start + size] for start in range(0, len(output), size)]
        assert b"".join(pair.filter.receive(piece) for piece in pieces) == output
    assert len(pair.filter.unfinished) == sum(not ends for _, _, ends in requests)
    assert not pair.filter.is_draining


def test_the_preface_is_sent_before_the_first_frame() -> None:
    """It isn't a frame itself."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    written = client.data_to_send()
    assert FrameFilter().send(written) == written
    assert [frame.kind for frame in FrameReader(max_payload=100).read(written[len(PREFACE) :])] == [
        4
    ]
