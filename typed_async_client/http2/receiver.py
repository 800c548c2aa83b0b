"""Passes received bytes to h2, frame by frame, and what they mean to the streams of a session."""

import struct
from collections.abc import Callable
from typing import Any, ClassVar

import httpcore

from typed_async_client.http2 import frames
from typed_async_client.http2.compression import decoded_fields
from typed_async_client.http2.errors import (
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    UnprocessedError,
    describe_code,
)
from typed_async_client.http2.heads import Fields
from typed_async_client.http2.library import MAX_FRAME_SIZE, ProtocolError, events
from typed_async_client.http2.session import Session
from typed_async_client.http2.stream import Stream

__all__ = ["Receiver"]

_GOAWAY = struct.Struct(">LL")
_HEAD_KINDS = (frames.HEADERS, frames.CONTINUATION, frames.PUSH_PROMISE)

_MESSAGE = frozenset([frames.DATA, frames.HEADERS])
"""Frames that most responses consist of."""

_OF_STREAM = frozenset(
    [frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.WINDOW_UPDATE, frames.CONTINUATION]
)
"""Frames that need a stream which the client has opened, RFC 9113 section 5.1.1."""

_FILLERS = frozenset(
    [frames.PING, frames.SETTINGS, frames.PRIORITY, frames.WINDOW_UPDATE, frames.CONTINUATION]
)
"""Frames that bring no request further by themselves."""

_FLOOD = "it sent a flood of {} frames, which bring no request further"
_LARGE_PART = 256
"""Bytes from which a part of a body on a stream that has ended isn't counted."""

_MOST_DETAIL = 100
"""Most bytes of a reason given with GOAWAY that are shown."""


