"""The task of one upload: it sends the parts of a body, until all are sent or it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpcore

from typed_async_client.http1.framing import Framing
from typed_async_client.sources.closing import aclose_source

__all__ = ["Send", "Upload", "WatchEndedError"]

_PIECE_SIZE = 256 * 1024
"""Bytes between two checks of whether the upload has been stopped."""

_TOO_LATE = "the generator of a request body failed after the response was received"

_LOST_EARLY = "the connection was closed after it was switched, before the whole request was sent"

_LOST = (httpcore.WriteError, httpcore.WriteTimeout)
"""What ends an upload, and is no error of its generator."""

Send = Callable[[AsyncIterator[bytes]], Awaitable[None]]
"""Encodes the parts of a body, and writes them."""


class WatchEndedError(Exception):
    """The upload or the connection has ended before the final head arrived."""


class Upload:
    """One body that is being sent.

    Args:
        stream: the network stream, an ``AsyncioStream``.
        request: the request whose body it is.

    Attributes:
        is_complete: whether the whole body was sent, and its generator has ended.
        is_watched: whether the end of the upload ends the reading of the response.
    """

    def __init__(self, stream: Any, request: httpcore.Request) -> None:
        self.is_complete: bool = False
        self.is_watched: bool = True
        self._error: BaseException | None = None
        self._parts = _Parts(request.stream, Framing(request).length)
        self._stream = stream
        self._task: Any = None

    @property
    def is_sent(self) -> bool:
        """Whether nothing is left to send, although the generator may still be running."""
        return self.is_complete or self._parts.is_sent

    @property
    def has_ended(self) -> bool:
        """Whether its task is done."""
        ended: bool = self._task.done()
        return ended

    def start(self, send: Send) -> None:
        """Create the task; the task factory of the event loop may wrap it, or run it right away."""
        coroutine = self._run(send)
        try:
            self._task = asyncio.get_running_loop().create_task(coroutine)
        except BaseException:
            coroutine.close()
            raise
        self._task.add_done_callback(lambda _: coroutine.close())  # if it was never started

    def cancel(self) -> None:
        """Cancel the task, once: a second time would interrupt the closing of the generator."""
        if not (self._parts.is_stopped or self.has_ended):
            self._parts.is_stopped = True
            self._task.cancel()

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
        await self._wait()
        if self._parts.is_stopped or isinstance(self._error, httpcore.WriteError):
            raise httpcore.RemoteProtocolError(_LOST_EARLY) from self._error

    async def stop(self) -> None:
        """Wait for the task, which is cancelled unless all bytes were sent."""
        if not self.is_sent:
            self.cancel()
        await self._wait()

    async def _wait(self) -> None:
        """Wait for the task; a first cancellation ends it too, and a second one doesn't wait."""
        if self.has_ended:
            return
        was_stopped = self._parts.is_stopped
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            if was_stopped:
                self._task.cancel()  # it ends later
            self.cancel()
            raise

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
            if self._parts.is_stopped:
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

    def raise_error(self) -> None:
        """Raise what ended it, once, unless it was stopped."""
        if self._parts.is_stopped:
            return
        if self._task.cancelled():
            raise asyncio.CancelledError
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # or it would refer to itself through this frame

    def report_error(self) -> None:
        """Report to the loop what the generator has raised, if its request can't any more."""
        if self._error is not None and not isinstance(self._error, _LOST):
            context = {"message": _TOO_LATE, "exception": self._error}
            asyncio.get_running_loop().call_exception_handler(context)

    async def _run(self, send: Send) -> None:
        try:
            await send(self._parts)
            self.is_complete = True
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except GeneratorExit as error:  # raised on, it would close whatever generator it meets
            self._error = RuntimeError("the source of the request body raised GeneratorExit")
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - raised where the response is read
            self._error = error
        finally:
            await self._parts.aclose()

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


class _Parts:
    """The parts of a body, until the upload is stopped.

    Args:
        body: the body.
        length: its declared number of bytes; None if it is unknown.

    Attributes:
        is_sent: whether as many bytes were sent as declared.
        is_stopped: whether no further part is wanted.
    """

    def __init__(self, body: Any, length: int | None) -> None:
        self.is_sent: bool = False
        self.is_stopped: bool = False
        self._body = body
        self._iterator: Any = None
        self._remaining = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._iterator = aiter(self._body)
        return self

    async def __anext__(self) -> bytes:
        if self.is_stopped:
            raise asyncio.CancelledError
        self.is_sent = self._remaining == 0  # whoever asks for a part has sent those before
        part: bytes = await anext(self._iterator)
        if self._remaining is not None:
            self._remaining -= len(part)
        return part

    async def aclose(self) -> None:
        """Close the generators, in the task that ran them."""
        await aclose_source(self._body, self._iterator)
