"""The raw connection of an upgraded httpx response, for httpx2: it raises the errors of httpcore2.

A WebSocket of httpx2 reads and writes the connection itself, and expects these errors.
"""

import importlib
from typing import Any

from typed_async_client.libraries import library_of
from typed_async_client.translation import ErrorTranslation

__all__ = ["AsyncRawStream", "SyncRawStream"]


class _RawStream:
    """Wraps a network stream of httpcore.

    Args:
        stream: the network stream.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def get_extra_info(self, info: str) -> Any:
        """Return a detail of the connection, as the wrapped stream does."""
        return self._stream.get_extra_info(info)


class AsyncRawStream(_RawStream):
    """A stream with the methods of ``httpcore2.AsyncNetworkStream``."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes``."""
        with ErrorTranslation(_as_httpcore2_error):
            data: bytes = await self._stream.read(max_bytes, timeout)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        with ErrorTranslation(_as_httpcore2_error):
            await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        with ErrorTranslation(_as_httpcore2_error):
            await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> "AsyncRawStream":
        """Start TLS; the arguments are those of the wrapped stream."""
        with ErrorTranslation(_as_httpcore2_error):
            return AsyncRawStream(await self._stream.start_tls(*args, **options))


class SyncRawStream(_RawStream):
    """A stream with the methods of ``httpcore2.NetworkStream``."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes``."""
        with ErrorTranslation(_as_httpcore2_error):
            data: bytes = self._stream.read(max_bytes, timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        with ErrorTranslation(_as_httpcore2_error):
            self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        with ErrorTranslation(_as_httpcore2_error):
            self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> "SyncRawStream":
        """Start TLS; the arguments are those of the wrapped stream."""
        with ErrorTranslation(_as_httpcore2_error):
            return SyncRawStream(self._stream.start_tls(*args, **options))


def _as_httpcore2_error(error: Exception) -> Exception:
    """Return an error of httpcore as the error of httpcore2 with the same name."""
    if library_of(error, "httpcore") is None:
        return error
    kind = getattr(importlib.import_module("httpcore2"), type(error).__name__, None)
    if kind is None:
        return error
    translated: Exception = kind(str(error))
    translated.__cause__ = error
    return translated
