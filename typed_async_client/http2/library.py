"""h2, set up for our exchange, which checks responses itself. The only file that imports it."""

from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.frame_buffer
import h2.settings
import hyperframe.frame

from typed_async_client.http2 import frames
from typed_async_client.http2.compression import MAX_HEADER_LIST, PLACEHOLDER, Decoder, Encoder
from typed_async_client.http2.heads import Headers

__all__ = ["MAX_FRAME_SIZE", "STREAM_WINDOW", "H2State", "ProtocolError", "events"]

events = h2.events
ProtocolError = h2.exceptions.ProtocolError

STREAM_WINDOW = 4 * 1024 * 1024
"""Bytes of a body that the server may send before they are read: enough for 1 Gbit/s over 30 ms."""

_CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes on their way on a connection; what has arrived doesn't count, see ``session.py``."""

MAX_FRAME_SIZE = 64 * 1024
"""Most bytes in a frame from the server."""

_CONFIG = h2.config.H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_inbound_headers=False,  # it would end the connection, and with it the other streams
    normalize_inbound_headers=False,
    validate_outbound_headers=False,  # they have been checked, and are in lower case already
    normalize_outbound_headers=False,
)


class _Incoming(h2.frame_buffer.FrameBuffer):
    """What h2 reads frames from, which also takes one that has been split off already.

    h2 would copy each frame twice, parse it again, and format all of it for a log that nobody reads:
    most of what it costs to receive a body.

    Attributes:
        message: the next frame; None if it is among the bytes.
    """

    def __init__(self) -> None:
        super().__init__(server=False)
        self.message: hyperframe.frame.Frame | None = None

    def add_data(self, data: Any) -> None:
        """Take bytes, unless there is a frame to be read."""
        if self.message is None:
            super().add_data(data)

    def __next__(self) -> hyperframe.frame.Frame:
        message, self.message = self.message, None
        return super().__next__() if message is None else message


class H2State(h2.connection.H2Connection):
    """h2's state of one connection.

    Attributes:
        open_streams: how many streams are open, which h2 would count one by one for each request.
    """

    open_streams: int = 0

    def __init__(self) -> None:
        super().__init__(_CONFIG)
        codes = h2.settings.SettingCodes
        self.local_settings: h2.settings.Settings = h2.settings.Settings(
            client=True,
            initial_values={
                codes.ENABLE_PUSH: 0,
                codes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                codes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
                codes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
            },
        )
        del self.local_settings[codes.ENABLE_CONNECT_PROTOCOL]  # for servers
        self.max_inbound_frame_size = MAX_FRAME_SIZE
        self.decoder: Decoder = Decoder()
        self.encoder: Encoder = Encoder()
        self.incoming_buffer: _Incoming = _Incoming()

    def start(self) -> None:
        """Prepare the preface: the settings, and a window for the whole connection."""
        self.initiate_connection()
        self.increment_flow_control_window(_CONNECTION_WINDOW - self.inbound_flow_control_window)

    @property
    def is_terminated(self) -> bool:
        """Whether h2 has ended the connection itself, for an error of the server."""
        return self.state_machine.state is h2.connection.ConnectionState.CLOSED

    @property
    def open_outbound_streams(self) -> int:
        """The number of open streams."""
        return self.open_streams

    def receive_frame(self, frame: frames.Frame, *, is_in_head: bool) -> list[h2.events.Event]:
        """Process a frame.

        Args:
            frame: the frame.
            is_in_head: whether a head has begun before it and hasn't ended.

        Raises:
            ProtocolError: it breaks the protocol.
        """
        if is_in_head or not frames.is_plain(frame):
            return self.receive_data(frame.data)
        self.incoming_buffer.message = _message(frame)
        return self.receive_data(b"")

    def forget_closed(self) -> int:
        """Forget closed streams, except how they were closed; return how many are open.

        h2 does so as it counts the open ones. Until then, it takes an interim response on a stream
        that was reset for an error of the connection.
        """
        return super().open_outbound_streams

    def is_open(self, stream_id: int) -> bool:
        """Whether frames may be sent on a stream, at least to reset it."""
        stream = self.streams.get(stream_id)
        return stream is not None and not stream.closed

    def window_of(self, stream_id: int) -> int:
        """Return how many bytes the window of an open stream has room for; it may be negative."""
        return self.streams[stream_id].outbound_flow_control_window

    def send_request(self, fields: Headers, *, ends: bool) -> int:
        """Prepare the head of a request; return the number of its stream."""
        stream_id = self.get_next_available_stream_id()
        self.encoder.fields = fields
        self.send_headers(stream_id, PLACEHOLDER, end_stream=ends)
        return stream_id

    @property
    def stream_limit(self) -> int:
        """How many streams the server allows."""
        return self.remote_settings.max_concurrent_streams


def _message(frame: frames.Frame) -> hyperframe.frame.Frame:
    """Return what h2 would have parsed from a plain frame, as far as it looks at it."""
    message: hyperframe.frame.Frame
    if frame.kind == frames.DATA:
        message = hyperframe.frame.DataFrame(frame.stream_id, frame.payload)
        vars(message)["serialize_body"] = bytes  # h2 formats the body for its log: an empty one
    else:
        message = hyperframe.frame.HeadersFrame(frame.stream_id, frame.payload)
    if frame.flags & frames.END_STREAM:
        message.flags.add("END_STREAM")
    return message
