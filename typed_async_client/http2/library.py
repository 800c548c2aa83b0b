"""h2, set up for our exchange, which checks responses itself. The only file that imports it."""

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack

from typed_async_client.http2.heads import Headers

__all__ = ["MAX_FRAME_SIZE", "STREAM_WINDOW", "H2State", "ProtocolError", "events", "shown_fields"]

events = h2.events
ProtocolError = h2.exceptions.ProtocolError

STREAM_WINDOW = 4 * 1024 * 1024
"""Bytes of a body that the server may send before they are read: enough for 1 Gbit/s over 30 ms."""

_CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes on their way on a connection; what has arrived doesn't count, see ``session.py``."""

MAX_FRAME_SIZE = 64 * 1024
"""Most bytes in a frame from the server."""

_MAX_HEADER_LIST = 64 * 1024
"""Most bytes in a head, as HPACK counts them: 32 more for each field."""

_MAX_TABLE = 64 * 1024
"""Most bytes that the server may have us keep to compress our heads."""

_CONFIG = h2.config.H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_inbound_headers=False,  # it would end the connection, and with it the other streams
    normalize_inbound_headers=False,
    validate_outbound_headers=False,  # they have been checked, and are in lower case already
    normalize_outbound_headers=False,
)

_LENGTH, _ESCAPE = b"content-length", b"\0"
_SHORT_COOKIE = 20
_SECRET = (b"authorization", b"proxy-authorization")
_UNIQUE = (b":path", b"content-length", b"date")


class H2State(h2.connection.H2Connection):
    """h2's state of one connection.

    Attributes:
        open_streams: how many streams are open, which h2 would count one by one for each request.
    """

    open_streams: int = 0

    def __init__(self) -> None:
        super().__init__(_CONFIG)
        codes = h2.settings.SettingCodes
        self.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                codes.ENABLE_PUSH: 0,
                codes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                codes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
                codes.MAX_HEADER_LIST_SIZE: _MAX_HEADER_LIST,
            },
        )
        del self.local_settings[codes.ENABLE_CONNECT_PROTOCOL]  # for servers
        self.max_inbound_frame_size = MAX_FRAME_SIZE
        self.decoder = _Decoder()
        self.decoder.max_header_list_size = _MAX_HEADER_LIST

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

    def forget_closed(self) -> None:
        """Forget closed streams, except how they were closed.

        h2 does so as it counts the open ones. Until then, it takes an interim response on a stream
        that was reset for an error of the connection.
        """
        assert super().open_outbound_streams >= 0  # noqa: S101 - reading it is what does it

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
        self.send_headers(stream_id, [_compressible(*field) for field in fields], end_stream=ends)
        self.streams[stream_id].request_method = None  # or h2 would check the length of the body
        return stream_id

    @property
    def stream_limit(self) -> int:
        """How many streams the server allows."""
        return self.remote_settings.max_concurrent_streams

    def bound_table(self) -> None:
        """Bound the memory that the server may have us use to compress heads."""
        self.encoder.header_table_size = min(self.encoder.header_table_size, _MAX_TABLE)


class _Decoder(hpack.Decoder):
    """Hides the length of a body from h2, which ends the connection if the length is wrong.

    RFC 9113 section 8.1.1 makes it an error of the stream. ``shown_fields`` undoes it.
    """

    def decode(self, data: bytes, raw: bool = False) -> list[hpack.HeaderTuple]:  # noqa: FBT001, FBT002 - hpack's own signature
        """Decode a head."""
        return [
            hpack.HeaderTuple(_ESCAPE + field[0], field[1])
            if field[0] == _LENGTH or field[0][:1] == _ESCAPE
            else field
            for field in super().decode(data, raw)
        ]


def shown_fields(fields: object) -> Headers:
    """Return the fields of an event as the server has sent them."""
    return [
        (name[1:] if name[:1] == _ESCAPE else name, value)
        for name, value in fields or ()  # type: ignore[attr-defined]  # h2's annotation allows str
    ]


def _compressible(name: bytes, value: bytes) -> hpack.HeaderTuple:
    """Keep secrets, and what differs from request to request, out of the table of HPACK.

    RFC 7541 section 7.1.3. The table makes encoding slower, too, the more is in it.
    """
    if name in _SECRET or name in _UNIQUE or (name == b"cookie" and len(value) < _SHORT_COOKIE):
        return hpack.NeverIndexedHeaderTuple(name, value)
    return hpack.HeaderTuple(name, value)
