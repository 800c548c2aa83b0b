"""Opens connections for synchronous clients, whose waits all end at the deadline of the thread.

httpcore's own streams apply a timeout to each single wait for a socket, so a server that sends or takes a
byte now and then keeps its client for as long as it likes. ``thread_deadline.py`` tells what is left.
"""

import contextlib
import functools
import math
import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import httpcore

from typed_async_client.net.dns import HostAddress, resolve_in_thread
from typed_async_client.net.thread_deadline import seconds_left, thread_deadline

__all__ = ["SyncDeadlineBackend"]

_T = TypeVar("_T")

_FAILED = (httpcore.ConnectError, httpcore.ConnectTimeout)
_LATE = (httpcore.ReadTimeout, httpcore.WriteTimeout)
_LOST = (httpcore.ReadError, httpcore.WriteError)

_READ_SIZE = 65_536
"""Bytes to ask for at a time, as httpcore does."""


class SyncDeadlineBackend(httpcore.SyncBackend):
    """httpcore's backend, whose connections heed the deadline of the thread that uses them.

    Without a deadline it does what httpcore's does.
    """

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of ``host`` that accepts the connection.

        Raises:
            httpcore.ConnectTimeout: no address accepted in time, name resolution included.
            httpcore.ConnectError: the name can't be resolved, or every address failed.
        """
        connect = functools.partial(
            super().connect_tcp,
            port=port,
            local_address=local_address,
            socket_options=socket_options,
        )
        if thread_deadline() == math.inf:
            return _SocketStream(connect(host, timeout=timeout))
        *others, (_, last) = _resolve(host, timeout)
        for _, address in others:
            with contextlib.suppress(*_FAILED):
                return _SocketStream(connect(address, timeout=_connect_time(timeout)))
        return _SocketStream(connect(last, timeout=_connect_time(timeout)))


class _SocketStream(httpcore.NetworkStream):
    """A connection, with or without TLS.

    Args:
        stream: httpcore's stream of the same connection.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived, or wait for it; with TLS, the timeout is for a whole record."""
        return self._stream.read(max_bytes, seconds_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything; httpcore would wait for the timeout before each part of it."""
        if thread_deadline() == math.inf:
            self._stream.write(buffer, timeout)
            return
        sock, unsent = self._stream.get_extra_info("socket"), memoryview(buffer)
        with _raising(httpcore.WriteTimeout, httpcore.WriteError):
            while unsent:
                sock.settimeout(seconds_left(timeout, httpcore.WriteTimeout))
                unsent = unsent[sock.send(unsent) :]

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Perform a TLS handshake, inside another TLS connection if this is one; close if it fails."""
        if self._stream.get_extra_info("ssl_object") is not None:
            return _InnerTlsStream(self, ssl_context, server_hostname, timeout)
        try:
            left = _connect_time(timeout)
        except httpcore.ConnectTimeout:
            self.close()
            raise
        return _SocketStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore's stream returns."""
        return self._stream.get_extra_info(info)


class _InnerTlsStream(httpcore.NetworkStream):
    """TLS inside another TLS connection, that of a proxy.

    httpcore's own waits for each part of a record or a handshake as long as for all of it.

    Args:
        stream: the other connection; closed if the handshake fails.
        context: the context to use.
        server_hostname: the server to ask for.
        timeout: seconds for each wait in the handshake.

    Raises:
        httpcore.ConnectTimeout: the handshake took too long.
        httpcore.ConnectError: it failed.
    """

    def __init__(
        self,
        stream: _SocketStream,
        context: ssl.SSLContext,
        server_hostname: str | None,
        timeout: float | None,
    ) -> None:
        self._received, self._unsent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._stream = stream
        self._tls = context.wrap_bio(self._received, self._unsent, server_hostname=server_hostname)
        try:
            with _raising(httpcore.ConnectTimeout, httpcore.ConnectError):
                self._perform(self._tls.do_handshake, timeout)
        except BaseException:
            self.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived, or wait for it."""
        with _raising(httpcore.ReadTimeout, httpcore.ReadError):
            return self._perform(lambda: self._tls.read(max_bytes), timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        with _raising(httpcore.WriteTimeout, httpcore.WriteError):
            self._perform(lambda: self._tls.write(buffer), timeout)  # it takes all of it

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return the inner TLS object; everything else is the other connection's."""
        return self._tls if info == "ssl_object" else self._stream.get_extra_info(info)

    def _perform(self, operation: Callable[[], _T], timeout: float | None) -> _T:
        """Repeat an operation of TLS until it has received all that it needs."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                result = operation()
                self._flush(timeout)
                return result
            self._flush(timeout)
            received = self._stream.read(_READ_SIZE, timeout)
            if received:
                self._received.write(received)
            else:
                self._received.write_eof()

    def _flush(self, timeout: float | None) -> None:
        if self._unsent.pending:
            self._stream.write(self._unsent.read(), timeout)


def _resolve(host: str, timeout: float | None) -> list[HostAddress]:
    with _raising(httpcore.ConnectTimeout, httpcore.ConnectError):
        return resolve_in_thread(host, _connect_time(timeout))


def _connect_time(timeout: float | None) -> float | None:
    return seconds_left(timeout, httpcore.ConnectTimeout)


@contextlib.contextmanager
def _raising(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """Raise httpcore's errors in place of those of sockets, and of those of another phase."""
    try:
        yield
    except (late, failed):
        raise
    except (TimeoutError, *_LATE) as error:
        raise late(error) from error
    except (OSError, *_LOST) as error:
        raise failed(error) from error
