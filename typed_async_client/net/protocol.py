"""What asyncio calls as bytes come and go on one connection: it keeps them until they are read.

Those of a socket land in a buffer that all connections of a thread share, for no longer than a call:
asyncio asks for it, fills it, and says so at once. Without one asyncio asks the system for 256 KiB of
fresh memory at each read, and gives it back, which costs more than the read itself.

Those of TLS do not. Of what it has decrypted asyncio fills such a buffer once, and leaves the rest for
a later turn of the loop: a request that begins before then would take the rest of the last answer for
its own, and when the connection ends before then, the rest is lost.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import cast

__all__ = ["SecureProtocol", "SocketProtocol", "StreamProtocol"]

_HIGH_WATER = 256 * 1024
"""Bytes received and not yet read above which the peer is held up."""

_ROOM = 256 * 1024
"""Bytes that may land at once: what the system still holds when the peer resets may be lost."""


class StreamProtocol(asyncio.BaseProtocol):
    """Keeps what arrives until it is read, and knows whether writing must wait.

    How it arrives is for ``SocketProtocol`` and ``SecureProtocol`` to say.

    Attributes:
        received: bytes that have arrived in all.
        transport: asyncio's end of the connection.
    """

    def __init__(self) -> None:
        self.received: int = 0
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._sieve: Callable[[bytes], bytes] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._writing_paused = False

    @property
    def has_news(self) -> bool:
        """Whether bytes wait to be read, or the connection has ended."""
        return bool(self._buffer) or self._ended

    @property
    def has_ended(self) -> bool:
        """Whether the peer has closed the connection, or it was lost."""
        return self._ended

    @property
    def error(self) -> Exception | None:
        """What the connection was lost with."""
        return self._error

    def take(self, max_bytes: int) -> bytes:
        """Give up to ``max_bytes`` of what has arrived; empty when there is nothing."""
        buffer = self._buffer
        if len(buffer) <= max_bytes:
            data = bytes(buffer)
            buffer.clear()
        else:
            data = bytes(buffer[:max_bytes])
            del buffer[:max_bytes]
        if self._reading_paused and len(buffer) <= _HIGH_WATER // 2 and self.transport:
            self._reading_paused = False
            self.transport.resume_reading()
        return data

    def wait_for_news(self) -> "asyncio.Future[None]":
        """Give a future that is done when ``has_news`` becomes true."""
        self._reader = asyncio.get_running_loop().create_future()
        return self._reader

    def wait_for_room(self) -> "asyncio.Future[None] | None":
        """Give a future that is done when more may be written; None when it may be now."""
        if not self._writing_paused or self._ended:
            return None
        self._writer = asyncio.get_running_loop().create_future()
        return self._writer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; called again with the secure one after a TLS handshake."""
        self.transport = cast("asyncio.Transport", transport)

    def read_through(self, sieve: Callable[[bytes], bytes]) -> None:
        """Let no more be read than ``sieve`` gives of what arrives, and of what has arrived."""
        self._sieve = sieve
        self._buffer[:] = sieve(bytes(self._buffer))

    def insert(self, data: bytes) -> None:
        """Let bytes be read, after what has arrived, that the peer did not send."""
        if data:
            self._buffer += data
            _wake(self._reader)

    def eof_received(self) -> bool:
        """Note that the peer sends no more; the connection closes by itself."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._end(exc)

    def pause_writing(self) -> None:
        """Note that the peer does not keep up with what is written."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        self._writing_paused = False
        _wake(self._writer)

    def _arrive(self, data: memoryview | bytes) -> None:
        """Keep what arrived; hold the peer up when nobody reads it."""
        self.received += len(data)
        if self._sieve is not None:
            data = self._sieve(bytes(data))
        if not data:
            return
        self._buffer += data
        _wake(self._reader)
        if len(self._buffer) > _HIGH_WATER and not self._reading_paused and self.transport:
            self._reading_paused = True
            self.transport.pause_reading()

    def _end(self, error: Exception | None) -> None:
        self._ended = True
        self._error = self._error or error
        _wake(self._reader)
        _wake(self._writer)


class SocketProtocol(StreamProtocol, asyncio.BufferedProtocol):
    """Takes what arrives on a socket."""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - we know better
        """Give room for what arrives next."""
        return _landing.room

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has landed."""
        self._arrive(_landing.room[:nbytes])


class SecureProtocol(StreamProtocol, asyncio.Protocol):
    """Takes what TLS has decrypted."""

    def data_received(self, data: bytes) -> None:
        """Take all of it."""
        self._arrive(data)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class _Landing(threading.local):
    """Where bytes land; threads run their loops at the same time, so each has its own."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(_ROOM))


_landing = _Landing()
