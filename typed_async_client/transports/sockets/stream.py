"""One connection's bytes, straight on an asyncio protocol.

Reading and writing wait for the peer; closing never waits, so it cannot be cancelled half-way. It
knows no HTTP and no pool.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

import httpcore

from typed_async_client.transports.sockets.patience import Patience

__all__ = ["AsyncioStream", "StreamProtocol"]

_HIGH_WATER = 256 * 1024
"""Bytes received and not yet read above which the peer is held up."""

_PIECE = 256 * 1024
"""Bytes handed over at once: what is written waits here piece by piece, not in asyncio's buffer."""


class StreamProtocol(asyncio.Protocol):
    """Keeps what arrives until it is read, and knows whether writing must wait.

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

    def data_received(self, data: bytes) -> None:
        """Keep what arrived; hold the peer up when nobody reads it."""
        self.received += len(data)
        if self._sieve is not None and not (data := self._sieve(data)):
            return
        self._buffer += data
        _wake(self._reader)
        if len(self._buffer) > _HIGH_WATER and not self._reading_paused and self.transport:
            self._reading_paused = True
            self.transport.pause_reading()

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

    def _end(self, error: Exception | None) -> None:
        self._ended = True
        self._error = self._error or error
        _wake(self._reader)
        _wake(self._writer)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class AsyncioStream(httpcore.AsyncNetworkStream):
    """A connected stream, as httpcore wants it.

    Args:
        protocol: a protocol whose connection was made.
        under: the stream whose bytes this one secures.

    Attributes:
        layers: the streams of this connection, the socket's first, the most secure one last;
            all of them hold the same list.
    """

    def __init__(self, protocol: StreamProtocol, *, under: "AsyncioStream | None" = None) -> None:
        self.layers: list[AsyncioStream] = [] if under is None else under.layers
        self.layers.append(self)
        self._protocol = protocol
        self._reading = Patience()
        self._transport = cast("asyncio.Transport", protocol.transport)
        self._socket = self._transport.get_extra_info("socket") if under is None else None
        self._writing = Patience()

    @property
    def has_ended(self) -> bool:
        """Whether the peer has closed the connection, or it was lost."""
        return self._protocol.has_ended

    @property
    def has_news(self) -> bool:
        """Whether bytes wait to be read, or the connection has ended."""
        return self._protocol.has_news

    @property
    def received(self) -> int:
        """Bytes that have arrived in all."""
        return self._protocol.received

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes; empty at the end of the stream.

        Raises:
            httpcore.ReadTimeout: nothing came for ``timeout`` seconds.
            httpcore.ReadError: the connection was lost.
        """
        protocol = self._protocol
        if not protocol.has_news:
            await self._reading.wait(protocol.wait_for_news(), timeout, httpcore.ReadTimeout)
        data = protocol.take(max_bytes)
        if not data and protocol.error is not None:
            raise httpcore.ReadError(protocol.error) from protocol.error
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Hand over all of ``buffer``, waiting while the peer does not keep up.

        It goes in pieces of 256 KiB, and each has ``timeout`` seconds anew. A piece is waited for
        until little enough of it is left for asyncio to ask for more, its low-water mark; so what
        was written last may still be on its way when this returns.

        Raises:
            httpcore.WriteTimeout: too little of one piece was taken in ``timeout`` seconds, be it
                nothing or some of it.
            httpcore.WriteError: the connection was lost.
        """
        for start in range(0, len(buffer), _PIECE):
            await self._write_piece(buffer[start : start + _PIECE], timeout)

    async def _write_piece(self, piece: bytes, timeout: float | None) -> None:
        room = self._send(piece)
        if room is not None:
            await self._writing.wait(room, timeout, httpcore.WriteTimeout)
            if self._protocol.error is not None:
                raise httpcore.WriteError(self._protocol.error) from self._protocol.error

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "AsyncioStream":
        """Speak TLS from now on; TLS inside TLS as well, for an https proxy.

        Raises:
            httpcore.ConnectTimeout: the handshake took longer than ``timeout`` seconds.
            httpcore.ConnectError: it failed, or bytes or the end had arrived before it.
        """
        if self._protocol.take(1):
            self.abort()
            raise httpcore.ConnectError("the peer sent bytes before the TLS handshake")
        if self._protocol.has_ended or self._transport.is_closing():
            self.abort()  # asyncio would wait for an answer of nobody
            raise httpcore.ConnectError("the connection was lost before the TLS handshake")
        secure = StreamProtocol()
        try:
            async with asyncio.timeout(timeout):
                transport = await asyncio.get_running_loop().start_tls(
                    self._transport, secure, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            self.abort()
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, ssl.SSLError, UnicodeError) as error:
            self.abort()
            raise httpcore.ConnectError(error) from error
        except BaseException:
            self.abort()
            raise
        if transport is None:
            self.abort()
            raise httpcore.ConnectError("the connection was lost during the TLS handshake")
        secure.connection_made(transport)
        return self._upon(secure)

    def _upon(self, secure: StreamProtocol) -> "AsyncioStream":
        return AsyncioStream(secure, under=self)

    def abort(self) -> None:
        """Close at once, after a word of farewell where TLS is spoken. It never waits."""
        self._reading.stop()
        self._writing.stop()
        if self._socket is not None and self._socket.fileno() < 0:
            return  # asyncio fails to abort a connection that ended while it had still to write
        self._transport.close()
        self._transport.abort()

    def _send(self, piece: bytes) -> "asyncio.Future[None] | None":
        protocol, transport = self._protocol, self._transport
        if transport.is_closing():
            raise httpcore.WriteError(protocol.error or "the connection is closed")
        transport.write(piece)
        return protocol.wait_for_room()

    async def aclose(self) -> None:
        """Close; the same as ``abort()``."""
        self.abort()

    def get_extra_info(self, info: str) -> Any:
        """Answer what httpcore asks (``ssl_object``, ``is_readable``, ...), and ``has_ended``."""
        if info == "is_readable":
            return self.has_news
        if info == "has_ended":
            return self.has_ended
        return self._transport.get_extra_info(_EXTRA.get(info, info))


_EXTRA = {"client_addr": "sockname", "server_addr": "peername"}
"""httpcore's names of what asyncio calls otherwise."""
