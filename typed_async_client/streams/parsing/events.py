"""Parses server-sent events by the rules of the HTML standard, section 9.2.6.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from typed_async_client.streams.parsing.lines import BOM

__all__ = ["EventParser"]

E = TypeVar("E")

_MOST_DIGITS: Final = 18
"""More are cut off: the time would be longer than any wait, and Python refuses to convert thousands."""


class EventParser(Generic[E]):
    r"""Parses one event stream, whatever the parts in which it arrives.

    A line ends with LF, CR LF or CR, and with nothing else. A CR ends it at once, so that the event
    needn't wait for what follows; an LF right after it is skipped.

    Args:
        make: creates an event from its type, its data, the id of the last event that had one, and
            the milliseconds of its ``retry`` field, None without one.
        max_bytes: the most bytes in an event: its lines, without comments.
        last_event_id: the id to start with.

    Attributes:
        is_too_large: whether an event had more bytes than that; no other follows.
        last_event_id: the id of the last event that had one.
        retry: the milliseconds of the last ``retry`` field; None without one.

    Example:
        >>> parser = EventParser(lambda *fields: fields, max_bytes=1000)
        >>> parser.feed(b"id: 7\ndata: first li"), parser.feed(b"ne\ndata: second\n\n: comment\n")
        ([], [('message', 'first line\nsecond', '7', None)])
    """

    def __init__(
        self,
        make: Callable[[str, str, str, int | None], E],
        *,
        max_bytes: int,
        last_event_id: str = "",
    ) -> None:
        self.is_too_large: bool = False
        self.last_event_id: str = last_event_id
        self.retry: int | None = None
        self._make = make
        self._max_bytes = max_bytes
        self._pending = bytearray()  # a line that hasn't ended
        self._is_first_line = True
        self._skips_line_feed = False
        self._id = last_event_id
        self._begin_event()

    def feed(self, part: bytes) -> list[E]:
        """Return the events that a part of the stream completes."""
        if self._skips_line_feed and part:
            part = part.removeprefix(b"\n")
            self._skips_line_feed = False
        events: list[E] = []
        for line in self._lines_ended_by(part):
            if self._is_first_line:
                line = line.removeprefix(BOM)  # noqa: PLW2901 - the same line
                self._is_first_line = False
            if self._exceeds(line):
                return events
            if line:
                self._read(line)
            else:
                self._dispatch(events)
        if self._is_first_line and self._pending.startswith(BOM):
            del self._pending[: len(BOM)]
            self._is_first_line = False
        if self._pending.startswith(b":"):
            del self._pending[1:]  # nobody reads a comment
        self._exceeds(self._pending)
        return events

    def _lines_ended_by(self, part: bytes) -> list[bytes]:
        lines = part.splitlines()  # of bytes: at LF, CR LF and CR only
        is_ended = part.endswith((b"\n", b"\r"))
        self._skips_line_feed = self._skips_line_feed or part.endswith(b"\r")
        rest = b"" if is_ended or not lines else lines.pop()
        if lines:
            lines[0] = bytes(self._pending) + lines[0]
            self._pending.clear()
        self._pending += rest
        return lines

    def _exceeds(self, line: bytes | bytearray) -> bool:
        """Whether a line makes its event too large, unless it is a comment; nothing is kept then."""
        size = 0 if line.startswith(b":") else self._size + len(line)
        if self.is_too_large or size > self._max_bytes:
            self.is_too_large = True
            self._pending.clear()
            self._begin_event()
        return self.is_too_large

    def _begin_event(self) -> None:
        self._data = bytearray()
        self._retry: int | None = None
        self._size = 0
        self._type = b""

    def _read(self, line: bytes) -> None:
        """Read a line that isn't empty: a field, or a comment."""
        name, _, value = line.partition(b":")
        if not name:
            return
        self._size += len(line) + 1
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data += value
                self._data += b"\n"
            case b"event":
                self._type = value
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit():
                digits = value.lstrip(b"0")[:_MOST_DIGITS]
                self.retry = self._retry = int(digits or b"0")

    def _dispatch(self, events: list[E]) -> None:
        """Add an event at its end, which is an empty line, unless it has no data."""
        self.last_event_id = self._id
        if self._data:
            kind = self._type.decode("utf-8", "replace") or "message"
            data = self._data[:-1].decode("utf-8", "replace")
            events.append(self._make(kind, data, self._id, self._retry))
        self._begin_event()
