"""A connection's bytes, with an eye on its frames where HTTP/2 is spoken.

It begins to watch at the client's preface, so it does not matter how the connection was made:
straight, through a proxy, with TLS or without. What the frames mean is said in ``draining.py``.
"""

from typing import Any, Literal, Protocol, TypeAlias

from typed_async_client.http2.cleanup import Opener, forget_ended
from typed_async_client.http2.draining import FrameWatch
from typed_async_client.http2.frames import PREFACE
from typed_async_client.net.protocol import StreamProtocol
from typed_async_client.net.stream import AsyncioStream

__all__ = ["ConnectionOwner", "SpeaksHttp2", "WatchedStream"]

SpeaksHttp2: TypeAlias = Literal["agreed", "alone"]
"""HTTP/2 is spoken where the server agrees to it, or is all that is spoken."""


class ConnectionOwner(Protocol):
    """Owns the connection that a stream carries; a slot of the pool is one.

    Attributes:
        connection: httpcore's connection.
        watch: the watch on the connection's frames, set once HTTP/2 is spoken.
    """

    connection: Any
    watch: FrameWatch | None


class WatchedStream(AsyncioStream):
    """A connected stream on which HTTP/2 may come to be spoken.

    Args:
        protocol: a protocol whose connection was made.
        owner: is given the watch on the frames.
        http2: how HTTP/2 comes to be spoken.
        under: the stream whose bytes this one secures.

    Attributes:
        opener: who began to speak HTTP/2 on it, if anybody did.
    """

    def __init__(
        self,
        protocol: StreamProtocol,
        owner: ConnectionOwner,
        http2: SpeaksHttp2,
        *,
        under: AsyncioStream | None = None,
    ) -> None:
        super().__init__(protocol, under=under)
        self.opener: Opener | None = None
        self._http2 = http2
        self._owner = owner
        self._watch: FrameWatch | None = None

    @classmethod
    def of(
        cls, stream: AsyncioStream, owner: ConnectionOwner, http2: SpeaksHttp2
    ) -> "WatchedStream":
        """Watch what a fresh connection speaks; it takes the place of ``stream``."""
        return cls(stream.protocol, owner, http2)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read as every stream does; where HTTP/2 is spoken, perhaps a frame without meaning."""
        if self._watch is not None and not self.protocol.has_news:
            nudge = self._watch.take_nudge()
            if nudge:
                return nudge
        return await super().read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of ``buffer``, as far as the server still wants it.

        Frames go out in one piece: a cancellation inside one would harm every other stream.

        Raises:
            httpcore.WriteTimeout: the peer took nothing for ``timeout`` seconds.
            httpcore.WriteError: the connection was lost.
        """
        if self._watch is None and self._is_preface(buffer):
            self.opener = Opener()
            self._watch = self._owner.watch = FrameWatch()
            self.protocol.read_through(self._watch.receive)
        if self._watch is None:
            await super().write(buffer, timeout)
            return
        if self._watch.ended:
            forget_ended(self._owner.connection, self._watch)
        if frames := self._admit(self._watch, buffer):
            await self._write_piece(frames, timeout)

    def drain(self) -> None:
        """Let no further request begin on the connection; those that have begun go on."""
        if self._watch is not None:
            self._watch.drains = True

    def write_now(self, frames: bytes) -> None:
        """Write frames without waiting for room, if HTTP/2 is still spoken."""
        if self._watch is not None and not self._transport.is_closing():
            self._transport.write(self._admit(self._watch, frames))

    def _admit(self, watch: FrameWatch, frames: bytes) -> bytes:
        """Give the frames that may go out, and answer the others."""
        admitted = watch.send(frames)
        self.protocol.insert(watch.take_replies())
        return admitted

    def _is_preface(self, buffer: bytes) -> bool:
        """Tell a preface from the body of an HTTP/1.1 request that begins like one."""
        if not buffer.startswith(PREFACE):
            return False
        return self.alpn_protocol == "h2" or self._http2 == "alone"

    def _upon(self, secure: StreamProtocol) -> "WatchedStream":
        return WatchedStream(secure, self._owner, self._http2, under=self)
