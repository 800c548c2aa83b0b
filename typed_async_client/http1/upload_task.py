"""The task of one upload over HTTP/1.1, which also reads and writes for the exchange meanwhile."""

import asyncio
from typing import Any

import httpcore

from typed_async_client.wire.body_task import BodyTask

__all__ = ["Upload", "WatchEndedError"]

_PIECE_SIZE = 256 * 1024
"""Bytes between two checks of whether the upload has been stopped."""

_LOST_EARLY = "the connection was closed after it was switched, before the whole request was sent"


class WatchEndedError(Exception):
    """The upload or the connection has ended before the final head arrived."""


class Upload(BodyTask):
    """One body that is being sent.

    Args:
        stream: the network stream, an ``AsyncioStream``.
        request: the request whose body it is.

    Attributes:
        is_watched: whether the end of the upload ends the reading of the response.
    """

    def __init__(self, stream: Any, request: httpcore.Request) -> None:
        super().__init__(request)
        self.is_watched: bool = True
        self._stream = stream

    async def finish(self) -> None:
        """Wait until everything is sent, although the response has arrived.

        Raises:
            httpcore.RemoteProtocolError: the connection was lost before.
        """
        if not (self.has_ended or self._stream.is_readable):
            waits = {self._task, self._stream.wait_readable()}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if self._stream.has_ended:
            self.cancel()
        await self.wait()
        if self.parts.is_stopped or isinstance(self._error, httpcore.WriteError):
            raise httpcore.RemoteProtocolError(_LOST_EARLY) from self._error

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        """Read; while the body is being sent, wait without a timeout."""
        if not (self.has_ended or self._stream.is_readable):
            waits = {self._task, self._stream.wait_readable()}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if self.has_ended:
            if not isinstance(self._error, httpcore.WriteError):  # which reading notices, too
                self.raise_error()
            if self.is_watched:
                raise WatchEndedError
        if not self.is_watched:
            data: bytes = await self._stream.read(max_bytes, timeout)
            return data
        try:
            data = await self._stream.read(max_bytes)
        except httpcore.ReadError as error:
            raise WatchEndedError from error
        if not data:
            raise WatchEndedError
        return data

    async def write(self, buffer: bytes, timeout: float | None) -> None:
        """Write for the task."""
        for start in range(0, len(buffer) or 1, _PIECE_SIZE):
            if self.parts.is_stopped:
                raise asyncio.CancelledError  # the body's generator has suppressed the first one
            if self._stream.may_lose_input:
                await self._stream.let_arrive()
            received = self._stream.received
            try:
                await self._stream.write(buffer[start : start + _PIECE_SIZE], timeout)
            except httpcore.WriteTimeout:
                if self.is_watched or not self._is_held_up(received):
                    raise
                await self._drain(timeout)

    def _is_held_up(self, received: int) -> bool:
        """Whether the server may not be reading because the caller doesn't read its response."""
        stream = self._stream
        return bool(stream.is_readable or stream.received != received)

    async def _drain(self, timeout: float | None) -> None:
        """Wait for the rest of a write that took too long."""
        while True:
            received = self._stream.received
            try:
                await self._stream.drain(timeout)
            except httpcore.WriteTimeout:
                if not self._is_held_up(received):
                    raise
            else:
                return
