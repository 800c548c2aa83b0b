"""Tells a slot which streams are opened for it, so that it can always close them."""

import asyncio
from typing import Any

import httpcore

from typed_async_client.http2.stream import SpeaksHttp2, WatchedStream
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.pool.slot import Slot

__all__ = ["Recorder"]


class Recorder(httpcore.AsyncNetworkBackend):
    """Tells a slot which streams are opened for it, so that it can always close them.

    Args:
        backend: opens the streams.
        slot: is told.
        http2: how HTTP/2 may come to be spoken on them: ``"agreed"``, ``"alone"``, or None.
    """

    def __init__(
        self, backend: AsyncioBackend, slot: Slot, *, http2: SpeaksHttp2 | None = None
    ) -> None:
        self._backend = backend
        self._http2 = http2
        self._slot = slot

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Connect as the backend does, and note the stream."""
        await asyncio.sleep(0)  # asyncio closes the socket that made room one turn later
        return self._note(await self._backend.connect_tcp(*args, **kwargs))

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Connect as the backend does, and note the stream."""
        await asyncio.sleep(0)
        return self._note(await self._backend.connect_unix_socket(*args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        """Wait as the backend does."""
        await self._backend.sleep(seconds)

    def _note(self, stream: AsyncioStream) -> AsyncioStream:
        if self._slot.is_closed:
            stream.abort()
            raise RuntimeError("the connection pool was closed while this request connected")
        for stale in self._slot.layers:
            stale.abort()  # of an attempt that was given up half-way
        if self._http2 is not None:
            stream = WatchedStream.of(stream, self._slot, self._http2)
        self._slot.layers = stream.layers
        return stream
