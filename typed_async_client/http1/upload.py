"""Sends the body of a request in its own task, while the response is read beside it.

A server may respond before it has received the whole body, and stop reading it: RFC 9112 section 9.5
asks clients to watch for that. A server that sends back what it receives, as it receives it, even stops
reading until its response is read. So neither direction may wait for the other.

Once the declared number of bytes was sent, the server has the whole body, and nothing is left to stop. A
generator that still runs then, to close a file or to record what it has sent, runs to its end.

While a body is sent, no read timeout applies, only the write timeout. The read timeout starts once the
body has been sent.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpcore

from typed_async_client.http1.upgrade import switches_protocols
from typed_async_client.http1.upload_task import Upload, WatchEndedError
from typed_async_client.wire.body_task import Send
from typed_async_client.wire.messages import REPLAYABLE_BODIES

__all__ = ["UploadStream", "fits_at_once"]

_SENT_AT_ONCE = 60 * 1024
"""Most bytes that are written without a task: asyncio buffers up to 64 KiB before a write waits."""

_FIRST_UNWANTED_STATUS = 300
"""A redirect or an error means that the server doesn't want the rest of the body."""

_CLOSED = "the connection is closed"
_RESPONDED = "the server responded before the whole body was sent"


def fits_at_once(body: Any, head_size: int = 0) -> bool:
    """Whether a body is in memory, and can be written without a task, together with its head."""
    parts: Any = body  # which mypy takes for one that may be asynchronous
    return isinstance(body, REPLAYABLE_BODIES) and sum(map(len, parts), head_size) <= _SENT_AT_ONCE


class UploadStream(httpcore.AsyncNetworkStream):
    """The network stream of an exchange, on which a body can be sent while the response is read.

    Args:
        stream: the network stream, an ``AsyncioStream``.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._upload: Upload | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is no upload that ``end_upload()`` has to end."""
        return self._upload is None

    async def send_beside(
        self, request: httpcore.Request, send: Send, receive_status: Callable[[], Awaitable[int]]
    ) -> None:
        """Send the body of a request, and read the response meanwhile.

        It returns once the body has been sent, or the server has begun a successful response: the
        body is then sent beside the reading of the response, until ``end_upload()``. If the response
        switches the connection to another protocol, that can't begin before the end of the body, RFC
        9110 section 7.8.

        Args:
            request: the request. The generator of its body is closed if it isn't read to its end.
            send: sends the parts of it, with this stream's ``write()``.
            receive_status: reads with this stream's ``read()`` until the final head has arrived,
                and returns its status. It may be dropped at any read.

        Raises:
            httpcore.WriteError: the connection was lost, or the server has responded without
                waiting for the body; its response can be read.
            httpcore.WriteTimeout: the server neither reads the body nor sends anything.
            httpcore.RemoteProtocolError: the connection was lost after it was switched.
            Exception: the body raised it.
        """
        upload = self._upload = Upload(self._stream, request)  # the task may start right away
        try:
            upload.start(send)
        except BaseException:
            self._upload = None
            raise
        try:
            status = await receive_status()
        except WatchEndedError:
            status = None
        except Exception:
            await upload.stop()
            raise
        if status is not None and switches_protocols(request, status):
            await upload.finish()
        upload.is_watched = False
        is_wanted = status is not None and status < _FIRST_UNWANTED_STATUS
        if is_wanted and not (upload.is_sent or upload.has_ended):
            return
        await upload.stop()
        upload.raise_error()
        if not upload.is_complete:
            raise httpcore.WriteError(_CLOSED if status is None else _RESPONDED)
        self._upload = None

    async def end_upload(self) -> bool:
        """End an upload, and wait until its generator is closed.

        It is stopped unless all its bytes were sent. If this is cancelled, or the connection was
        closed before, it is stopped in any case.

        Returns:
            Whether the whole body was sent, or there was none.
        """
        upload = self._upload
        if upload is None:
            return True
        await upload.stop()
        upload.report_error()
        self._upload = None
        return upload.is_complete

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
