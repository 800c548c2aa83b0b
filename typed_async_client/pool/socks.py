"""Limits the handshake with a SOCKS proxy by the connect timeout; httpcore waits for it forever."""

import enum
from collections.abc import Awaitable
from typing import Any, TypeVar

import httpcore

from typed_async_client.net.deadline import Deadline

__all__ = ["SocksBackend", "is_socks"]

_T = TypeVar("_T")


class _Default(enum.Enum):
    HANDSHAKE = enum.auto()


_HANDSHAKE = _Default.HANDSHAKE
"""The timeout of a read or write that names none: only httpcore's handshake does that."""


def is_socks(proxy: httpcore.Proxy | None) -> bool:
    """Whether a proxy speaks SOCKS."""
    return proxy is not None and proxy.url.scheme.startswith(b"socks")


class SocksBackend(httpcore.AsyncNetworkBackend):
    """A network backend whose streams limit the handshake with a SOCKS proxy.

    Args:
        backend: opens the streams.
    """

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """Connect with the backend."""
        deadline = Deadline(options.get("timeout"))
        return _SocksStream(await self._backend.connect_tcp(*args, **options), deadline)

    async def sleep(self, seconds: float) -> None:
        """Sleep with the backend."""
        await self._backend.sleep(seconds)


class _SocksStream(httpcore.AsyncNetworkStream):
    """A stream to a SOCKS proxy."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    async def read(self, max_bytes: int, timeout: float | _Default | None = _HANDSHAKE) -> bytes:
        if timeout is not _HANDSHAKE:
            return await self._stream.read(max_bytes, timeout)
        data = await self._limited(self._stream.read(max_bytes))
        if not data:
            raise httpcore.ProxyError("the proxy closed the connection")
        return data

    async def write(self, buffer: bytes, timeout: float | _Default | None = _HANDSHAKE) -> None:
        if timeout is not _HANDSHAKE:
            await self._stream.write(buffer, timeout)
        else:
            await self._limited(self._stream.write(buffer))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return await self._stream.start_tls(*args, **options)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def _limited(self, operation: Awaitable[_T]) -> _T:
        try:
            async with self._deadline.limit():
                return await operation
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("timed out during the SOCKS handshake") from error
