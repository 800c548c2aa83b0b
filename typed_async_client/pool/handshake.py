"""The stream of a connection while its proxy is asked for the way to the origin."""

import ssl
from typing import Any

import httpcore

__all__ = ["HandshakeStream"]


class HandshakeStream(httpcore.AsyncNetworkStream):
    """A network stream whose bytes belong to a proxy.

    None of the bytes written to it count as those of a request, so that it can be told whether anything
    of a request was sent.

    Args:
        stream: the network stream, an ``AsyncioStream``.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._has_ended = False

    def end(self) -> None:
        """Leave the stream to the origin: nothing is read from it any more, and it isn't closed."""
        self._has_ended = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes``; empty at the end of the stream, or of the handshake."""
        if self._has_ended:
            return b""
        data: bytes = await self._stream.read(max_bytes, timeout)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of ``buffer``."""
        written = self._stream.written
        try:
            await self._stream.write(buffer, timeout)
        finally:
            self._stream.written = written

    async def aclose(self) -> None:
        """Close the connection, unless the handshake has ended."""
        if not self._has_ended:
            await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS on the connection."""
        secure: httpcore.AsyncNetworkStream = await self._stream.start_tls(
            ssl_context, server_hostname, timeout
        )
        return secure

    def get_extra_info(self, info: str) -> Any:
        """Return what the network stream returns."""
        return self._stream.get_extra_info(info)
