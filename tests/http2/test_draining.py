"""What httpcore is told of a server's words, with a real HTTP/2 state machine on either side."""

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

from typed_async_client.http2.draining import FrameWatch
from typed_async_client.http2.frames import PREFACE, FrameReader, make_frame, reset_frame

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]
MAX_STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


class Pair:
    """A client and a server, with a watch between them.

    Attributes:
        client: the client's state.
        server: the server's state.
        watch: what is tested.
    """

    def __init__(self) -> None:
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.watch = FrameWatch()
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.sent()
        self.received()

    def sent(self) -> bytes:
        """Carry what the client wrote to the server; give the bytes that went out."""
        out = self.watch.send(self.client.data_to_send())
        self.server.receive_data(out)
        return out

    def received(self, more: bytes = b"") -> list[h2.events.Event]:
        """Carry what the server wrote, and some more bytes, to the client; give its events."""
        data = self.watch.receive(self.server.data_to_send() + more) + self.watch.take_replies()
        return self.client.receive_data(data)

    def open(self, *stream_ids: int, headers: Any = GET, end: bool = True) -> None:
        """Send the head of a request on each of some streams."""
        for stream_id in stream_ids:
            self.client.send_headers(stream_id, headers, end_stream=end)

    def resets(self, more: bytes = b"") -> dict[int, int]:
        """Tell which streams the client sees reset, with which code."""
        events = self.received(more)
        assert not any(isinstance(event, h2.events.ConnectionTerminated) for event in events)
        return {
            event.stream_id: int(event.error_code)
            for event in events
            if isinstance(event, h2.events.StreamReset)
        }


def goodbye(last: int, code: int = 0) -> bytes:
    """Make a GOAWAY frame."""
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
def test_a_goaway_becomes_the_end_of_the_streams_that_it_ends(
    last: int, code: int, expected: dict[int, int]
) -> None:
    """Those above the last one are refused; those up to it end with the error, if there is one."""
    pair = Pair()
    pair.open(1, 3, 5)
    pair.sent()
    assert not pair.watch.drains
    assert pair.resets(goodbye(last, code)) == expected
    assert pair.watch.drains
    assert {stream: pair.watch.reset_code(stream) for stream in expected} == expected


def test_a_stream_that_was_answered_is_not_ended() -> None:
    """Whatever the GOAWAY after its answer says: it may not be read yet."""
    pair = Pair()
    pair.open(1, 3)
    pair.sent()
    pair.server.send_headers(1, [(":status", "200")], end_stream=True)
    assert pair.resets(goodbye(0, 2)) == {3: 7}
    assert pair.watch.reset_code(1) is None


def test_after_a_goaway_a_new_stream_does_not_go_out() -> None:
    """RFC 9113 section 6.8 forbids it; httpcore sees it refused, the server sees nothing."""
    pair = Pair()
    pair.open(1)
    pair.sent()
    pair.received(goodbye(2**31 - 1))
    pair.open(3)
    assert pair.sent() == b""
    assert pair.resets() == {3: 7}
    assert pair.watch.take_replies() == b""


def test_what_a_late_stream_did_not_send_costs_no_window() -> None:
    """The others send on within the window of the connection."""
    pair = Pair()
    pair.open(1, headers=POST, end=False)
    pair.sent()
    pair.received(goodbye(2**31 - 1))
    before = pair.client.outbound_flow_control_window
    pair.open(3, headers=POST, end=False)
    pair.client.send_data(3, bytes(10_000))
    assert pair.client.outbound_flow_control_window == before - 10_000
    pair.sent()
    pair.received()
    assert pair.client.outbound_flow_control_window == before
    pair.client.send_data(1, bytes(10_000), end_stream=True)
    assert len(pair.sent()) == 10_009


def test_a_stream_that_was_ended_is_noted_for_its_upload() -> None:
    """Otherwise httpcore would look for room for ever, on a stream that is gone."""
    pair = Pair()
    pair.open(1, 3, headers=POST, end=False)
    pair.sent()
    pair.server.reset_stream(1, 2)
    assert pair.resets(reset_frame(99, 2)) == {1: 2}
    assert pair.watch.ended == {1}


def test_nothing_comes_between_the_parts_of_a_head() -> None:
    """RFC 9113 section 4.3 forbids it: neither a nudge nor what a late stream is told."""
    pair = Pair()
    pair.open(1, headers=POST, end=False)
    pair.open(3)
    pair.sent()
    block = pair.server.encoder.encode([(":status", "200"), ("x-long", "y" * 50)])
    pair.received(goodbye(2**31 - 1) + make_frame(1, 1, 3, block[:5]))
    pair.open(5)
    assert pair.sent() == b""
    assert pair.watch.take_nudge() == b""
    told = [type(event).__name__ for event in pair.received(make_frame(9, 4, 3, block[5:]))]
    assert told == ["ResponseReceived", "StreamEnded", "StreamReset"]
    assert pair.watch.take_nudge() != b""


