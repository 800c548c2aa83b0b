"""The asyncio protocols of a connection: they buffer received bytes until they are read.

Bytes from a socket are first written to a buffer that all connections of a thread share. asyncio asks
for the buffer, fills it and reports it filled, all within one call. Without it, asyncio would allocate
256 KiB for each read and free it again, which costs more than the read itself, unless that is large, too.

Bytes from TLS don't go through the shared buffer. asyncio would fill it once with decrypted data and
leave the remainder for a later iteration of the event loop. A request started before then would read
the remainder of the last response as its own, and if the connection ended before then, the remainder
would be lost.
"""

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Protocol, cast

from typed_async_client.net.unread import UnreadBytes

if TYPE_CHECKING:
    import weakref

__all__ = ["Receiver", "SecureProtocol", "SocketProtocol", "StreamProtocol"]

_HIGH_WATER = 512 * 1024
"""Unread bytes above which reading from the transport is paused."""

_BUFFER_SIZE = 256 * 1024
"""Most bytes per read. What remains in the kernel when TLS is reset may be lost."""

_LARGE_READ, _SMALL_READ = 64 * 1024, 16 * 1024
"""A read of so many bytes begins the time in which memory is allocated for each of them, and one of fewer
ends it."""

_SWITCHABLE = "asyncio.selector_events"
"""Where the transports are defined that take another protocol at any time, at no cost."""

_MOST_READS = 32
"""Reads of what remains in the kernel when a connection was lost; it holds a few MiB at most."""


class Receiver(Protocol):
    """Takes what a connection receives, as it arrives."""

    def data_received(self, data: bytes) -> None:
        """Take received bytes."""

    def connection_ended(self, error: Exception | None) -> None:
        """Take notice that the peer has closed the connection, or that it was lost."""


class StreamProtocol(asyncio.BaseProtocol):
    """Buffers received bytes until they are read, and tracks whether writing is paused.

    ``SocketProtocol`` and ``SecureProtocol`` implement how asyncio passes the bytes in.

    Attributes:
        received: total bytes received.
        transport: asyncio's transport of the connection.
    """

    def __init__(self) -> None:
        self.received: int = 0
        self.transport: asyncio.Transport | None = None
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._receiver: weakref.ref[Receiver] | None = None
        self._unread = UnreadBytes()
        self._writers: list[asyncio.Future[None]] = []
        self._writing_paused = False

    @property
    def is_readable(self) -> bool:
        """Whether there are unread bytes, or the connection has ended."""
        return bool(self._unread) or self._ended

    @property
    def has_ended(self) -> bool:
        """Whether the peer has closed the connection, or it was lost."""
        return self._ended

    @property
    def error(self) -> Exception | None:
        """The error that the connection was lost with, if any."""
        return self._error

    def take(self, max_bytes: int) -> bytes:
        """Remove and return up to ``max_bytes`` unread bytes; empty if there are none."""
        data = self._unread.take(max_bytes)
        if self._reading_paused and len(self._unread) <= _HIGH_WATER // 2 and self.transport:
            self._reading_paused = False
            self.transport.resume_reading()
        return data

    def wait_readable(self) -> "asyncio.Future[None]":
        """Return a future that completes when ``is_readable`` becomes true."""
        self._reader = asyncio.get_running_loop().create_future()
        return self._reader

    def wait_writable(self) -> "asyncio.Future[None] | None":
        """Return a future that completes when more may be written; None if it may be now."""
        if not self._writing_paused or self._ended:
            return None
        writer = asyncio.get_running_loop().create_future()
        self._writers.append(writer)
        return writer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport; called by hand with the TLS transport after a handshake."""
        self.transport = cast("asyncio.Transport", transport)

    def insert(self, data: bytes) -> None:
        """Append bytes to the unread ones as if the peer had sent them."""
        if data:
            self._unread.append(data)
            _wake(self._reader)

    def deliver_to(self, receiver: "weakref.ref[Receiver]") -> None:
        """Pass on all received bytes from now on, and those not yet read, instead of keeping them.

        Args:
            receiver: takes the bytes, and the end of the connection.
        """
        self._receiver = receiver
        living, unread = receiver(), self._unread.take(sys.maxsize)
        if living is not None and unread:
            living.data_received(unread)
        if living is not None and self._ended:
            living.connection_ended(self._error)

    def eof_received(self) -> bool:
        """Record that the peer sends no more; asyncio then closes the transport."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is gone, and forget what refers back to this protocol."""
        self._end(exc)
        self.transport = self._reader = self._receiver = None

    def pause_writing(self) -> None:
        """Record that the transport's write buffer is full."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Record that there is room in the write buffer again, and wake the writer."""
        self._writing_paused = False
        self._wake_writers()

    def receive(self, data: memoryview | bytes) -> None:
        """Buffer received bytes; pause reading if too many are unread."""
        self.received += len(data)
        if self._receiver is not None:
            self._deliver(bytes(data))
            return
        self._unread.append(data)
        _wake(self._reader)
        if len(self._unread) > _HIGH_WATER and not self._reading_paused and self.transport:
            self._reading_paused = True
            self.transport.pause_reading()

    def _end(self, error: Exception | None) -> None:
        was_ended, self._ended = self._ended, True
        self._error = self._error or error
        _wake(self._reader)
        self._wake_writers()
        receiver = None if self._receiver is None else self._receiver()
        if receiver is not None and not was_ended:
            receiver.connection_ended(self._error)

    def _deliver(self, data: bytes) -> None:
        receiver = None if self._receiver is None else self._receiver()
        if receiver is not None:
            receiver.data_received(data)

    def _wake_writers(self) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            _wake(writer)


