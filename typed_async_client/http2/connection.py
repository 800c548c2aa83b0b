"""httpcore's HTTP/2 connection, with a read timeout per request and support for early responses.

In httpcore, one request reads from the network on behalf of all the others. When it times out, every
request of the connection fails; until then, the others may wait longer than their own timeouts. Here
each request waits for its own timeout only.

A server may also respond before it has received the whole request, and then either reset the stream,
RFC 9113 section 8.1, or grant no more window. httpcore would discard the response in the first case, and
wait for the window in the second.

Connections through proxies are created by httpcore and keep its behaviour. The private names of
``AsyncHTTP2Connection`` used here are listed in ``private_names.py``. h2, an optional dependency, isn't
imported.
"""

import asyncio
import copy
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpcore

from typed_async_client.http2.frames import CANCEL
from typed_async_client.http2.opening import OpenableHttp2
from typed_async_client.libraries import is_error_of_h2
from typed_async_client.net.deadline import time_limit
from typed_async_client.sources.closing import aclose_source
from typed_async_client.wire.messages import timeout_of
from typed_async_client.wording import describe_timeout

__all__ = ["WRITTEN_BEFORE", "Http2Connection"]

WRITTEN_BEFORE = "written_before"
"""Attribute of a request: bytes written to the connection before it; missing while it waits."""

_UPLOADING = "uploading"
"""Attribute of a request while its body is sent: its stream."""

_T = TypeVar("_T")

_NO_ERROR = 0
"""Error code: the server needs no more of the request, RFC 9113 section 7."""

_NO_WINDOW = "the server granted no flow-control window for the request body"

_PIECE_SIZE = 64 * 1024
"""Bytes of a body that are passed to httpcore in one call."""

_READ_GRACE = 0.05
"""Seconds to read data that has already arrived; the loop may have to serve other streams first."""

_WITHOUT_TIMEOUT = httpcore.Request("GET", "http://a.test/")
"""Passed to httpcore for its reads, which serve all requests; each request bounds its own wait."""