class _ViolationError(Exception):
    """The server has broken a rule that h2 doesn't check.

    Args:
        message: which one.
        code: the error code to close the connection with.
    """

    def __init__(self, message: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code: int = code


class Receiver:
    """Processes what a server sends on one connection.

    Args:
        session: the session, whose streams are woken as they change.

    Attributes:
        new_settings: settings that were received and not reported yet, as h2's events.
        window_changed: whether there may be more room for bodies than before; reset by whoever
            makes use of it.
    """

    def __init__(self, session: Session) -> None:
        self.new_settings: list[Any] = []
        self.window_changed: bool = False
        self._is_in_head = False
        self._now = 0.0
        self._reader = frames.FrameReader(max_payload=MAX_FRAME_SIZE)
        self._session = session

    def receive(self, data: bytes, now: float) -> None:
        """Process received bytes. If they break the protocol, the session fails.

        Args:
            data: the bytes.
            now: monotonic seconds.
        """
        session, self._now = self._session, now
        for frame in self._reader.read(data):
            if session.failure is not None:
                return
            try:
                self._receive_frame(frame)
            except (ProtocolError, _ViolationError) as error:
                code = error.code if isinstance(error, _ViolationError) else NO_ERROR
                failure = httpcore.RemoteProtocolError(f"the server broke HTTP/2: {_text(error)}")
                failure.__cause__ = error.with_traceback(None)  # its frames refer to it
                session.fail(failure, code)

    def _receive_frame(self, frame: frames.Frame) -> None:
        session, kind = self._session, frame.kind
        if session.has_reset:
            session.settle_resets()
        if session.max_streams is None and kind != frames.SETTINGS:
            _check_first(frame)
        self._check(frame)
        if frame.stream_id and frame.stream_id not in session.streams:
            self._count_stray(frame)
        if kind not in _MESSAGE and self._is_dealt_with(frame):
            return
        is_in_head = self._is_in_head
        if kind in _HEAD_KINDS:
            self._is_in_head = not frame.flags & frames.END_HEADERS
        for event in session.h2.receive_frame(frame, is_in_head=is_in_head):
            handle = self._handlers.get(type(event))
            if handle is not None:
                handle(self, event)

    def _is_dealt_with(self, frame: frames.Frame) -> bool:
        """Count a frame that is no part of a message; return whether h2 mustn't see it."""
        if frame.kind in _FILLERS or frame.kind > frames.CONTINUATION:
            self._count_filler(frames.name_of(frame.kind))
        return not self._is_in_head and self._is_ours(frame)

    def _check(self, frame: frames.Frame) -> None:
        """Refuse a frame whose header says enough."""
        kind, _, stream_id, _ = frame
        if kind == frames.OVERSIZED:
            reason = f"it sent a frame of more than {MAX_FRAME_SIZE} bytes"
            raise _ViolationError(reason, FRAME_SIZE_ERROR)
        opened = self._session.h2.highest_outbound_stream_id
        if kind in _OF_STREAM and (stream_id > opened or stream_id % 2 == 0 < stream_id):
            raise _ViolationError(
                f"it sent a {frames.name_of(kind)} frame on a stream that was never opened"
            )

    def _count_stray(self, frame: frames.Frame) -> None:
        """Count a frame on a stream that has ended: some were on their way, a flood wasn't.

        A large part of a body isn't counted, for which its sender pays; a head has to be decoded.
        """
        if frame.kind in _HEAD_KINDS:
            self._count_filler(frames.name_of(frame.kind), frame.size)
        elif frame.kind in _OF_STREAM and frame.size < _LARGE_PART:
            self._count_filler(frames.name_of(frame.kind))

    def _count_filler(self, name: str, size: int = 0) -> None:
        if not self._session.floods.allows(self._now, size):
            raise _ViolationError(_FLOOD.format(name), ENHANCE_YOUR_CALM)

    def _is_ours(self, frame: frames.Frame) -> bool:
        """Process a frame that h2 mustn't see; return whether it is one."""
        kind, size = frame.kind, frame.size
        if kind == frames.GOAWAY and frame.stream_id == 0 and size >= _GOAWAY.size:
            last_stream_id, code = _GOAWAY.unpack_from(frame.payload)
            detail = _shown_detail(frame.payload[_GOAWAY.size :])
            self._session.go_away(last_stream_id & 0x7FFFFFFF, code, detail)
            return True
        if kind == frames.WINDOW_UPDATE and frame.stream_id and frame.payload == bytes(4):
            stream = self._session.streams.get(frame.stream_id)
            if stream is not None:  # RFC 9113 section 6.9: an error of the stream
                error = httpcore.RemoteProtocolError("the server opened a window by 0 bytes")
                self._session.refuse(stream, error)
            return True
        # Priorities are obsolete, RFC 9113 section 5.3.2.
        return kind == frames.PRIORITY and frame.stream_id != 0 and size == 5  # noqa: PLR2004 - section 6.3

    def _on_head(self, event: Any) -> None:
        self._deliver_fields(event, Stream.receive_head)

    def _on_interim(self, event: Any) -> None:
        self._deliver_fields(event, Stream.receive_interim)

    def _on_trailers(self, event: Any) -> None:
        self._deliver_fields(event, Stream.receive_trailers)

    def _on_data(self, event: Any) -> None:
        session, data, size = self._session, event.data, event.flow_controlled_length
        session.count_received(size)
        if data or event.stream_ended is not None:
            session.floods.progress(size)
        else:
            self._count_filler("empty DATA")
        stream = session.streams.get(event.stream_id)
        if stream is None:
            return
        if size > len(data):
            session.take(stream, size - len(data))  # padding
        self._deliver(stream, stream.receive_part, data)

    def _on_end(self, event: Any) -> None:
        stream = self._session.streams.get(event.stream_id)
        if stream is None:
            return
        self._deliver(stream, stream.receive_end)
        if stream.is_complete and stream.is_sent:
            self._session.remove(stream)

    def _on_reset(self, event: Any) -> None:
        """End a stream that the server has reset, or h2 because of what the server sent."""
        stream, code = self._session.streams.get(event.stream_id), int(event.error_code)
        if stream is None:
            return
        if code == REFUSED_STREAM and not stream.has_head and event.remote_reset:
            reason = "the server refused the stream without processing it"
            stream.fail(UnprocessedError(reason))
        elif not (stream.is_complete and code == NO_ERROR):
            who = "the server" if event.remote_reset else "the server broke HTTP/2, which"
            reason = f"{who} reset the stream with error code {describe_code(code)}"
            stream.fail(httpcore.RemoteProtocolError(reason))
        self._session.remove(stream)
        stream.wake()
        self.window_changed = True  # an upload on it waits for nothing any more

    def _on_settings(self, event: Any) -> None:
        self._session.set_limits()
        self.new_settings.append(event)
        self.window_changed = True

    def _on_window(self, event: Any) -> None:
        self._session.times_opened += event.stream_id == 0
        self.window_changed = True

    def _deliver_fields(self, event: Any, receive: Callable[[Stream, Fields], None]) -> None:
        stream = self._session.streams.get(event.stream_id)
        if stream is not None:
            self._session.floods.progress(0)
            self._deliver(stream, receive, stream, decoded_fields(event.headers))

    def _deliver(self, stream: Stream, receive: Callable[..., None], *arguments: Any) -> None:
        """Pass something to a stream, which ends if it is malformed."""
        try:
            receive(*arguments)
        except httpcore.RemoteProtocolError as error:
            self._session.refuse(stream, error.with_traceback(None))

    _handlers: ClassVar[dict[type[Any], Callable[["Receiver", Any], None]]] = {
        events.DataReceived: _on_data,
        events.InformationalResponseReceived: _on_interim,
        events.RemoteSettingsChanged: _on_settings,
        events.ResponseReceived: _on_head,
        events.StreamEnded: _on_end,
        events.StreamReset: _on_reset,
        events.TrailersReceived: _on_trailers,
        events.WindowUpdated: _on_window,
    }
    """Methods for h2's events; the others concern no stream."""


def _check_first(frame: frames.Frame) -> None:
    """Refuse anything before the settings, RFC 9113 section 3.4."""
    if frame.data.startswith(b"HTTP/1."):
        raise _ViolationError("it speaks HTTP/1.1")
    if frame.kind != frames.OVERSIZED:
        raise _ViolationError("it didn't begin with its settings")


def _shown_detail(data: bytes) -> str:
    """Return what a server gives as its reason, if it is printable."""
    text = data[:_MOST_DETAIL].decode("ascii", "replace")
    return f": {text}" if text and text.isprintable() else ""


def _text(error: Exception) -> str:
    text = str(error) or type(error).__name__
    # Of a stream that has ended, h2 gives the number only.
    return f"it sent a frame on stream {text}, which had ended" if text.isdecimal() else text
