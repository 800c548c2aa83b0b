"""One connection's bytes, straight on an asyncio protocol.

ResponseParser and writing wait for the peer; closing never waits, so it cannot be cancelled half-way. It
knows no HTTP and no pool.
"""

import asyncio
import select
import ssl
from typing import Any, cast

import httpcore

from typed_async_client.net.protocol import SecureProtocol, StreamProtocol
from typed_async_client.net.timer import WaitTimer

__all__ = ["AsyncioStream", "is_socket_readable"]

_PIECE = 256 * 1024
"""Bytes handed over at once: what is written waits here piece by piece, not in asyncio's buffer."""


class AsyncioStream(httpcore.AsyncNetworkStream):
    """A connected stream, as httpcore wants it.

    Args:
        protocol: a protocol whose connection was made.
        under: the stream whose bytes this one secures.

    Attributes:
        layers: the streams of this connection, the socket's first, the most secure one last;
            all of them hold the same list.
        protocol: receives the bytes of the connection.
    """

    def __init__(self, protocol: StreamProtocol, *, under: "AsyncioStream | None" = None) -> None:
        self.layers: list[AsyncioStream] = [] if under is None else under.layers
        self.layers.append(self)
        self.protocol: StreamProtocol = protocol
        self._reading = WaitTimer()
        self._transport = cast("asyncio.Transport", protocol.transport)
        self._socket = self._transport.get_extra_info("socket") if under is None else None
        self._writing = WaitTimer()

    @property
    def has_ended(self) -> bool:
        """Whether the peer has closed the connection, or it was lost."""
        return self.protocol.has_ended

    @property
    def has_news(self) -> bool:
        """Whether bytes wait to be read, or the connection has ended."""
        return self.protocol.has_news

    @property
    def received(self) -> int:
        """Bytes that have arrived in all."""
        return self.protocol.received

    @property
    def alpn_protocol(self) -> str | None:
        """The protocol agreed on in the TLS handshake; None without TLS or without agreement."""
        tls: Any = self.get_extra_info("ssl_object")
        return None if tls is None else tls.selected_alpn_protocol()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes; empty at the end of the stream.

        Raises:
            httpcore.ReadTimeout: nothing came for ``timeout`` seconds.
            httpcore.ReadError: the connection was lost.
        """
        protocol = self.protocol
        if not protocol.has_news:
            await self._reading.bound(protocol.wait_for_news(), timeout, httpcore.ReadTimeout)
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
            await self._writing.bound(room, timeout, httpcore.WriteTimeout)
            if self.protocol.error is not None:
                raise httpcore.WriteError(self.protocol.error) from self.protocol.error

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
        if self.protocol.take(1):
            self.abort()
            raise httpcore.ConnectError("the peer sent bytes before the TLS handshake")
        if self.protocol.has_ended or self._transport.is_closing():
            self.abort()  # asyncio would wait for an answer of nobody
            raise httpcore.ConnectError("the connection was lost before the TLS handshake")
        secure = SecureProtocol()
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
        protocol, transport = self.protocol, self._transport
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


def is_socket_readable(sock: Any) -> bool:
    """Whether bytes or the end of the connection wait in the kernel; never waits."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


_EXTRA = {"client_addr": "sockname", "server_addr": "peername"}
"""httpcore's names of what asyncio calls otherwise."""
