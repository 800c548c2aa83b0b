"""One request and its response on an HTTP/2 connection."""

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore

from typed_async_client.http2.body import Http2Body
from typed_async_client.http2.errors import UnprocessedError
from typed_async_client.http2.heads import request_fields
from typed_async_client.http2.stream import Stream
from typed_async_client.http2.upload import Upload
from typed_async_client.net.deadline import time_limit
from typed_async_client.net.timer import WaitTimer
from typed_async_client.wire.body_length import BodyLength
from typed_async_client.wire.exchange_body import closed_error
from typed_async_client.wire.interim import expects_continue, wait_for_continue
from typed_async_client.wire.messages import REPLAYABLE_BODIES, TrustedResponse, timeout_of
from typed_async_client.wire.trace import HTTP2_LOGGER, Trace, is_traced, run_traced
from typed_async_client.wording import describe_timeout

if TYPE_CHECKING:
    import asyncio
    from collections import deque

    from typed_async_client.http2.connection import Http2Connection

__all__ = ["Exchange"]

_T = TypeVar("_T")

_SENT_AT_ONCE = 60 * 1024
"""Most bytes of a body that are sent without a task."""

_FIRST_UNWANTED_STATUS = 300
"""A redirect or an error means that the server doesn't want the rest of the body."""


