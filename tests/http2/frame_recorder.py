"""An HTTP/2 server in plain text that records the frames of its clients, and answers every request."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from typed_async_client.testing import FaultServer, Wire

__all__ = ["Connection", "Recorder", "Sent"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_FRAME_HEAD = 9


@dataclasses.dataclass(slots=True)
class Sent:
    """One request, as its frames tell it.

    Attributes:
        fields: names and values of the header block, in order.
        flags: those of its HEADERS frame.
        parts: the sizes of its DATA frames that carry any.
        ends_in: the type of the frame that ended the stream; None until then.
        body: what it carried.
    """

    fields: list[tuple[str, str]]
    flags: set[str]
    parts: list[int] = dataclasses.field(default_factory=list)
    ends_in: str | None = None
    body: bytes = b""

    @property
    def pseudo(self) -> list[str]:
        """The names of the pseudo-header fields, in order."""
        return [name for name, _ in self.fields if name.startswith(":")]

    def values(self, name: str) -> list[str]:
        """Return the values of all fields of that name, in order."""
        return [value for known, value in self.fields if known == name]


class Connection:
    """What a client has sent on one connection.

    Attributes:
        frames: all frames, in order.
        requests: by stream, in order.
        settings: the first settings.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.requests: dict[int, Sent] = {}
        self.settings: dict[int, int] = {}
        self._decoder = hpack.Decoder()

    def add(self, frame: Frame) -> list[Frame]:
        """Record a frame; return the frames to answer it with."""
        self.frames.append(frame)
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                self.settings = self.settings or dict(frame.settings)
                return [SettingsFrame(0, flags=["ACK"])]
            case HeadersFrame():
                fields = [(str(name), str(value)) for name, value in self._decode(frame.data)]
                self.requests[frame.stream_id] = Sent(fields, set(frame.flags))
            case DataFrame():
                request = self.requests[frame.stream_id]
                request.body += frame.data
                request.parts += [len(frame.data)] if frame.data else []
            case ContinuationFrame():
                raise AssertionError("a head of these tests fits into one frame")
        if isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags:
            self.requests[frame.stream_id].ends_in = type(frame).__name__
            return [self._answer(frame.stream_id)]
        if isinstance(frame, DataFrame) and frame.data:
            size = len(frame.data)
            streams = (0, frame.stream_id)
            return [WindowUpdateFrame(stream, window_increment=size) for stream in streams]
        return []

    def _decode(self, block: bytes) -> list[tuple[Any, Any]]:
        return [(field[0], field[1]) for field in self._decoder.decode(block)]

    @staticmethod
    def _answer(stream_id: int) -> Frame:
        block = hpack.Encoder().encode([(":status", "204")])
        return HeadersFrame(stream_id, block, flags=["END_HEADERS", "END_STREAM"])


class Recorder:
    """The server.

    Attributes:
        connections: what was received on each, in order.
        url: where it listens, without a path.
    """

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Recorder"]:
        """Run it."""
        async with FaultServer(self._serve) as server:
            self.url = f"http://127.0.0.1:{server.port}"
            yield self

    async def _serve(self, wire: Wire) -> None:
        connection = Connection()
        self.connections.append(connection)
        await wire.send(SettingsFrame(0).serialize())
        received = b""
        while len(received) < len(PREFACE) and (data := await wire.read(65536)):
            received += data
        assert received.startswith(PREFACE)
        received = received.removeprefix(PREFACE)
        while True:
            frames, received = _split(received)
            for frame in frames:
                await wire.send(b"".join(each.serialize() for each in connection.add(frame)))
            data = await wire.read(65536)
            if not data:
                return
            received += data


def _split(received: bytes) -> tuple[list[Frame], bytes]:
    """Return the complete frames and the rest."""
    frames = []
    while len(received) >= _FRAME_HEAD:
        frame, length = Frame.parse_frame_header(memoryview(received[:_FRAME_HEAD]))
        end = _FRAME_HEAD + length
        if len(received) < end:
            break
        frame.parse_body(memoryview(received[_FRAME_HEAD:end]))
        frames.append(frame)
        received = received[end:]
    return frames, received
