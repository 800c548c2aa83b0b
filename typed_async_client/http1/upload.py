"""Sends the body of a request in its own task, while the response is read beside it.

A server may respond before it has received the whole body, and stop reading it: RFC 9112 section 9.5
asks clients to watch for that. A server that sends back what it receives, as it receives it, even stops
reading until its response is read. So neither direction may wait for the other.

While a body is sent, no read timeout applies, only the write timeout. The read timeout starts once the
body has been sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpcore

from typed_async_client.sources import close_source

__all__ = ["SENT_AT_ONCE", "UploadStream"]

SENT_AT_ONCE = 60 * 1024
"""Most bytes that are written without a task: asyncio buffers up to 64 KiB before a write waits."""

_PIECE_SIZE = 256 * 1024
"""Bytes between two checks of whether the upload has been stopped."""

_FIRST_UNWANTED_STATUS = 300
"""A redirect or an error means that the server doesn't want the rest of the body."""

_Send = Callable[[AsyncIterator[bytes]], Awaitable[None]]
"""Encodes the parts of a body, and writes them."""


class UploadStream(httpcore.AsyncNetworkStream):
    """The network stream of an exchange, on which a body can be sent while the response is read.

    Args:
        stream: the network stream, an ``AsyncioStream``.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._upload: _Upload | None = None

    @property
    def has_upload(self) -> bool:
        """Whether an upload hasn't been ended by ``end_upload()``, or by its completion."""
        return self._upload is not None

    @property
    def is_sent(self) -> bool:
        """Whether no upload is running or was stopped since the last ``end_upload()``."""
        return self._upload is None or self._upload.is_complete

    async def send_beside(
        self, body: Any, send: _Send, receive_status: Callable[[], Awaitable[int]]
    ) -> None:
        """Send a body, and read the response meanwhile.

        It returns once the body has been sent, or the server has begun a successful response: the
        body is then sent beside the reading of the response, until ``end_upload()``.

        Args:
            body: the body, an async iterable. Its generator is closed if it isn't read to its end.
            send: sends the parts of it, with this stream's ``write()``.
            receive_status: reads with this stream's ``read()`` until the final head has arrived,
                and returns its status. It may be dropped at any read.

        Raises:
            httpcore.WriteError: the connection was lost, or the server has responded without
                waiting for the body; its response can be read.
            Exception: the body raised it.
        """
        upload = self._upload = _Upload(self._stream, body)  # the task may start right away
        try:
            upload.start(send)
        except BaseException:
            self._upload = None
            raise
        try:
            status = await receive_status()
        except _WatchEndedError:
            upload.is_watched = False
            upload.raise_write_error()
            if not upload.has_ended:
                await upload.stop()
                raise httpcore.WriteError("the connection is closed") from None
            self._upload = None
        else:
            upload.is_watched = False
            if status >= _FIRST_UNWANTED_STATUS:
                await upload.stop()
                raise httpcore.WriteError("the server responded before the whole body was sent")

    async def end_upload(self) -> None:
        """Stop an upload that still runs, and wait until its generator is closed."""
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.stop()

    def read(self, max_bytes: int, timeout: float | None = None) -> Coroutine[Any, Any, bytes]:
        """Read up to ``max_bytes``; the timeout doesn't apply while a body is being sent.

        Raises:
            Exception: the body being sent raised it.
        """
        upload = self._upload
        return (self._stream if upload is None else upload).read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> Coroutine[Any, Any, None]:
        """Write all of ``buffer``."""
        upload = self._upload
        return (self._stream if upload is None else upload).write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection without waiting; an upload ends soon."""
        if self._upload is not None:
            self._upload.cancel()
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """Start TLS on the connection, which carries another protocol from then on."""
        secure: httpcore.AsyncNetworkStream = await self._stream.start_tls(*args, **options)
        return secure

    def get_extra_info(self, info: str) -> Any:
        """Return what the network stream returns."""
        return self._stream.get_extra_info(info)


class _WatchEndedError(Exception):
    """The upload or the connection has ended before the final head arrived."""


class _Upload:
    """One body that is being sent.

    Attributes:
        is_complete: whether the whole body was sent.
        is_watched: whether the end of the upload ends the reading of the response.
    """

    def __init__(self, stream: Any, body: Any) -> None:
        self.is_complete: bool = False
        self.is_watched: bool = True
        self._error: BaseException | None = None
        self._parts = _Parts(body)
        self._stream = stream
        self._task: Any = None

    @property
    def has_ended(self) -> bool:
        """Whether its task is done."""
        ended: bool = self._task.done()
        return ended

    def start(self, send: _Send) -> None:
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

    async def stop(self) -> None:
        """Cancel the task and wait for it; if this is cancelled, it ends later."""
        self.cancel()
        if not self.has_ended:
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self._task.cancel()
                raise

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        """Read; while the body is being sent, wait without a timeout."""
        if not (self.has_ended or self._stream.is_readable):
            waits = {self._task, self._stream.wait_readable()}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if self.has_ended:
            self._raise_error()
            if self.is_watched:
                raise _WatchEndedError
        if not self.is_watched:
            data: bytes = await self._stream.read(max_bytes, timeout)
            return data
        try:
            data = await self._stream.read(max_bytes)
        except httpcore.ReadError as error:
            raise _WatchEndedError from error
        if not data:
            raise _WatchEndedError
        return data

    async def write(self, buffer: bytes, timeout: float | None) -> None:
        """Write for the task."""
        for start in range(0, len(buffer) or 1, _PIECE_SIZE):
            if self._parts.is_stopped:
                raise asyncio.CancelledError  # the body's generator has suppressed the first one
            await self._stream.let_arrive()
            received = self._stream.received
            try:
                await self._stream.write(buffer[start : start + _PIECE_SIZE], timeout)
            except httpcore.WriteTimeout:
                if self.is_watched or not self._is_held_up(received):
                    raise
                await self._drain(timeout)

    def raise_write_error(self) -> None:
        """Raise the error of a write that found the connection closed, if there was one."""
        if isinstance(self._error, httpcore.WriteError):
            self._raise(self._error)

    async def _run(self, send: _Send) -> None:
        try:
            await send(self._parts)
            self.is_complete = True
        except Exception as error:  # noqa: BLE001 - raised where the response is read
            self._error = error
        finally:
            await self._parts.aclose()

    def _raise_error(self) -> None:
        """Raise what the body raised, once; a lost connection is noticed by reading."""
        if self._task.cancelled() and not self._parts.is_stopped:
            raise asyncio.CancelledError
        if not isinstance(self._error, httpcore.WriteError):
            self._raise(self._error)

    def _raise(self, error: BaseException | None) -> None:
        self._error = None
        try:
            if error is not None:
                raise error
        finally:
            del error  # or it would refer to itself through this frame

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

    Attributes:
        is_stopped: whether no further part is wanted.
    """

    def __init__(self, body: Any) -> None:
        self.is_stopped: bool = False
        self._body = body
        self._iterator: Any = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._iterator = aiter(self._body)
        return self

    async def __anext__(self) -> bytes:
        if self.is_stopped:
            raise asyncio.CancelledError
        part: bytes = await anext(self._iterator)
        return part

    async def aclose(self) -> None:
        """Close the generators, in the task that ran them; report what they raise meanwhile."""
        try:
            await close_source(self._iterator, self._body)
        except Exception as error:  # noqa: BLE001 - the upload has ended for another reason
            message = "closing the generator of a request body failed"
            context = {"message": message, "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
