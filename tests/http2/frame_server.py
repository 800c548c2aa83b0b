"""An HTTP/2 server of which a test sends each frame, and sees each frame of the client.

It keeps the connection's header compression and its windows, and nothing else: any frame can be sent
at any time, in any order. It doesn't use h2, which would refuse to break the protocol.
"""

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import hpack
from frame_builders import (
    INITIAL_WINDOW_SIZE,
    MAX_STREAM_ID,
    Fields,
    data_frame,
    headers_frame,
    ping_frame,
    settings_frame,
    window_frame,
)
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from typed_async_client.testing import FaultServer, Wire

__all__ = ["FramePeer", "FrameServer", "Responder", "answer_with_path", "leave_alone"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PATIENCE = 20.0
"""Seconds that a test waits for the client before it fails."""
_DEFAULT_WINDOW = 65_535
_PIECE = 16_384


class FramePeer:
    """The server's end of one connection, which records everything that the client sends.

    Attributes:
        bodies: what has arrived of each request's body.
        closed: whether the client has closed the connection.
        counts: how many frames of each kind have arrived.
        ended: the streams whose requests are complete, in order.
        frames: the frames that have arrived, in order; none if ``keeps_frames`` is False.
        go_aways: the GOAWAY frames among them.
        grants: whether windows are opened again for what arrives.
        heads: the fields of each request.
        last_stream_id: the last stream that a test wants to answer; for its responder to keep.
        number: 0 for the first connection of its server, and so on.
        resets: the error code of each stream that the client has reset.
        sent: the data that was sent on each stream.
        settings: those of the client.
        streams: the streams that the client has opened, in order.
    """

    def __init__(self, wire: Wire, number: int, *, keeps_frames: bool = True) -> None:
        self.bodies: dict[int, bytes] = {}
        self.closed: bool = False
        self.counts: Counter[str] = Counter()
        self.ended: list[int] = []
        self.frames: list[Frame] = []
        self.go_aways: list[GoAwayFrame] = []
        self.grants: bool = True
        self.heads: dict[int, dict[str, str]] = {}
        self.last_stream_id: int = MAX_STREAM_ID
        self.number: int = number
        self.resets: dict[int, int] = {}
        self.sent: dict[int, bytearray] = {}
        self.settings: dict[int, int] = {}
        self.streams: list[int] = []
        self._changed = asyncio.Event()
        self._block: tuple[HeadersFrame, bytes] | None = None
        self._decoder = hpack.Decoder()
        self._encoder = hpack.Encoder()
        self._is_half_closed = False
        self._keeps_frames = keeps_frames
        self._pings = 0
        self._pongs: set[bytes] = set()
        self._windows: Counter[int] = Counter({0: _DEFAULT_WINDOW})
        self._wire = wire

    # Sending

    async def send(self, *frames: bytes) -> None:
        """Send frames, or any other bytes, unless either end has closed the connection."""
        if self._is_half_closed:
            return
        with contextlib.suppress(ConnectionError):
            await self._wire.send(b"".join(frames))

    def encode(self, fields: Fields) -> bytes:
        """Return the fields as a block, which must be sent: it may change the client's table."""
        return self._encoder.encode(fields)

    def head(self, stream_id: int, status: int | str = 200, *fields: tuple[str, str]) -> bytes:
        """Build the head of a response that a body follows."""
        return headers_frame(stream_id, self.encode([(":status", str(status)), *fields]))

    def data(self, stream_id: int, data: bytes, *, end: bool = False) -> bytes:
        """Build a DATA frame, and record it in ``sent``."""
        self.sent.setdefault(stream_id, bytearray()).extend(data)
        self.spend(stream_id, len(data))
        return data_frame(stream_id, data, end=end)

    def response(self, stream_id: int, body: bytes, status: int = 200) -> bytes:
        """Build a complete response, with a body that is smaller than any window."""
        return self.head(stream_id, status) + self.data(stream_id, body, end=True)

    async def send_body(self, stream_id: int, body: bytes, *, end: bool = True) -> None:
        """Send a body as the windows allow, unless the stream is reset meanwhile."""
        for start in range(0, len(body), _PIECE):
            piece = body[start : start + _PIECE]
            await self.until(functools.partial(self._has_room, stream_id, len(piece)))
            if stream_id in self.resets:
                return
            await self.send(self.data(stream_id, piece))
        if end:
            await self.send(data_frame(stream_id, end=True))

    def _has_room(self, stream_id: int, size: int) -> bool:
        return self.window(stream_id) >= size or stream_id in self.resets

    def spend(self, stream_id: int, size: int) -> None:
        """Count bytes that were sent on a stream against its window and the connection's."""
        self._windows[0] -= size
        self._windows[stream_id] -= size

    def window(self, stream_id: int) -> int:
        """Return how many bytes may be sent on a stream; those of the connection for stream 0."""
        if stream_id == 0:
            return self._windows[0]
        initial = self.settings.get(INITIAL_WINDOW_SIZE, _DEFAULT_WINDOW)
        return min(self._windows[0], self._windows[stream_id] + initial)

    # Receiving

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition is true, which is asked again whenever a frame has arrived.

        Raises:
            EOFError: the client has closed the connection.
            TimeoutError: it isn't true after many seconds.
        """
        async with asyncio.timeout(_PATIENCE):
            while not condition():
                if self.closed:
                    raise EOFError
                self._changed.clear()
                await self._changed.wait()

    async def sync(self) -> None:
        """Wait until the client has processed all that was sent, which a PING shows.

        Raises:
            EOFError: the client has closed the connection.
        """
        self._pings += 1
        payload = b"sync" + self._pings.to_bytes(4, "big")
        await self.send(ping_frame(payload))
        await self.until(lambda: payload in self._pongs)

    async def wait_closed(self) -> None:
        """Wait until the client has closed the connection."""
        async with asyncio.timeout(_PATIENCE):
            while not self.closed:
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        """Close the connection, after what was sent."""
        await self._wire.finish()

    def half_close(self) -> None:
        """Send no more, but go on to receive, as a server does whose last words must arrive."""
        self._is_half_closed = True
        self._wire.transport.write_eof()

    async def run(self, settings: dict[int, int], responder: "Responder") -> None:
        """Send the settings, then receive until the client closes the connection."""
        await self.send(settings_frame(settings))
        buffer, answered = bytearray(), 0
        try:
            while data := await self._wire.read(262_144):
                buffer += data
                replies = self._receive(buffer)
                if replies:
                    await self.send(*replies)
                self._changed.set()
                while answered < len(self.ended):
                    answered += 1
                    await responder(self, self.ended[answered - 1])
        except ConnectionError:
            pass
        finally:
            self.closed = True
            self._changed.set()

    def _receive(self, buffer: bytearray) -> list[bytes]:
        """Take the complete frames out of the buffer, and return what to reply."""
        if buffer.startswith(_PREFACE):
            del buffer[: len(_PREFACE)]
        replies: list[bytes] = []
        start = 0
        while len(buffer) - start >= 9:
            frame, length = Frame.parse_frame_header(memoryview(bytes(buffer[start : start + 9])))
            if len(buffer) - start < 9 + length:
                break
            frame.parse_body(memoryview(bytes(buffer[start + 9 : start + 9 + length])))
            start += 9 + length
            replies += self._record(frame)
        del buffer[:start]
        return replies

    def _record(self, frame: Frame) -> Iterable[bytes]:
        self.counts[type(frame).__name__] += 1
        if self._keeps_frames:
            self.frames.append(frame)
        match frame:
            case HeadersFrame() | ContinuationFrame():
                self._record_block(frame)
            case DataFrame(stream_id=stream_id):
                return self._record_data(frame, stream_id)
            case SettingsFrame() if "ACK" not in frame.flags:
                self.settings |= frame.settings
                return [settings_frame(ack=True)]
            case PingFrame() if "ACK" in frame.flags:
                self._pongs.add(frame.opaque_data)
            case PingFrame():
                return [ping_frame(frame.opaque_data, ack=True)]
            case RstStreamFrame(stream_id=stream_id):
                self.resets.setdefault(stream_id, frame.error_code)
            case GoAwayFrame():
                self.go_aways.append(frame)
            case WindowUpdateFrame(stream_id=stream_id):
                self._windows[stream_id] += frame.window_increment
        return ()

    def _record_block(self, frame: HeadersFrame | ContinuationFrame) -> None:
        first, block = self._block or (frame, b"")
        assert isinstance(first, HeadersFrame)
        self._block = first, block + frame.data
        if "END_HEADERS" not in frame.flags:
            return
        fields = self._decoder.decode(self._block[1])
        self._block = None
        self.heads[first.stream_id] = {str(name): str(value) for name, value in fields}
        self.bodies.setdefault(first.stream_id, b"")
        self.streams.append(first.stream_id)
        if "END_STREAM" in first.flags:
            self.ended.append(first.stream_id)

    def _record_data(self, frame: DataFrame, stream_id: int) -> list[bytes]:
        self.bodies[stream_id] += frame.data
        if "END_STREAM" in frame.flags:
            self.ended.append(stream_id)
        size = frame.flow_controlled_length
        if not (self.grants and size):
            return []
        return [window_frame(0, size), window_frame(stream_id, size)]


Responder = Callable[[FramePeer, int], Awaitable[None]]
"""Called with each stream whose request is complete."""


async def answer_with_path(peer: FramePeer, stream_id: int) -> None:
    """Answer a request with its path, and the beginning of its body behind it."""
    path = peer.heads[stream_id][":path"]
    await peer.send(peer.response(stream_id, path.encode() + peer.bodies[stream_id][:1000]))


async def leave_alone(peer: FramePeer, stream_id: int) -> None:
    """Answer nothing: the test does."""


class FrameServer:
    """A server on loopback whose first connections are played by a test.

    Args:
        by_hand: how many connections the test plays; the requests on further ones are answered
            with their path.
        settings: those of the server, sent as soon as a connection is accepted.
        responder: answers the requests on the connections that aren't played by hand.
        keeps_frames: whether the peers keep the frames that arrive.

    Attributes:
        peers: its connections, in order.
    """

    def __init__(
        self,
        by_hand: int = 1,
        settings: dict[int, int] | None = None,
        responder: Responder = answer_with_path,
        *,
        keeps_frames: bool = True,
    ) -> None:
        self.peers: list[FramePeer] = []
        self._by_hand = by_hand
        self._keeps_frames = keeps_frames
        self._new_peer = asyncio.Event()
        self._responder = responder
        self._server = FaultServer(self._serve)
        self._settings = settings or {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["FrameServer"]:
        """Accept connections."""
        async with self._server:
            yield self

    @property
    def url(self) -> str:
        """The URL of the server, with a trailing slash."""
        return self._server.url

    async def peer(self, number: int = 0) -> FramePeer:
        """Return a connection, once the client has opened it.

        Raises:
            TimeoutError: the client doesn't open it.
        """
        async with asyncio.timeout(_PATIENCE):
            while len(self.peers) <= number:
                self._new_peer.clear()
                await self._new_peer.wait()
        return self.peers[number]

    async def _serve(self, wire: Wire) -> None:
        peer = FramePeer(wire, len(self.peers), keeps_frames=self._keeps_frames)
        self.peers.append(peer)
        self._new_peer.set()
        by_hand = peer.number < self._by_hand
        await peer.run(self._settings, leave_alone if by_hand else self._responder)