class SocketProtocol(StreamProtocol, asyncio.BufferedProtocol):
    """Receives bytes from a socket."""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the size is fixed
        """Return the buffer to read into."""
        return _shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Receive the bytes that were read into the buffer."""
        if nbytes >= _LARGE_READ and type(self.transport).__module__ == _SWITCHABLE:
            cast("asyncio.Transport", self.transport).set_protocol(_LargeReads(self))
        self.receive(_shared.buffer[:nbytes])

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is gone, after receiving what has arrived.

        A peer that responds to a part of a request and closes the connection resets it. If a write
        notices that first, asyncio closes the socket without reading the response.
        """
        sock = None if self.transport is None else self.transport.get_extra_info("socket")
        if isinstance(exc, OSError) and sock is not None:
            self._receive_rest(sock.fileno())
        super().connection_lost(exc)

    def _receive_rest(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # there is no more, or it can't be read
            for _ in range(_MOST_READS):
                self.receive(os.read(descriptor, _BUFFER_SIZE))


class _LargeReads(asyncio.Protocol):
    """Stands in for the protocol of a socket while a large body arrives.

    asyncio then reads into new memory, which is passed on as it is: for large reads, the copy from the
    shared buffer costs more than the memory does.

    Args:
        protocol: the protocol, which takes over again after the first small read.
    """

    def __init__(self, protocol: SocketProtocol) -> None:
        self._protocol = protocol

    def data_received(self, data: bytes) -> None:
        transport = self._protocol.transport
        if len(data) < _SMALL_READ and transport is not None:
            transport.set_protocol(self._protocol)
        self._protocol.receive(data)

    def eof_received(self) -> bool:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class SecureProtocol(StreamProtocol, asyncio.Protocol):
    """Receives decrypted bytes from TLS."""

    def data_received(self, data: bytes) -> None:
        """Receive some bytes."""
        self.receive(data)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class _SharedBuffer(threading.local):
    """The buffer that sockets are read into; one per thread, since each may run an event loop."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_BUFFER_SIZE))


_shared = _SharedBuffer()
