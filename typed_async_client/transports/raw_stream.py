"""The raw connection of an upgraded httpx response, for httpx2: it raises the errors of httpcore2.

A WebSocket of httpx2 reads and writes the connection itself, and expects these errors.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from typed_async_client.libraries import library_of

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
        with _translated():
            data: bytes = await self._stream.read(max_bytes, timeout)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        with _translated():
            await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        with _translated():
            await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> "AsyncRawStream":
        """Start TLS; the arguments are those of the wrapped stream."""
        with _translated():
            return AsyncRawStream(await self._stream.start_tls(*args, **options))


class SyncRawStream(_RawStream):
    """A stream with the methods of ``httpcore2.NetworkStream``."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to ``max_bytes``."""
        with _translated():
            data: bytes = self._stream.read(max_bytes, timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        with _translated():
            self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        with _translated():
            self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> "SyncRawStream":
        """Start TLS; the arguments are those of the wrapped stream."""
        with _translated():
            return SyncRawStream(self._stream.start_tls(*args, **options))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise an error of httpcore as the error of httpcore2 with the same name."""
    try:
        yield
    except Exception as error:
        name = type(error).__name__
        if library_of(error, "httpcore") is None:
            raise
        kind = getattr(importlib.import_module("httpcore2"), name, None)
        if kind is None:
            raise
        raise kind(str(error)) from error