def test_the_first_reason_for_the_end_of_a_stream_is_kept() -> None:
    """A server that refused a stream may complain of what still comes on it."""
    pair = Pair()
    pair.open(1, headers=POST, end=False)
    pair.sent()
    pair.received(reset_frame(1, 7))
    pair.received(reset_frame(1, 5))
    assert pair.watch.reset_code(1) == 7


@pytest.mark.parametrize(
    ("told", "expected"), [({}, 100), ({MAX_STREAMS: 3}, 3), ({MAX_STREAMS: 1000}, 1000)]
)
def test_the_first_settings_name_the_number_of_streams(told: dict[int, int], expected: int) -> None:
    """A hundred where the server names none, for httpcore opens one at a time then."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    settings = SettingsFrame(0, settings={h2.settings.SettingCodes.HEADER_TABLE_SIZE: 4096, **told})
    (event, *_) = client.receive_data(FrameWatch().receive(settings.serialize()))
    assert isinstance(event, h2.events.RemoteSettingsChanged)
    assert event.changed_settings[MAX_STREAMS].new_value == expected
    assert h2.settings.SettingCodes.HEADER_TABLE_SIZE in event.changed_settings


@pytest.mark.parametrize(
    ("numbers", "expected", "drains"),
    [
        ([10, 20], [10, 20], False),
        ([10, 3], [10, 10], True),
        ([10, 20, 15], [10, 20, 20], True),
        ([250, 120], [250, 120], False),
        ([250, 50], [250, 100], True),
    ],
)
def test_a_lower_number_of_streams_lets_the_connection_drain(
    numbers: list[int],
    expected: list[int],
    drains: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Httpcore keeps the number that it knows; above a hundred it uses none of them."""
    watch, seen = FrameWatch(), []
    for number in numbers:
        told = watch.receive(SettingsFrame(0, settings={MAX_STREAMS: number}).serialize())
        seen.append(int.from_bytes(told[-4:], "big"))
    assert (seen, watch.drains) == (expected, drains)


@pytest.mark.parametrize(
    "odd",
    [
        make_frame(4, 0, 0, b"half a setting"[:7]),
        make_frame(7, 0, 0, b"short"),
        make_frame(4, 1, 0, b""),
        make_frame(0x42, 0, 9, b"of a kind that nobody knows"),
        b"\xff\xff\xff" + bytes(40),
    ],
    ids=["settings", "goaway", "acknowledgement", "unknown", "too long"],
)
def test_what_is_odd_is_for_the_state_machine_to_judge(odd: bytes) -> None:
    """It passes as it is."""
    watch = FrameWatch()
    assert watch.receive(odd) == odd
    assert not watch.drains


def test_streams_that_wait_for_room_are_nudged_once_each() -> None:
    """After each frame that may have given room to one of them; never when none sends a body."""
    pair = Pair()
    pair.open(1, 3)
    pair.open(5, headers=POST, end=False)
    pair.sent()
    assert pair.watch.take_nudge() == b""
    pair.server.increment_flow_control_window(1000)
    pair.received()
    nudges = list(itertools.takewhile(bool, iter(pair.watch.take_nudge, None)))
    assert len(nudges) >= 3
    assert [type(it).__name__ for it in pair.client.receive_data(nudges[0])] == [
        "UnknownFrameReceived"
    ]
    pair.client.end_stream(5)
    pair.sent()
    pair.server.increment_flow_control_window(1000)
    pair.received()
    assert pair.watch.take_nudge() == b""


@given(
    st.lists(st.tuples(st.binary(max_size=30), st.integers(0, 40), st.booleans()), max_size=6),
    st.integers(1, 50),
)
def test_without_a_goaway_every_byte_passes(
    requests: list[tuple[bytes, int, bool]], size: int
) -> None:
    """Both ways, in any pieces; only the settings may tell more than the server said."""
    pair = Pair()
    for number, (body, answered, ends) in enumerate(requests):
        stream_id = 2 * number + 1
        pair.open(stream_id, headers=POST, end=False)
        pair.client.send_data(stream_id, body, end_stream=True)
        out = pair.client.data_to_send()
        assert pair.watch.send(out) == out
        pair.server.receive_data(out)
        pair.server.send_headers(stream_id, [(":status", "200")])
        pair.server.send_data(stream_id, bytes(answered), end_stream=ends)
        back = pair.server.data_to_send()
        pieces = [back[start : start + size] for start in range(0, len(back), size)]
        assert b"".join(pair.watch.receive(piece) for piece in pieces) == back
    assert len(pair.watch.unfinished) == sum(not ends for _, _, ends in requests)
    assert not pair.watch.drains


def test_the_preface_goes_out_before_the_first_frame() -> None:
    """It is no frame."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    written = client.data_to_send()
    assert FrameWatch().send(written) == written
    assert [frame.kind for frame in FrameReader(longest=100).read(written[len(PREFACE) :])] == [4]
