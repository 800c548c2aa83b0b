"""The byte stream of one connection, directly on an asyncio protocol.

Reads and writes wait for the peer. Closing never waits, so it can't be cancelled half-way. This module
knows nothing of HTTP or the pool.
"""

import asyncio
import ssl
import traceback
import weakref
from typing import Any, cast

import httpcore

from typed_async_client.hosts import tls_host
from typed_async_client.net.abandoned import Home, Layers, break_cycle_of_transport
from typed_async_client.net.deadline import time_limit
from typed_async_client.net.polling import is_socket_readable
from typed_async_client.net.protocol import SecureProtocol, StreamProtocol
from typed_async_client.net.timer import WaitTimer
from typed_async_client.reasons import LOST_IN_HANDSHAKE, explain_handshake, reason_of
from typed_async_client.wording import explained

__all__ = ["AsyncioStream"]

_CHUNK_SIZE = 256 * 1024
"""Most bytes passed to asyncio in one call, so that a large body doesn't fill asyncio's buffer."""

_TURN_SIZE, _WRITE_COST = 1024 * 1024, 16 * 1024
"""Most bytes written before other tasks get a turn, since a fast peer never causes a wait; and what each
write counts for in addition, because a body may have many small or empty parts."""


class AsyncioStream(httpcore.AsyncNetworkStream):
    """A connected stream with httpcore's interface.

    The connection is closed when its last stream is freed. No reference leads from the event loop
    to the stream, or from the stream back to itself.

    Args:
        protocol: the protocol, already connected.
        inner: the stream that this one adds TLS to; None for a socket.

    Attributes:
        protocol: buffers the received bytes.
        transport: asyncio's transport.
        may_lose_input: whether what has arrived is lost if a write fails: see ``let_arrive()``.
        written: total bytes passed on to be sent, those of TLS left out.
    """

    _is_owner = False

    def __init__(self, protocol: StreamProtocol, *, inner: "AsyncioStream | None" = None) -> None:
        self.protocol: StreamProtocol = protocol
        self.transport: asyncio.Transport = cast("asyncio.Transport", protocol.transport)
        self.written: int = 0
        self._home: Home | None = Home() if inner is None else None
        self.may_lose_input: bool = inner is not None
        self._inner = inner  # keeps it from being freed, and the connection from being closed
        self._is_owner = True
        self._layers: weakref.ref[Layers] | None = None
        self._in_this_turn = 0  # bytes written since the event loop last ran other tasks
        self._read_timer = WaitTimer()
        self._socket = self.transport.get_extra_info("socket") if inner is None else None
        self._write_timer = WaitTimer()
        if inner is not None and (layers := inner.layers) is not None:
            self.record_in(layers)

    @property
    def layers(self) -> Layers | None:
        """The list that the streams of this connection are recorded in, if any."""
        return None if self._layers is None else self._layers()

    def record_in(self, layers: Layers) -> None:
        """Add this stream to the layers of its connection, and later those on top of it."""
        layers.append(self)
        self._layers = weakref.ref(layers)

    def __del__(self) -> None:
        if self._is_owner:
            self.abandon()
            break_cycle_of_transport(self.transport)

    def abandon(self) -> None:
        """Close the connection, of which nothing else is left, from any thread and at any time."""
        self.home.close([stream.transport for stream in self.chain])

    @property
    def chain(self) -> "list[AsyncioStream]":
        """The streams from the socket to this one."""
        return [self] if self._inner is None else [*self._inner.chain, self]

    @property
    def home(self) -> Home:
        """Where the connection was opened."""
        return cast("Home", self._home) if self._inner is None else self._inner.home

    @property
    def is_open(self) -> bool:
        """Whether this process holds its socket, and the peer hasn't closed it."""
        return self.home.is_this_process and not self.protocol.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether the peer has closed the connection, or it was lost."""
        return self.protocol.has_ended

    @property
    def is_readable(self) -> bool:
        """Whether there are unread bytes, or the connection has ended."""
        return self.protocol.is_readable

    @property
    def received(self) -> int:
        """Total bytes received."""
        return self.protocol.received

    @property
    def alpn_protocol(self) -> str | None:
        """The protocol negotiated in the TLS handshake; None without TLS or if there is none."""
        tls: Any = self.get_extra_info("ssl_object")
        return None if tls is None else tls.selected_alpn_protocol()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes``; empty at the end of the stream.

        Raises:
            httpcore.ReadTimeout: nothing was received for ``timeout`` seconds.
            httpcore.ReadError: the connection was lost.
        """
        protocol = self.protocol
        if not protocol.is_readable:
            self._in_this_turn = 0
            await self._read_timer.limit(protocol.wait_readable(), timeout, httpcore.ReadTimeout)
        data = protocol.take(max_bytes)
        if not data and protocol.error is not None:
            raise httpcore.ReadError(_non_empty(protocol.error)) from protocol.error
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of ``buffer``, in chunks of 256 KiB, waiting while the peer reads too slowly.

        The timeout applies to each chunk, which counts as written once asyncio's buffer is below its
        low-water mark. If it needn't wait, it lets other tasks run from time to time.

        Raises:
            httpcore.WriteTimeout: the peer didn't accept enough of one chunk within ``timeout``
                seconds; it may have accepted some of it.
            httpcore.WriteError: the connection was lost.
        """
        for start in range(0, len(buffer), _CHUNK_SIZE):
            await self._write_chunk(buffer[start : start + _CHUNK_SIZE], timeout)
        if not buffer and self._ends_turn(0):
            await asyncio.sleep(0)

    def write_nowait(self, data: bytes) -> None:
        """Write without waiting, unless the connection is closed."""
        if data and not self.transport.is_closing():
            self.transport.write(data)
            self.written += len(data)

    async def drain(self, timeout: float | None = None) -> None:
        """Wait until more may be written.

        Raises:
            httpcore.WriteTimeout: the peer didn't accept enough within ``timeout`` seconds.
            httpcore.WriteError: the connection was lost.
        """
        writable = self.protocol.wait_writable()
        if writable is not None:
            await self._wait_writable(writable, timeout)

    @property
    def has_input_at_risk(self) -> bool:
        """Whether something has arrived that the event loop hasn't read, and a write may lose."""
        sock = self.get_extra_info("socket") if self.may_lose_input else None
        return sock is not None and is_socket_readable(sock)

    async def let_arrive(self) -> None:
        """Let the event loop read what TLS data has arrived: it is lost if a write fails."""
        if self.has_input_at_risk:
            for _ in range(2):  # the loop reads after the first, and this task runs before that
                await asyncio.sleep(0)

    def wait_readable(self) -> "asyncio.Future[None]":
        """Return a future that completes when ``is_readable`` becomes true.

        It is abandoned by the next call, and by a ``read()`` that has to wait.
        """
        return self.protocol.wait_readable()

    async def _write_chunk(self, chunk: bytes, timeout: float | None) -> None:
        writable = self._send(chunk)
        if writable is not None:
            await self._wait_writable(writable, timeout)
        elif self._ends_turn(len(chunk)):
            await asyncio.sleep(0)

    async def _wait_writable(self, writable: "asyncio.Future[None]", timeout: float | None) -> None:
        self._in_this_turn = 0
        await self._write_timer.limit(writable, timeout, httpcore.WriteTimeout)
        if self.protocol.error is not None:
            error = self.protocol.error
            raise httpcore.WriteError(_non_empty(error)) from error

    def _ends_turn(self, size: int) -> bool:
        """Whether other tasks are to run: a lot was written since they last did."""
        self._in_this_turn += size + _WRITE_COST
        if is_over := self._in_this_turn > _TURN_SIZE:
            self._in_this_turn = 0
        return is_over

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "AsyncioStream":
        """Start TLS on this connection; also TLS inside TLS, for an https proxy.

        Raises:
            httpcore.ConnectTimeout: the handshake took longer than ``timeout`` seconds.
            httpcore.ConnectError: the handshake failed, or the peer had sent bytes or closed the
                connection before it.
        """
        if self.protocol.take(1):
            self.abort()
            raise httpcore.ConnectError("the peer sent bytes before the TLS handshake")
        if self.protocol.has_ended or self.transport.is_closing():
            self.abort()  # asyncio would wait for a handshake that can't happen
            raise httpcore.ConnectError("the connection was lost before the TLS handshake")
        secure = SecureProtocol()
        name = None if server_hostname is None else tls_host(server_hostname)
        try:
            async with time_limit(timeout):
                transport = await asyncio.get_running_loop().start_tls(
                    self.transport, secure, ssl_context, server_hostname=name
                )
        except TimeoutError as error:
            self.abort()
            raise httpcore.ConnectTimeout("timed out during the TLS handshake") from error
        except (OSError, ssl.SSLError, UnicodeError) as error:
            self.abort()
            traceback.clear_frames(error.__traceback__)  # those of asyncio refer to the error
            del secure  # it refers to the error, too
            raise explained(
                httpcore.ConnectError(_non_empty(error)), explain_handshake(error)
            ) from error
        except BaseException:
            self.abort()
            raise
        if transport is None:
            self.abort()
            raise httpcore.ConnectError(LOST_IN_HANDSHAKE)
        secure.connection_made(transport)
        return AsyncioStream(secure, inner=self)

    def abort(self) -> None:
        """Close immediately and without waiting; on TLS, send a close_notify alert first."""
        self._read_timer.stop()
        self._write_timer.stop()
        if self._socket is not None and self._socket.fileno() < 0:
            return  # aborting a connection that was lost with unsent data raises in asyncio
        self.transport.close()
        self.transport.abort()

    def _send(self, chunk: bytes) -> "asyncio.Future[None] | None":
        protocol, transport = self.protocol, self.transport
        if transport.is_closing():
            error = protocol.error
            raise httpcore.WriteError(
                "the connection is closed" if error is None else _non_empty(error)
            ) from error
        transport.write(chunk)
        self.written += len(chunk)
        return protocol.wait_writable()

    async def aclose(self) -> None:
        """Close the connection; the same as ``abort()``."""
        self.abort()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore defines (``ssl_object``, ``is_readable``, ...), or ``has_ended``."""
        if info == "is_readable":
            return self.is_readable
        if info == "has_ended":
            return self.has_ended
        return self.transport.get_extra_info(_EXTRA.get(info, info))


def _non_empty(error: Exception) -> Exception | str:
    """Return the argument of an error of httpcore: the error behind it, if that has a message."""
    return error if str(error) else reason_of(error)


_EXTRA = {"client_addr": "sockname", "server_addr": "peername"}
"""httpcore's names, mapped to asyncio's where they differ."""
