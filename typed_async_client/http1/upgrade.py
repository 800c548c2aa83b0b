"""The raw connection after ``CONNECT`` or ``Upgrade``: another protocol's bytes, from the first."""

import ssl
from typing import Any

import httpcore

__all__ = ["SWITCHING", "UpgradedStream", "proposes_switch"]

SWITCHING = 101
"""The status of a response after which the connection speaks another protocol."""


def proposes_switch(request: httpcore.Request) -> bool:
    """Say whether a request asks for another protocol, RFC 9110 section 7.8."""
    return any(name.lower() == b"upgrade" for name, _ in request.headers)


class UpgradedStream(httpcore.AsyncNetworkStream):
    """A stream of which some bytes have been read already.

    Args:
        stream: the connection.
        leading: what was read beyond the response that switched protocols.
    """

    def __init__(self, stream: Any, leading: bytes) -> None:
        self._stream = stream
        self._leading = leading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes, those that had come already first."""
        if self._leading:
            first, self._leading = self._leading[:max_bytes], self._leading[max_bytes:]
            return first
        data: bytes = await self._stream.read(max_bytes, timeout)
        return data

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
        """Speak TLS from now on.

        Raises:
            httpcore.ConnectError: the handshake failed, or bytes had arrived before it.
        """
        if self._leading:
            await self.aclose()
            raise httpcore.ConnectError("the peer sent bytes before the TLS handshake")
        secure: httpcore.AsyncNetworkStream = await self._stream.start_tls(
            ssl_context, server_hostname, timeout
        )
        return secure

    def get_extra_info(self, info: str) -> Any:
        """Answer as the connection does."""
        return self._stream.get_extra_info(info)
