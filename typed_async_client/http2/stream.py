"""The byte stream of a connection, with its frames filtered if it speaks HTTP/2.

Filtering starts at the client's preface, so it doesn't matter how the connection was made: directly or
through a proxy, with or without TLS. ``draining.py`` implements the filter.
"""

import weakref
from typing import Any, Literal, Protocol, TypeAlias

import httpcore

from typed_async_client.http2.cleanup import OpeningTask, drop_reset_streams
from typed_async_client.http2.draining import FrameFilter
from typed_async_client.http2.frames import PREFACE
from typed_async_client.net.protocol import StreamProtocol
from typed_async_client.net.stream import AsyncioStream

__all__ = ["ConnectionOwner", "FilteredStream", "Http2Mode"]

Http2Mode: TypeAlias = Literal["negotiated", "always"]
"""Whether HTTP/2 is used if the server negotiates it, or always, without HTTP/1.1."""


class ConnectionOwner(Protocol):
    """The owner of the connection on a stream, which is a slot of the pool.

    Attributes:
        connection: httpcore's connection.
        frame_filter: the filter of the connection's frames, set once HTTP/2 is spoken.
    """

    connection: Any
    frame_filter: FrameFilter | None


class FilteredStream(AsyncioStream):
    """A connected stream that may speak HTTP/2.

    Args:
        protocol: the protocol, already connected.
        owner: the owner of the connection, whose ``frame_filter`` is set.
        http2: when HTTP/2 is used.
        inner: the stream that this one adds TLS to; None for a socket.

    Attributes:
        opening_task: the task that sent the HTTP/2 preface; None with HTTP/1.1.
    """

    def __init__(
        self,
        protocol: StreamProtocol,
        owner: ConnectionOwner,
        http2: Http2Mode,
        *,
        inner: AsyncioStream | None = None,
    ) -> None:
        super().__init__(protocol, inner=inner)
        self.opening_task: OpeningTask | None = None
        self._filter: FrameFilter | None = None
        self._http2 = http2
        self._owner = weakref.ref(owner)  # it holds the stream

    @classmethod
    def wrap(
        cls, stream: AsyncioStream, owner: ConnectionOwner, http2: Http2Mode
    ) -> "FilteredStream":
        """Return a filtered stream that replaces ``stream``, on a new connection."""
        return cls(stream.hand_over(), owner, http2)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read like any stream, but return a no-op frame if an upload needs to wake up."""
        if self._filter is not None and not self.protocol.is_readable:
            noop = self._filter.take_noop()
            if noop:
                return noop
        return await super().read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write ``buffer``, without the frames of streams that can't be opened any more.

        Frames are written in one call, because a cancellation within a frame would break all other
        streams.

        Raises:
            httpcore.WriteTimeout: the peer accepted nothing for ``timeout`` seconds.
            httpcore.WriteError: the connection was lost.
        """
        if self._filter is None and self._is_preface(buffer):
            self.opening_task = OpeningTask()
            self._filter = self._living_owner.frame_filter = FrameFilter()
            self.protocol.filter_input(self._filter.receive)
        if self._filter is None:
            await super().write(buffer, timeout)
            return
        if self._filter.reset_streams:
            drop_reset_streams(self._living_owner.connection, self._filter)
        if frames := self._filter_output(self._filter, buffer):
            await self._write_chunk(frames, timeout)

    @property
    def _living_owner(self) -> ConnectionOwner:
        """The owner, which lives as long as a request uses the connection."""
        owner = self._owner()
        if owner is None:
            raise httpcore.WriteError("the connection was abandoned")
        return owner

    def start_draining(self) -> None:
        """Accept no new requests on the connection; running ones continue."""
        if self._filter is not None:
            self._filter.is_draining = True

    def write_nowait(self, frames: bytes) -> None:
        """Write frames without waiting, if the connection speaks HTTP/2 and is still open."""
        if self._filter is not None and not self.transport.is_closing():
            allowed = self._filter_output(self._filter, frames)
            self.transport.write(allowed)
            self.record_written(len(allowed))

    def _filter_output(self, frame_filter: FrameFilter, frames: bytes) -> bytes:
        """Return the frames that may be sent, and insert replies to the others."""
        allowed = frame_filter.send(frames)
        self.protocol.insert(frame_filter.take_replies())
        return allowed

    def _is_preface(self, buffer: bytes) -> bool:
        """Whether this is a preface, and not an HTTP/1.1 request body that starts like one."""
        if not buffer.startswith(PREFACE):
            return False
        return self.alpn_protocol == "h2" or self._http2 == "always"

    def _wrap(self, secure: StreamProtocol) -> "FilteredStream":
        return FilteredStream(secure, self._living_owner, self._http2, inner=self)
