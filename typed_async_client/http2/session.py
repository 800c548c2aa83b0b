"""The open streams of one HTTP/2 connection, and what is to be sent on them.

The protocol is h2's. What h2 can't do is done in front of it: a GOAWAY lets the streams below it finish,
and what is unread on one stream blocks no other. No I/O happens here.
"""

import copy

import httpcore

from typed_async_client.http2.errors import (
    CANCEL,
    NO_ERROR,
    PROTOCOL_ERROR,
    UnprocessedError,
    describe_code,
)
from typed_async_client.http2.floods import FloodGuard
from typed_async_client.http2.heads import Headers
from typed_async_client.http2.library import STREAM_WINDOW, H2State
from typed_async_client.http2.stream import Stream

__all__ = ["Session"]

_UNLIMITED = 1000
"""Most streams on a connection whose server sets no limit."""

_FORGET_EVERY = 64
"""Streams that end before h2 is told to forget them, which takes time for each that is open."""

_LAST_STREAM = 2**31 - 1

_TELL_AFTER = STREAM_WINDOW // 2
"""Bytes after which the server is told that there is room for as many more."""


class Session:
    """One connection, as seen by the client.

    Args:
        now: monotonic seconds.

    Attributes:
        failure: why the connection can't be used any more; None as long as it can.
        floods: bounds the frames that bring no request further.
        h2: the state of h2.
        has_reset: whether streams were reset since the last ``settle_resets()``.
        is_draining: whether it accepts no new request, while the running ones may finish.
        max_streams: how many streams the server allows; None until it has sent its settings.
        streams: the open streams, by number.
        times_opened: how often the server has opened the window of the connection.
    """

    def __init__(self, now: float) -> None:
        self.failure: Exception | None = None
        self.floods: FloodGuard = FloodGuard(now)
        self.h2: H2State = H2State()
        self.has_reset: bool = False
        self.is_draining: bool = False
        self.max_streams: int | None = None
        self.streams: dict[int, Stream] = {}
        self.times_opened: int = 0
        self._ended = 0  # streams that h2 hasn't forgotten yet
        self._has_failed_early = False
        self._untold = 0  # bytes received since the server was last told that there is room
        self.h2.start()

    @property
    def has_room(self) -> bool:
        """Whether another stream may be opened now; before the settings have come, one may."""
        limit = 1 if self.max_streams is None else self.max_streams
        return len(self.streams) < limit and not self.is_draining and self.failure is None

    @property
    def awaits_limit(self) -> bool:
        """Whether the server may soon allow a stream that has no room now."""
        return not (self.max_streams or self.is_draining or self.failure is not None)

    def take_output(self) -> bytes:
        """Return what is to be sent."""
        data: bytes = self.h2.data_to_send()
        return data

    def open_stream(self, fields: Headers, *, ends: bool) -> Stream:
        """Prepare the head of a request.

        Args:
            fields: its fields, from ``heads.request_fields``.
            ends: whether it has no body.
        """
        stream = Stream(self.h2.send_request(fields, ends=ends), fields[0][1])
        stream.is_sent = ends
        self.streams[stream.id] = stream
        self.h2.open_streams = len(self.streams)
        if stream.id + 2 > _LAST_STREAM:
            self.is_draining = True
        return stream

    def room(self, stream: Stream) -> int:
        """Return how many bytes of the body may be sent now."""
        if not self._is_open(stream):
            return 0
        return max(0, self.h2.local_flow_control_window(stream.id))

    @property
    def window(self) -> int:
        """How many bytes of bodies the server accepts on the connection, in all."""
        return 0 if self.failure is not None else self.h2.outbound_flow_control_window

    def has_window(self, stream: Stream) -> bool:
        """Whether the window of a stream is open, so that it waits for the connection's only."""
        return self._is_open(stream) and self.h2.window_of(stream.id) > 0

    def send_part(self, stream: Stream, data: memoryview, *, ends: bool) -> int:
        """Prepare a part of a body, up to what may be sent now; return how many bytes that is.

        Args:
            stream: a stream.
            data: what is left to send, not empty.
            ends: whether the request ends with it.
        """
        size, most = min(len(data), self.room(stream)), self.h2.max_outbound_frame_size
        for start in range(0, size, most):
            end = min(start + most, size)
            self.h2.send_data(stream.id, data[start:end], end_stream=ends and end == len(data))
        self.floods.progress(size)
        if ends and size == len(data):
            self._finish_request(stream)
        return size

    def end_request(self, stream: Stream) -> None:
        """Prepare the end of a request whose last part didn't end it."""
        if self._is_open(stream) and not stream.is_sent:
            self.h2.end_stream(stream.id)
            self._finish_request(stream)

    def reset(self, stream: Stream, code: int = CANCEL) -> None:
        """End a stream, if it is open, and let the server know."""
        if self._is_open(stream):
            self.h2.reset_stream(stream.id, code)
            self.has_reset = True
        self.remove(stream)

    def remove(self, stream: Stream) -> None:
        """Forget a stream that has ended, so that another one may be opened."""
        if self.streams.pop(stream.id, None) is None:
            return
        self.h2.open_streams = len(self.streams)
        self._ended += 1
        if self._ended >= _FORGET_EVERY + len(self.streams) // 4:
            self.h2.forget_closed()
            self._ended = 0

    def settle_resets(self) -> None:
        """Have h2 take further frames on streams that were reset for those of ended ones."""
        self.has_reset = False
        self.h2.forget_closed()

    def count_received(self, size: int) -> None:
        """Give bytes of bodies back to the window of the connection at once.

        Each stream has a window of its own, so what nobody reads on one of them blocks no other.
        """
        self._untold += size
        if self._untold >= _TELL_AFTER:
            self.h2.increment_flow_control_window(self._untold)
            self._untold = 0

    def take(self, stream: Stream, size: int) -> bool:
        """Count bytes of a body that were read; return whether the server is to be told."""
        stream.taken += size
        if stream.taken < _TELL_AFTER or stream.is_complete or not self._is_open(stream):
            return False
        self.h2.increment_flow_control_window(stream.taken, stream.id)
        stream.taken = 0
        return True

    def set_limits(self) -> None:
        """Obey the settings that the server has just sent."""
        limit = self.h2.stream_limit
        self.max_streams = limit if limit <= _LAST_STREAM else _UNLIMITED

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        if self.failure is None:
            self.h2.ping(bytes(8))

    def go_away(self, last_stream_id: int, code: int, detail: str) -> None:
        """Let the connection drain, RFC 9113 section 6.8.

        Streams above the last one weren't processed. Those up to it may finish, unless the server
        reports an error.
        """
        self.is_draining = True
        for stream in [one for one in self.streams.values() if one.id > last_stream_id]:
            stream.fail(_unprocessed(stream, code, detail))
            self.reset(stream)
        if code != NO_ERROR:
            reason = f"the server closed the connection with error code {describe_code(code)}"
            self.fail(httpcore.RemoteProtocolError(reason + detail))

    def refuse(self, stream: Stream, error: Exception) -> None:
        """End a stream on which the server has broken a rule."""
        stream.fail(error)
        self.reset(stream, PROTOCOL_ERROR)

    def fail(self, error: Exception, code: int = NO_ERROR) -> None:
        """End the connection: every stream fails whose response isn't complete.

        Args:
            error: what they fail with.
            code: what the server is told.
        """
        if self.failure is not None:
            return
        self._has_failed_early = not self.h2.highest_outbound_stream_id
        self.failure = error
        if not self.h2.is_terminated:
            self.h2.close_connection(code)
        for stream in list(self.streams.values()):
            if stream.is_complete:
                stream.wake()
            else:
                stream.fail(_copy(error))
        self.streams.clear()

    def release(self) -> None:
        """Let the state of a connection that has failed be freed with its last reference.

        h2 keeps a table of its own methods, each of which refers back to it.
        """
        vars(self.h2).clear()

    def raise_early_failure(self) -> None:
        """Raise what ended the connection before its first request: others would end likewise."""
        if self.failure is not None and self._has_failed_early:
            raise _copy(self.failure)

    def _finish_request(self, stream: Stream) -> None:
        stream.is_sent = True
        if stream.is_complete:
            self.remove(stream)

    def _is_open(self, stream: Stream) -> bool:
        return self.failure is None and self.h2.is_open(stream.id)


def _copy(error: Exception) -> Exception:
    """Return an error for one stream: raised in several, one would collect their frames."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _unprocessed(stream: Stream, code: int, detail: str) -> Exception:
    """Return the error of a stream that a GOAWAY excludes."""
    reason = "the server shut down without processing the request"
    if code != NO_ERROR:
        reason += f", with error code {describe_code(code)}{detail}"
    if stream.has_head:
        return httpcore.RemoteProtocolError(reason)
    error = UnprocessedError(reason)
    error.is_graceful = code == NO_ERROR
    return error
