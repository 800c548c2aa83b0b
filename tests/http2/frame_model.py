"""What may come of the requests of a connection that receives a sequence of frames.

Pure: actions go in, and sets of outcomes come out. It follows RFC 9113 where a client has no choice, and
allows everything sensible where it has one.
"""

import dataclasses
from typing import Literal, TypeAlias

__all__ = ["Action", "ActionKind", "Expected", "SequenceModel"]

ActionKind: TypeAlias = Literal[
    "head", "head with length", "bad head", "interim", "data", "end", "trailers", "reset",
    "refuse", "window", "window of 0", "priority", "unknown", "ping", "settings", "bad ping",
    "continuation", "drain", "go away", "cancel",
]  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """One frame of the server, or the cancellation of a request by the client.

    Attributes:
        kind: what happens.
        number: of the request, from 0; it doesn't matter for a frame of the connection.
        size: of the data, or the announced length.
    """

    kind: ActionKind
    number: int
    size: int


@dataclasses.dataclass(slots=True)
class Expected:
    """What may come of one request.

    Attributes:
        body: the body of the response, if it may be complete.
        may_fail: whether an error is allowed.
        may_go_elsewhere: whether it may have been sent again.
        may_be_cancelled: whether the client has cancelled it.
    """

    body: int | None = None
    may_fail: bool = False
    may_go_elsewhere: bool = False
    may_be_cancelled: bool = False


@dataclasses.dataclass(slots=True)
class _Stream:
    """A stream, as it is if every frame so far was processed."""

    state: Literal["before", "body", "whole", "failed", "ended by the server"] = "before"
    received: int = 0
    length: int | None = None
    refused: bool = False
    has_ended: bool = False  # by a frame of the server that ends it, however wrong its length is
    was_cancelled: bool = False

    def end_by_server(self, *, refused: bool) -> None:
        """End it before the response is complete."""
        if self.state in {"before", "body"}:
            self.refused = refused and self.state == "before"
            self.state = "ended by the server"


class SequenceModel:
    """Follows a sequence of actions.

    Args:
        count: how many requests are open.
    """

    def __init__(self, count: int) -> None:
        self._streams = [_Stream() for _ in range(count)]
        self._connection_failed = False
        self._last = count

    @property
    def is_open(self) -> bool:
        """Whether the connection can't have failed yet."""
        return not self._connection_failed

    def apply(self, action: Action) -> None:
        """Follow one action."""
        if self._connection_failed:
            return
        stream = self._streams[action.number]
        match action.kind:
            case "head" | "head with length" | "bad head" | "interim":
                self._receive_head(stream, action)
            case "data" | "end" | "trailers":
                self._receive_data(stream, action)
            case "reset" | "refuse":
                stream.end_by_server(refused=action.kind == "refuse")
            case "window of 0":
                self._fail(stream)
            case "bad ping" | "continuation":
                self._fail_connection()
            case "go away":
                self._go_away(action.number)
            case "cancel":
                stream.was_cancelled = True

    def expected(self, number: int) -> Expected:
        """Return what may come of a request, now that the server has ended the connection."""
        stream = self._streams[number]
        expected = Expected(may_be_cancelled=stream.was_cancelled)
        if stream.state == "whole":
            expected.body = stream.received
        expected.may_fail = stream.state != "whole"
        expected.may_go_elsewhere = stream.refused or stream.state == "before"
        return expected

    def _receive_head(self, stream: _Stream, action: Action) -> None:
        if stream.state != "before":
            self._misplaced(stream)
        elif action.kind == "bad head":
            self._fail(stream)
        elif action.kind != "interim":
            stream.state = "body"
            stream.length = action.size if action.kind == "head with length" else None

    def _receive_data(self, stream: _Stream, action: Action) -> None:
        if stream.state != "body":
            self._misplaced(stream)
            return
        stream.received += action.size if action.kind == "data" else 0
        length = stream.received if stream.length is None else stream.length
        ends = action.kind != "data"
        stream.has_ended = ends and not stream.was_cancelled  # the client had ended it before
        if stream.received > length or (ends and stream.received < length):
            self._fail(stream)
        elif ends:
            stream.state = "whole"

    def _misplaced(self, stream: _Stream) -> None:
        """Receive a frame that isn't allowed in the state of its stream."""
        if stream.has_ended or (stream.state != "failed" and not stream.was_cancelled):
            self._fail_connection()  # or only the stream, or nothing: no more is sent

    def _fail(self, stream: _Stream) -> None:
        """Let the client reset a stream, unless it has ended."""
        if stream.state in {"before", "body"}:
            stream.state = "failed"
        else:
            self._misplaced(stream)

    def _go_away(self, last: int) -> None:
        if last > self._last:
            self._fail_connection()  # it mustn't grow
            return
        self._last = last
        for later in self._streams[last + 1 :]:
            later.end_by_server(refused=True)

    def _fail_connection(self) -> None:
        self._connection_failed = True
        for stream in self._streams:
            if stream.state in {"before", "body"}:
                stream.state = "failed"