class Exchange:
    """Sends one request, and receives its response.

    Args:
        connection: the connection.
        request: the request.

    Attributes:
        is_traced: whether it is reported to a ``trace`` extension or a logger.
        stream: its stream; None before it is opened, and after the exchange has ended.
    """

    def __init__(self, connection: "Http2Connection", request: httpcore.Request) -> None:
        self.stream: Stream | None = None
        self._connection = connection
        self.is_traced: bool = is_traced(request, HTTP2_LOGGER)
        self._request = request
        self._timer: WaitTimer | None = connection.timers.take()
        self._upload: Upload | None = None

    async def run(self) -> httpcore.Response:
        """Send the request, and return its response with an open body."""
        connection, request = self._connection, self._request
        try:
            if not connection.is_opened:
                await connection.send_preface(request)
            if connection.turns.is_waited_for or not connection.session.has_room:
                await connection.turns.wait(request, self._running_timer())
            stream = self._open()
            if self.is_traced:
                await self._send_traced(stream)
            else:
                connection.flush_soon()  # the head goes together with the beginning of the body
                if not stream.is_sent:
                    await self._send_body(stream)
                while not stream.has_head:
                    await self._changed(stream)
        except BaseException as error:
            if isinstance(error, UnprocessedError):
                error.is_body_untouched = self._upload is None or not self._upload.parts.is_begun
            await self.close()
            raise
        return TrustedResponse(
            stream.status,
            stream.headers,
            Http2Body(self, stream),
            {
                "http_version": b"HTTP/2",
                "network_stream": connection.network_stream,
                "stream_id": stream.id,
                "trailing_headers": stream.trailers,
            },
        )

    async def next_part(self, stream: Stream) -> bytes:
        """Return what has arrived of the body; empty at its end."""
        while not stream.parts:
            self._check(stream)
            if stream.is_complete:
                return b""
            await self._changed(stream)
            if self.is_traced:
                await self._report_settings()
        part = stream.parts.popleft() if len(stream.parts) == 1 else _join(stream.parts)
        if self._connection.session.take(stream, len(part)):
            self._connection.flush_soon()
        return part

    async def close(self) -> None:
        """End the exchange; a stream that hasn't ended is reset."""
        stream, self.stream = self.stream, None
        timer, self._timer = self._timer, None
        if timer is not None:
            self._connection.timers.give_back(timer)
        if stream is None:
            return
        upload = self._upload
        if upload is not None and not upload.is_sent:
            upload.cancel()
        self._connection.end_stream(stream)
        stream.error = None  # its frames refer to the stream
        stream.wake()  # for whoever reads meanwhile
        if self.is_traced or upload is not None:
            await self._traced("response_closed", stream, self._end_upload())

    def _traced(
        self,
        name: str,
        stream: Stream,
        operation: Coroutine[Any, Any, _T],
        summary: Callable[[_T], Any] | None = None,
    ) -> Coroutine[Any, Any, _T]:
        """Return a coroutine that runs the operation, and reports it if the exchange is traced."""
        if not self.is_traced:
            return operation
        return run_traced(self.trace(name, stream), operation, summary)

    def trace(self, name: str, stream: Stream) -> Trace:
        """Return what reports an operation."""
        info: dict[str, Any] = {"stream_id": stream.id}
        if name != "response_closed":
            info = {"request": self._request, **info}
        return Trace(name, HTTP2_LOGGER, self._request, info)

    def _open(self) -> Stream:
        ends = not BodyLength(self._request.headers).has_body
        fields = request_fields(self._request)
        self.stream = self._connection.open_stream(self._request, fields, ends=ends)
        if self.is_traced:
            self._connection.watch_settings(self.stream)
        return self.stream

    async def _send_traced(self, stream: Stream) -> None:
        """Send the head, send the body, and receive a head, each of which is reported."""
        await self._traced("send_request_headers", stream, self._send_head())
        await self._traced("send_request_body", stream, self._send_body(stream))
        head = self._receive_head(stream)
        await self._traced("receive_response_headers", stream, head, _summary)

    async def _send_head(self) -> None:
        self._connection.flush()

    async def _send_body(self, stream: Stream) -> None:
        if stream.is_sent:
            return
        if expects_continue(self._request):
            await self._wait_for_continue(stream)
        if not (stream.has_head or self._sends_at_once(stream)):
            await self._send_beside(stream)

    def _sends_at_once(self, stream: Stream) -> bool:
        """Send the body if it is in memory, small, and there is room for all of it."""
        body: Any = self._request.stream
        if not isinstance(self._request.stream, REPLAYABLE_BODIES):
            return False
        data = b"".join(body)
        session, length = self._connection.session, BodyLength(self._request.headers)
        if len(data) > min(_SENT_AT_ONCE, session.room(stream)):
            return False
        length.count(len(data))
        length.end()
        if data:
            session.send_part(stream, memoryview(data), ends=True)
        else:
            session.end_request(stream)
        self._connection.flush_soon()
        return True

    async def _wait_for_continue(self, stream: Stream) -> None:
        self._connection.flush()

        async def receive(timeout: float) -> bool:
            self._check(stream)
            await self._running_timer().limit(stream.changed(), timeout, httpcore.ReadTimeout)
            return stream.got_continue or stream.has_head

        if not (stream.got_continue or stream.has_head):
            await wait_for_continue(receive, timeout_of(self._request, "read"))

    async def _send_beside(self, stream: Stream) -> None:
        """Send the body, and receive the response meanwhile.

        It returns once the body has been sent, or the server has begun a successful response: the
        rest is then sent beside the reading of the response.
        """
        await self._connection.send_now()  # once the body is begun, the request can't go elsewhere
        while self._connection.has_unsent(stream) and stream.error is None:
            await self._changed(stream)  # the connection is lost: its end will be reported
        self._check(stream)
        upload = self._upload = Upload(self._connection, stream, self._request)
        try:
            upload.start(upload.send)
        except BaseException:
            self._upload = None
            raise
        upload.call_at_end(lambda _: stream.wake())
        while not (upload.has_ended or stream.error or stream.has_head):
            await self._changed(stream)
            if self.is_traced:
                await self._report_settings()
        is_wanted = stream.status < _FIRST_UNWANTED_STATUS and not stream.is_complete
        if is_wanted and stream.error is None and not upload.has_ended:
            return
        await upload.stop()
        upload.raise_error()

    async def _receive_head(self, stream: Stream) -> Stream:
        await self._report_settings()
        while not stream.has_head:
            await self._changed(stream)
            await self._report_settings()
        return stream

    def _check(self, stream: Stream) -> None:
        """Raise what the request fails with."""
        if self._upload is not None and self._upload.has_ended:
            self._upload.raise_error()
        if stream.error is not None:
            raise stream.error

    def _changed(self, stream: Stream) -> "asyncio.Future[None]":
        """Return a future that completes at the next change; while a body is being sent, it never times out.

        Raises:
            Exception: what the request fails with.
        """
        self._check(stream)
        is_sending = self._upload is not None and not self._upload.has_ended
        timeout = None if is_sending else timeout_of(self._request, "read")
        # Not the exchange: it has the timer, and they would be a cycle.
        connection = self._connection
        timed_out = functools.partial(_timed_out, connection, connection.received)
        return self._running_timer().limit(stream.changed(), timeout, timed_out)

    def _running_timer(self) -> WaitTimer:
        if self._timer is None:
            raise closed_error()
        return self._timer

    async def _report_settings(self) -> None:
        """Report the settings that the server has sent."""
        settings, timeout = self._connection.take_settings(), timeout_of(self._request, "read")
        try:
            async with time_limit(timeout if settings else None):
                for event in settings:
                    trace = Trace("receive_remote_settings", HTTP2_LOGGER, self._request, {})
                    async with trace as report:
                        report.return_value = event
        except TimeoutError as error:
            raise httpcore.ReadTimeout(describe_timeout(timeout or 0.0)) from error

    async def _end_upload(self) -> None:
        """Wait until the generator of the body is closed."""
        if self._upload is not None:
            await self._upload.wait()
            self._upload.report_error()


def _timed_out(connection: "Http2Connection", received: int, message: str) -> httpcore.ReadTimeout:
    """Return the error of a request that has waited since so many bytes were received.

    If nothing at all was received on the connection meanwhile, it may be dead: its requests keep waiting,
    but it accepts no new ones.
    """
    if connection.received == received:
        connection.session.is_draining = True
    return httpcore.ReadTimeout(message)


def _join(parts: "deque[bytes]") -> bytes:
    joined = b"".join(parts)
    parts.clear()
    return joined


def _summary(stream: Stream) -> tuple[Any, ...]:
    return stream.status, stream.headers
