"""Records the streams opened for a slot, so that the slot can always close them."""

import asyncio
import weakref
from typing import Any

import httpcore

from typed_async_client.net.abandoned import Layers
from typed_async_client.net.backend import AsyncioBackend
from typed_async_client.net.stream import AsyncioStream
from typed_async_client.pool.slot import Slot

__all__ = ["Recorder"]


class Recorder(httpcore.AsyncNetworkBackend):
    """A network backend that records each stream in the slot it is opened for.

    Args:
        backend: opens the streams.
        slot: the slot whose ``layers`` are set.
    """

    def __init__(self, backend: AsyncioBackend, slot: Slot) -> None:
        self._backend = backend
        self._slot = weakref.ref(slot)  # it holds the connection, which holds this backend

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Connect with the backend, and record the stream."""
        await asyncio.sleep(0)  # let asyncio close the socket that was dropped to make room
        return self._record(await self._backend.connect_tcp(*args, **kwargs))

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> AsyncioStream:
        """Connect with the backend, and record the stream."""
        await asyncio.sleep(0)
        return self._record(await self._backend.connect_unix_socket(*args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        """Sleep with the backend."""
        await self._backend.sleep(seconds)

    def _record(self, stream: AsyncioStream) -> AsyncioStream:
        slot = self._slot()
        if slot is None or slot.is_closed:
            stream.abort()
            raise RuntimeError("the connection pool was closed while this request connected")
        for stale in slot.layers:
            stale.abort()  # from a connect attempt that was abandoned half-way
        layers = Layers()
        stream.record_in(layers)
        slot.layers = layers
        return stream