class Http2Connection(OpenableHttp2):
    """httpcore's connection, with a read timeout per request and support for early responses."""

    _connection_window_updates = 0
    """How many reads have received a WINDOW_UPDATE for the whole connection."""

    async def _send_request_headers(self, request: httpcore.Request, stream_id: int) -> None:
        """Note what had been written before, so that it can be told whether anything followed."""
        stream: Any = self._network_stream
        vars(request)[WRITTEN_BEFORE] = stream.written
        await super()._send_request_headers(request, stream_id)

    async def _receive_stream_event(self, request: httpcore.Request, stream_id: int) -> Any:
        wait = functools.partial(super()._receive_stream_event, request, stream_id)
        return await (wait() if self._events.get(stream_id) else self._bounded(request, wait))

    async def _wait_for_outgoing_flow(self, request: httpcore.Request, stream_id: int) -> int:
        """Wait for window space.

        If the server opened the window of the connection meanwhile, but other uploads used it up,
        the wait starts over instead of timing out.
        """
        wait = functools.partial(super()._wait_for_outgoing_flow, request, stream_id)
        while True:
            updates = self._connection_window_updates
            self._check_wanted(stream_id)
            try:
                return await self._bounded(request, wait, _NO_WINDOW)
            except httpcore.ReadTimeout:
                if updates == self._connection_window_updates or not self._has_stream_window(
                    stream_id
                ):
                    raise

    def _has_stream_window(self, stream_id: int) -> bool:
        """Whether a stream's own window is open, so that it waits for the connection's only."""
        stream = self._h2_state.streams.get(stream_id)
        return stream is not None and stream.outbound_flow_control_window > 0

    async def _receive_events(
        self, request: httpcore.Request, stream_id: int | None = None
    ) -> None:
        """Read for all requests, and report it to the ``trace`` extension of the one that reads.

        httpcore would report while it processes the events. If the extension raised, or took longer
        than its own request may wait, the events after the server's settings would be lost for all
        requests. So it is called once they have been processed.
        """
        trace = request.extensions.get("trace")
        if trace is None:
            await super()._receive_events(request, stream_id)
            self._check_wanted(vars(request).get(_UPLOADING))
            return
        reports: list[tuple[str, dict[str, Any]]] = []

        async def keep(name: str, info: dict[str, Any]) -> None:
            reports.append((name, info))

        shadow = copy.copy(request)
        shadow.extensions = {**request.extensions, "trace": keep}
        await super()._receive_events(shadow, stream_id)
        for report in reports:
            await trace(*report)
        self._check_wanted(vars(request).get(_UPLOADING))

    async def _response_closed(self, stream_id: int) -> None:
        """Reset the stream of an abandoned request before another request takes its place."""
        stream = self._h2_state.streams.get(stream_id)
        if stream is not None and stream.open and self.is_available():
            self._h2_state.reset_stream(stream_id, CANCEL)
        await super()._response_closed(stream_id)

    async def _read_incoming_data(self, request: httpcore.Request) -> Any:  # noqa: ARG002 - see above
        events = await super()._read_incoming_data(_WITHOUT_TIMEOUT)
        self._connection_window_updates += any(map(_is_connection_window_update, events))
        return events

    async def _bounded(
        self,
        request: httpcore.Request,
        wait: Callable[[], Coroutine[Any, Any, _T]],
        message: str = "",
    ) -> _T:
        """Wait for at most the request's read timeout; say what was waited for if it passes.

        Data that arrived before the deadline is used, even if the event loop was blocked and
        notices it late. If nothing at all was received on the connection meanwhile, the connection
        may be dead: its requests keep waiting, but it accepts no new ones.
        """
        timeout = timeout_of(request, "read")
        stream: Any = self._network_stream
        received = stream.received
        result = await _wait_up_to(timeout, wait)
        if result is None and stream.is_readable:
            result = await _wait_up_to(_READ_GRACE, wait)
        if result is None:
            result = await _wait_up_to(0, wait)  # another request may have read it
        if result is not None:
            return result
        if stream.received == received:
            stream.start_draining()
        raise httpcore.ReadTimeout(message or describe_timeout(timeout or 0.0))

    async def _send_request_body(self, request: httpcore.Request, stream_id: int) -> None:
        vars(request)[_UPLOADING] = stream_id
        try:
            await super()._send_request_body(request, stream_id)
        except _UnwantedBodyError:
            pass
        except Exception as error:
            if not (is_error_of_h2(error) and self._has_complete_response(stream_id)):
                raise
        finally:
            del vars(request)[_UPLOADING]
            await aclose_source(request.stream)

    async def _send_stream_data(
        self, request: httpcore.Request, stream_id: int, data: bytes
    ) -> None:
        """Send a part of the body, unless the server has responded and doesn't want it.

        httpcore copies the rest of the part for each frame: a large part is sent in pieces. For an
        empty one, it sends nothing: other tasks run instead.
        """
        await self._read_arrived(request, stream_id)
        if not data:
            await asyncio.sleep(0)
        for start in range(0, len(data), _PIECE_SIZE):
            piece = data[start : start + _PIECE_SIZE]
            await super()._send_stream_data(request, stream_id, piece)

    async def _read_arrived(self, request: httpcore.Request, stream_id: int) -> None:
        """Read what has arrived, unless another request does: the response may be early."""
        stream: Any = self._network_stream
        if stream.is_readable:
            await asyncio.sleep(0)  # a request that waits for it reads it now
        if stream.is_readable:
            await _wait_up_to(_READ_GRACE, functools.partial(self._receive_events, request))
        self._check_wanted(stream_id)

    def _check_wanted(self, stream_id: int | None) -> None:
        """Raise if the server has responded to a request without waiting for its body.

        A successful response that isn't complete may need the rest of the body.
        """
        events = [] if stream_id is None else self._events.get(stream_id, [])
        if not events or getattr(events[-1], "error_code", _NO_ERROR) != _NO_ERROR:
            return
        if _is_refusal(events[0]) or _ends_stream(events):
            raise _UnwantedBodyError

    def _has_complete_response(self, stream_id: int) -> bool:
        """Whether the whole response was received, and then the stream was reset with NO_ERROR."""
        events = self._events[stream_id]
        return _ends_stream(events) and getattr(events[-1], "error_code", None) == _NO_ERROR


class _UnwantedBodyError(Exception):
    """The server has responded, and needs no more of the request."""


def _ends_stream(events: list[Any]) -> bool:
    return any(type(event).__name__ == "StreamEnded" for event in events)


def _is_refusal(event: Any) -> bool:
    """Whether an event is the head of a redirect or an error."""
    headers = getattr(event, "headers", None) or ()
    return any(name == b":status" and value >= b"300" for name, value in headers)


async def _wait_up_to(
    seconds: float | None, wait: Callable[[], Coroutine[Any, Any, _T]]
) -> _T | None:
    """Return the result of ``wait``; None if it takes longer."""
    try:
        async with time_limit(seconds):
            return await wait()
    except TimeoutError:
        return None


def _is_connection_window_update(event: Any) -> bool:
    return type(event).__name__ == "WindowUpdated" and event.stream_id == 0
