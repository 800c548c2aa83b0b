"""The network stream after ``CONNECT`` or ``Upgrade``, which carries another protocol."""

import ssl
from typing import Any

import httpcore

__all__ = ["SWITCHING_PROTOCOLS", "UpgradedStream", "requests_upgrade"]

SWITCHING_PROTOCOLS = 101
"""The status of the response that switches the connection to another protocol."""


def requests_upgrade(request: httpcore.Request) -> bool:
    """Whether a request asks to switch to another protocol, RFC 9110 section 7.8."""
    return any(value and name.lower() == b"upgrade" for name, value in request.headers)


class UpgradedStream(httpcore.AsyncNetworkStream):
    """A network stream that starts with bytes which were already read from the network.

    Args:
        stream: the network stream.
        leading: the bytes read beyond the head of the response that switched protocols.
    """

    def __init__(self, stream: Any, leading: bytes) -> None:
        self._stream = stream
        self._leading = leading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes``, the leading bytes first."""
        if self._leading:
            data, self._leading = self._leading[:max_bytes], self._leading[max_bytes:]
            return data
        received: bytes = await self._stream.read(max_bytes, timeout)
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of ``buffer``."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS on the connection.

        Raises:
            httpcore.ConnectError: the handshake failed, or the peer had sent bytes before it.
        """
        if self._leading:
            await self.aclose()
            raise httpcore.ConnectError("the peer sent bytes before the TLS handshake")
        secure: httpcore.AsyncNetworkStream = await self._stream.start_tls(
            ssl_context, server_hostname, timeout
        )
        return secure

    def get_extra_info(self, info: str) -> Any:
        """Return what the network stream returns."""
        return self._stream.get_extra_info(info)
