"""Sends the body of one request over HTTP/2, while the response is read beside it."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpcore

from typed_async_client.http2.stream import Stream
from typed_async_client.net.timer import WaitTimer
from typed_async_client.wire.body_task import BodyTask
from typed_async_client.wire.messages import timeout_of

if TYPE_CHECKING:
    from typed_async_client.http2.connection import Http2Connection

__all__ = ["Upload"]

_NO_WINDOW = "the server granted no flow-control window for the request body"

_WRITE_SIZE = 64 * 1024
"""Bytes that are passed to the transport at once."""

_TURN_SIZE, _PART_COST = 1024 * 1024, 16 * 1024
"""Most bytes before other tasks get a turn, since a fast peer never causes a wait; and what each part
counts for in addition, because a body may have many small or empty ones."""


class Upload(BodyTask):
    """One body that is being sent.

    Args:
        connection: the connection.
        stream: the stream of the request.
        request: the request.
    """

    def __init__(
        self, connection: "Http2Connection", stream: Stream, request: httpcore.Request
    ) -> None:
        super().__init__(request)
        self._connection = connection
        self._request = request
        self._stream = stream
        self._timer = WaitTimer()
        self._turn = 0

    async def send(self, parts: AsyncIterator[bytes]) -> None:
        """Send the parts of the body, until it ends or isn't wanted any more.

        Raises:
            httpcore.LocalProtocolError: it is longer or shorter than declared.
            httpcore.ReadTimeout: the server made no room for it.
            httpcore.WriteTimeout: the server accepted nothing.
        """
        try:
            async for part in parts:
                await self._send_part(part)
            self.parts.length.end()
            self._connection.session.end_request(self._stream)
            self._connection.flush_soon()
        finally:
            self._timer.stop()

    async def _send_part(self, part: bytes) -> None:
        data = memoryview(part)
        while data:
            await self._wait_for_room()
            ends = self.parts.length.is_reached and len(data) <= _WRITE_SIZE
            sent = self._connection.session.send_part(self._stream, data[:_WRITE_SIZE], ends=ends)
            data = data[sent:]
            self._connection.flush_soon()
            await self._give_way(sent)
        if not part:
            await self._give_way(0)

    async def _give_way(self, sent: int) -> None:
        """Let other tasks run from time to time, and wait while the peer reads too slowly."""
        self._turn += sent + _PART_COST
        if sent == _WRITE_SIZE:
            self._connection.flush()
        writable = self._connection.wait_writable()
        if writable is not None:
            self._turn = 0
            timeout = timeout_of(self._request, "write")
            await self._timer.limit(writable, timeout, httpcore.WriteTimeout)
        elif self._turn >= _TURN_SIZE:
            self._turn = 0
            await asyncio.sleep(0)

    async def _wait_for_room(self) -> None:
        """Wait until a part of the body may be sent.

        It starts over when the server has opened the window of the connection, even if that was used
        up by others.
        """
        session, room = self._connection.session, self._connection.room
        try:
            while session.room(self._stream) == 0:
                if self._stream.id not in session.streams:
                    self.parts.is_stopped = True
                    raise asyncio.CancelledError  # the request ends with the error of its stream
                future, opened = room.wait(self._stream), session.times_opened
                timeout = timeout_of(self._request, "read")
                try:
                    await self._timer.limit(future, timeout, httpcore.ReadTimeout)
                except httpcore.ReadTimeout:
                    if opened == session.times_opened or not session.has_window(self._stream):
                        raise httpcore.ReadTimeout(_NO_WINDOW) from None
        finally:
            room.leave(self._stream)
